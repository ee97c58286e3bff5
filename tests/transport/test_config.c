// SPDX-License-Identifier: MIT
/*
 * The configuration file: what it sets, and what is refused with which words.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "tests/tap.h"

#define LONG	"/0123456789012345678901234567890123456789012345678901234567890123"

static char why[512];

static int read_text(const char *text, struct config *c)
{
	char path[] = "/tmp/braid-config-XXXXXX";
	int fd = mkstemp(path), ret;

	if (write(fd, text, strlen(text)) < 0)
		return -errno;
	close(fd);
	why[0] = 0;
	ret = config_read(c, path, why, sizeof(why));
	unlink(path);
	return ret;
}

static void refused(const char *text, const char *line, const char *words)
{
	struct config c;
	int ret = read_text(text, &c);

	ok(ret == -EINVAL && strstr(why, line) && strstr(why, words), "refused: %s", why);
}

int main(void)
{
	struct config c;

	is_int(read_text("[braidd]\nsocket = /x/y\nlog_level = debug\nbyte_quota = 8192\n"
			 "[runner]\nthreads = 3\nmax_degree = 4\n"
			 "[queue]\nwindow_max = 9\n"
			 "[debug]\nkill_runner_on = m:v:1.5\n", &c), 0, "a good file");
	ok(!strcmp(c.socket, "/x/y") && c.log_level == 7 && c.byte_quota == 8192 &&
	   c.threads == 3 && c.max_degree == 4, "sets what it says");
	ok(c.n_knobs == 1 && !strcmp(c.knobs[0].name, "window_max"), "knobs are kept by name");
	ok(!strcmp(c.kill_model, "m:v") && c.kill_value == 1.5f, "fault injection is read");
	is_int(read_text("", &c), 0, "an empty file is the defaults");
	ok(!strcmp(c.backend, "auto") && !c.precision && c.spin == SPIN_AUTO && c.transport == TRANSPORT_AUTO &&
	   !strcmp(c.device, "braid0"), "which are there");
	is_int(read_text("[braidd]\ntransport = device\ndevice = braid3\n", &c), 0, "a device");
	ok(c.transport == TRANSPORT_DEVICE && !strcmp(c.device, "braid3"), "is kept");

	refused("[braidd]\nsocket = /x\ncolour = blue\n", ":3:", "unknown key 'colour' in [braidd]");
	refused("[house]\nx = 1\n", ":2:", "unknown section [house]");
	refused("\n\n[runner]\nthreads = many\n", ":4:", "'many' can't be threads");
	refused("[runner]\nthreads = -1\n", ":2:", "'-1' can't be threads");
	refused("[runner]\nmax_degree = 0\n", ":2:", "'0' can't be max_degree");
	refused("[braidd]\nlog_level = loud\n", ":2:", "'loud' can't be log_level");
	refused("[braidd]\nnonsense\n", ":2:", "");
	refused("[debug]\nkill_runner_on = m\n", ":2:", "can't be kill_runner_on");
	is_int(read_text("[runner]\nbackend = cuda\ngpu = 1\nsms = 16\nprecision = fp32\n"
			 "spin = off\ncache_dir =\ncache_mib = 9\n"
			 "[debug]\nhang_gpu_on = m:2\n", &c), 0, "a GPU");
	ok(!strcmp(c.backend, "cuda") && c.gpu == 1 && c.sms == 16 && c.precision == 32 &&
	   c.spin == SPIN_OFF && !c.cache_dir[0] && c.cache_mib == 9 &&
	   c.kill_how == KILL_BY_GPU_HANG, "is configured");
	refused("[braidd]\nmetrics = everywhere\n", ":2:", "neither ADDRESS:PORT nor a path");
	refused("[braidd]\nmetrics = 10.0.0.1:80\n", ":2:", "not of this machine alone");
	refused("[braidd]\nmetrics = 127.0.0.1:0\n", ":2:", "neither ADDRESS:PORT nor a path");
	is_int(read_text("[probes]\nwitness = on\n", &c), 0, "probes");
	ok(c.witness, "are configured");
	is_int(read_text("[probes]\nswitches = /run/s\nhost_stall = /run/h\n", &c), 0, "files of figures");
	ok(!strcmp(c.switches, "/run/s") && !strcmp(c.host_stall, "/run/h"), "are where they are");
	refused("[probes]\nwitness = maybe\n", ":2:", "'maybe' can't be witness");
	refused("[runner]\nbackend = tpu\n", ":2:", "'tpu' can't be backend");
	refused("[runner]\nprecision = fp8\n", ":2:", "'fp8' can't be precision");
	refused("[runner]\nspin = much\n", ":2:", "'much' can't be spin");
	refused("[braidd]\nsocket =\n", ":2:", "'' can't be socket");
	refused("[braidd]\ntransport = pigeon\n", ":2:", "'pigeon' can't be transport");
	refused("[braidd]\ndevice = /dev/braid0\n", ":2:", "'/dev/braid0' can't be device");
	refused("[braidd]\ndevice =\n", ":2:", "'' can't be device");
	refused("[braidd]\nmodel_dir =\n", ":2:", "'' can't be model_dir");
	refused("[queue]\nwindow_policy = fast\n", ":2:", "none of fixed, adaptive");
	refused("[queue]\nshare_by = pid\n", ":2:", "none of uid, cgroup");
	refused("[queue]\nfusion_policy = odd\n", ":2:", "none of none, merge, fuse, merge+fuse");
	is_int(read_text("[queue]\nfusion_policy = adaptive\n", &c), 0, "a policy of all backends");
	refused("[queue]\n\nwindow_max = 100000\n", ":3:", "out of range");
	refused("[queue]\ncolour = blue\n", ":2:", "no knob 'colour'");
	is_int(read_text("[runner]\n  threads = 3\n\tmax_degree = 4\n", &c), 0, "indented keys");
	ok(c.threads == 3 && c.max_degree == 4, "are keys of their own");
	refused("[runner]\nthreads = 3\n  many = 4\n", ":3:", "unknown key 'many'");
	refused("[braidd]\nsocket = " LONG LONG LONG LONG "\n", ":2:", "too long");
	is_int(read_text("[runner]\n; " LONG LONG LONG LONG " x\nthreads = 3\n", &c), 0,
	       "a comment may be");
	is_int(config_read(&c, "/nonexistent/x", why, sizeof(why)), -ENOENT, "no file: ENOENT");
	is_int(config_read(&c, "/", why, sizeof(why)) < 0, 1, "a directory is no file: %s", why);
	return tap_done();
}
