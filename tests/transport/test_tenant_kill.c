// SPDX-License-Identifier: MIT
/*
 * Tenants are killed with SIGKILL at random moments, hundreds of them: before
 * and after they got buffers, submitted, were served, or read. Afterwards all
 * books balance, nothing stays mapped, no descriptor is lost, and a tenant
 * that was there all the time has noticed nothing.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/transport/daemon.h"
#include "tests/transport/raw.h"
#include "tests/transport/storm.h"

#define AT_ONCE	8

static struct daemon d;

/* Whatever a tenant may do, without pause, till it is killed. */
static void __attribute__((noreturn)) live(unsigned int seed)
{
	static struct raw r;
	struct braid_model_get m;
	struct braid_tensor t[4];
	uint64_t buf[4] = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int err, fd;

		if (raw_open(&r, d.socket) || raw_model(&r, "tiny_mlp", &m, t, 4))
			_exit(1);
		for (int i = 0; i < 4; i++) {
			struct braid_buf_alloc a = { .size = sizeof(a), .length = 65536 };

			/* Sometimes mapped, sometimes just held. */
			if (rand_r(&seed) % 2) {
				raw_buf(&r, 65536, &buf[i], &err);
			} else if (!raw_call(&r, BRAID_NR_BUF_ALLOC, &a, -1, &fd)) {
				buf[i] = a.id;
				close(fd);
			}
		}
		for (int i = 0; i < 100; i++) {
			unsigned int k = rand_r(&seed) % 4;
			struct braid_slice s[2] = { { buf[k], 0, t[0].bytes },
						    { buf[k], 32768, t[1].bytes } };
			struct braid_request q = { .model = m.id, .priority = 1, .n_inputs = 1,
						   .n_outputs = 1 };
			struct braid_cancel c = { .size = sizeof(c) };
			struct braid_buf_free f = { .size = sizeof(f), .id = buf[k] };
			struct braid_submit out;

			switch (rand_r(&seed) % 16) {
			case 0:
				raw_wait(&r, r.n_done + 1, 1);
				break;
			case 1:
				c.id = out.first_id = rand_r(&seed) % 50;
				raw_call(&r, BRAID_NR_CANCEL, &c, -1, NULL);
				break;
			case 2:
				raw_call(&r, BRAID_NR_BUF_FREE, &f, -1, NULL);
				break;
			case 3:
				r.seen += r.n_done;
				r.n_done = 0;
				break;
			default:
				raw_submit(&r, &q, s, 2, &out);
			}
		}
		raw_close(&r);
	}
}

/* How many it comes down to: connections that were just closed are still going. */
static int n_resting(pid_t pid, int hope)
{
	int n = process_files(pid);

	for (int i = 0; i < 50 && n != hope; i++) {
		int now;

		storm_sleep_ms(10);
		now = process_files(pid);
		n = now < n ? now : n;
	}
	return n;
}

/* Mappings of tenants' buffers: memfds, or the kernel's. */
static int n_mapped(pid_t pid)
{
	char path[64], line[512];
	FILE *f;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:braid") || strstr(line, "braid-buffer");
	if (f)
		fclose(f);
	return n;
}

/* Of the kernel's queue a tenant is told the bytes alone. */
static long long owned_there(const char *what)
{
	struct braid_get_info i = { .size = sizeof(i) };
	static struct raw r;
	int ret;

	if (strcmp(what, "bytes") || raw_open(&r, d.socket))
		return 0;
	ret = raw_call(&r, BRAID_NR_GET_INFO, &i, -1, NULL);
	raw_close(&r);
	return ret ? ret : (long long)i.bytes_used;
}

static long long owned(const char *what)
{
	long long n = 0;
	json_t *list, *o;
	size_t i;

	if (daemon_over_device())
		return owned_there(what);
	list = daemon_ask(&d, "{\"cmd\":\"owners\"}");
	json_array_foreach(list, i, o)
		n += json_integer_value(json_object_get(o, what));
	json_decref(list);
	return n;
}

static bool settled(pid_t runner)
{
	return !daemon_status(&d, "tenants") && !daemon_status(&d, "queued") &&
	       !daemon_status(&d, "fetched") && !owned("bytes") && !n_mapped(runner);
}

int main(void)
{
	static const char *const models[] = { "tiny_mlp", "tiny_cnn", NULL };
	const char *s = getenv("BRAID_TEST_TENANT_KILLS");
	unsigned int n = s ? strtoul(s, NULL, 10) : 500, killed = 0, seed = 3;
	pid_t pids[AT_ONCE] = { 0 }, runner;
	int fds, runner_fds;
	struct storm *storm;

	daemon_start(&d, models, NULL);
	runner = daemon_status(&d, "runner_pid");
	fds = n_resting(d.pid, 0);
	runner_fds = n_resting(runner, 0);
	storm = storm_new(&d);
	storm_start(storm, models, 2);
	while (killed < n) {
		pid_t *p = &pids[rand_r(&seed) % AT_ONCE];

		if (*p) {
			kill(*p, SIGKILL);
			waitpid(*p, NULL, 0);
			killed++;
		}
		fflush(stdout);
		*p = fork();
		if (!*p)
			live(killed + 1);
		if (rand_r(&seed) % 2)
			storm_sleep_ms(rand_r(&seed) % 8);
	}
	for (int i = 0; i < AT_ONCE; i++)
		if (pids[i] && !kill(pids[i], SIGKILL))
			waitpid(pids[i], NULL, 0);
	storm_end(storm);
	storm_check(storm, "beside them");
	for (int i = 0; i < 500 && !settled(runner); i++)
		storm_sleep_ms(10);
	diag("%u killed, %lld requests dropped", killed, daemon_counter(&d, "dropped"));
	ok(daemon_counter(&d, "dropped") > 0, "some died with requests outstanding");
	is_int(daemon_status(&d, "tenants"), 0, "no tenant is left");
	is_int(daemon_status(&d, "queued") + daemon_status(&d, "fetched"), 0, "no request either");
	is_int(owned("bytes"), 0, "no byte is charged");
	is_int(owned("buffers"), 0, "no buffer counted");
	is_int(owned("requests"), 0, "no request counted");
	is_int(daemon_counter(&d, "submitted"),
	       daemon_counter(&d, "completed") + daemon_counter(&d, "dropped"),
	       "what was submitted has completed or was dropped");
	is_int(n_mapped(runner), 0, "the runner has no buffer mapped");
	is_int(n_resting(d.pid, fds), fds, "braidd has the descriptors it had");
	is_int(n_resting(runner, runner_fds), runner_fds, "so has the runner");
	is_int(daemon_status(&d, "runner_starts"), 1, "which is still the first one");
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
