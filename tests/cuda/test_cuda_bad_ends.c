// SPDX-License-Identifier: MIT
/*
 * Bad ends of a GPU, from braidd's side, on the stand-in driver: no GPU, an old
 * driver, too little memory for a model, no run-time compiler, a cache that
 * can't be used or is damaged. Each is told in words that name what and how
 * much, and whatever can be served is served, rightly. A request that hangs the
 * device while every call of the driver waits for it ends alone, as others that
 * hang or fault do in test_poison (tests/cuda/service.t); so does one whose fault
 * comes before its launch is over.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cuda/standin/control.h"
#include "tests/tap.h"
#include "tests/transport/daemon.h"
#include "tests/transport/storm.h"

static const char *const small[] = { "tiny_mlp", NULL };
static const char *const both[] = { "tiny_mlp", "tiny_cnn", NULL };
static char page[64];

/* What the stand-in is to be, from the next start on. */
static void play(struct standin p)
{
	FILE *f = fopen(page, "we");

	p.magic = STANDIN_MAGIC;
	if (!f || fwrite(&p, sizeof(p), 1, f) != 1 || fclose(f))
		exit(2);
}

static bool logged(const struct daemon *d, const char *text)
{
	for (int i = 0; i < 500 && !daemon_logged(d, text); i++)
		storm_sleep_ms(20);
	return daemon_logged(d, text) > 0;
}

/* Tenants that compare answers: in fp16, other kernels for the same sums may round the other way. */
static struct storm *storm_of(struct daemon *d, const char *const *models, unsigned int n)
{
	struct storm *s = storm_new(d);

	setenv("BRAID_TEST_BACKEND", "cuda", 1);
	storm_start(s, models, n);
	unsetenv("BRAID_TEST_BACKEND");
	return s;
}

static void serves(struct daemon *d, const char *const *models, unsigned int n, const char *what)
{
	struct storm *s = storm_of(d, models, n);

	ok(storm_progress(s, 50), "%s: tenants are served", what);
	storm_end(s);
	storm_check(s, what);
}

/* The GPU is asked for and can't be: words, no agent. With auto it is the CPU. */
static void no_gpu(const char *what, const char *words)
{
	struct daemon d;

	daemon_prepare(&d, small, "[runner]\nbackend = cuda\n");
	daemon_spawn(&d);
	ok(logged(&d, words), "%s: \"%s\" is said", what, words);
	ok(daemon_status(&d, "agent_up") != 1, "%s: asked for a GPU, no other is taken", what);
	daemon_stop(&d);
	daemon_start(&d, small, "[runner]\nbackend = auto\n");
	ok(logged(&d, words) && logged(&d, "no GPU is used"), "%s: it is said with auto too", what);
	serves(&d, small, 1, what);
	is_int(daemon_stop(&d), 0, "%s: braidd ends well", what);
}

/* Enough for one of two models. */
static void little_memory(void)
{
	struct daemon d;

	play((struct standin){ .memory = 120 << 10 });
	daemon_start(&d, both, "[runner]\nbackend = cuda\n");
	ok(logged(&d, "model=tiny_cnn why=\"out of GPU memory: "),
	   "too little memory: the model is named");
	ok(logged(&d, "MiB are needed"), "too little memory: and how much it needs");
	serves(&d, small, 1, "too little memory");
	is_int(daemon_stop(&d), 0, "too little memory: braidd ends well");
}

/* The stand-in's compiler is of a newer major version than this driver. */
static void no_compiler(void)
{
	struct daemon d;

	play((struct standin){ .driver_version = 12040 });
	daemon_start(&d, both, "[runner]\nbackend = cuda\ncompile = on\n");
	ok(logged(&d, "libnvrtc.so.12"), "no run-time compiler: which one is missing is said");
	serves(&d, both, 2, "no run-time compiler");
	is_int(daemon_stop(&d), 0, "no run-time compiler: braidd ends well");
}

/* The folder of the cache is a file. */
static void no_cache(void)
{
	char conf[160];
	struct daemon d;

	play((struct standin){ 0 });
	snprintf(conf, sizeof(conf), "[runner]\nbackend = cuda\ncache_dir = %s/kernels\n", page);
	daemon_start(&d, small, conf);
	ok(logged(&d, "kernels"), "no cache: the folder is named");
	serves(&d, small, 1, "no cache");
	is_int(daemon_stop(&d), 0, "no cache: braidd ends well");
}

/* Each kept kernel gets another byte. */
static unsigned int damage(const char *dir)
{
	char pattern[160];
	unsigned int n = 0;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*", dir);
	if (glob(pattern, 0, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *f = fopen(found.gl_pathv[i], "r+e");
		struct stat st;

		if (!f || fstat(fileno(f), &st) || st.st_size < 200)
			continue;
		fseek(f, st.st_size / 2, SEEK_SET);
		fputc('!', f);
		fclose(f);
		n++;
	}
	globfree(&found);
	return n;
}

static bool settled(struct daemon *d)
{
	for (int i = 0; i < 3000; i++) {
		json_t *o = daemon_ask(d, "{\"cmd\":\"runner\"}");
		bool yes = json_is_true(json_object_get(o, "settled"));

		json_decref(o);
		if (yes)
			return true;
		storm_sleep_ms(20);
	}
	return false;
}

static void damaged_cache(void)
{
	char dir[] = "/tmp/braid-kernels-XXXXXX", conf[160], command[96];
	struct daemon d;

	if (!mkdtemp(dir))
		exit(2);
	play((struct standin){ 0 });
	snprintf(conf, sizeof(conf), "[runner]\nbackend = cuda\ncompile = on\ncache_dir = %s\n", dir);
	daemon_start(&d, small, conf);
	ok(settled(&d), "damaged cache: kernels are compiled");
	is_int(daemon_stop(&d), 0, "damaged cache: braidd ends well");
	ok(damage(dir) > 0, "damaged cache: what was kept is damaged");
	daemon_start(&d, small, conf);
	ok(logged(&d, "damaged"), "damaged cache: is said");
	serves(&d, small, 1, "damaged cache");
	is_int(daemon_stop(&d), 0, "damaged cache: braidd ends well");
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		diag("%s stays", dir);
}

/* In a process of its own, as it may take for ever: its status, positive; 0: too long. */
static int infer_within(struct daemon *d, float first, unsigned int seconds)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		alarm(seconds);
		_exit(-storm_infer(d, first));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

/*
 * One request of one of two models ends its runner: it does once in company and alone till
 * @runners of them have ended, each with its last words, and the others are served.
 */
static void offends(const char *what, const char *config, int runners, const char *last_words)
{
	struct daemon d;
	struct storm *s;

	daemon_start(&d, both, config);
	s = storm_of(&d, both, 2);
	is_int(infer_within(&d, 777, 30), EIO, "%s: the offender ends in EIO", what);
	is_int(daemon_counter(&d, "killed"), 1, "%s: it alone", what);
	is_int(daemon_logged(&d, "fault injected"), runners, "%s: after one runner among others, %d alone",
	       what, runners - 1);
	is_int(daemon_logged(&d, last_words), runners, "%s: \"%s\" is said of them", what, last_words);
	if (!daemon_counter(&d, "killed"))
		daemon_kill(&d, SIGKILL);	/* nobody would ever be served */
	ok(d.pid && storm_progress(s, 50), "%s: the others are served", what);
	storm_end(s);
	storm_check(s, what);
	is_int(daemon_stop(&d), 0, "%s: braidd ends well", what);
}

/* A kernel so short that its fault is seen by the call that launches it. */
static void at_once(void)
{
	play((struct standin){ .blocking = 1 });
	offends("fault while launching", "[runner]\nbackend = cuda\n[debug]\nfault_gpu_on = tiny_mlp:777\n",
		2, "the GPU is lost while launching");
}

/* Nothing that calls the driver goes on: neither the serving thread nor any other. */
static void stuck(void)
{
	play((struct standin){ .stuck = 1 });
	offends("stuck in the driver", "[queue]\nmax_attempts = 2\n[runner]\nbackend = cuda\n"
		"watchdog_ms = 500\n[debug]\nhang_gpu_on = tiny_mlp:777\n",
		3, "watchdog: the runner is stuck");
}

/* The same while braidd ends: it does not wait for what never ends. */
static void stuck_at_the_end(void)
{
	const char *what = "stuck while braidd ends";
	struct daemon d;
	pid_t pid;

	daemon_start(&d, small, "drain_ms = 1000\n[runner]\nbackend = cuda\nwatchdog_ms = 0\n"
		     "[debug]\nhang_gpu_on = tiny_mlp:777\n");
	pid = fork();
	if (!pid)
		_exit(-storm_infer(&d, 777));
	ok(logged(&d, "fault injected"), "%s: a request hangs the device", what);
	is_int(daemon_stop(&d), 0, "%s: it ends, with no watchdog either", what);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	const char *top = getenv("O") ? getenv("O") : "build";
	char lib[4096];

	strcpy(page, "/tmp/braid-standin-XXXXXX");
	close(mkstemp(page));
	snprintf(lib, sizeof(lib), "%s/standin", top);
	setenv("LD_LIBRARY_PATH", lib, 1);
	setenv(STANDIN_ENV, page, 1);
	play((struct standin){ .devices = 1 });
	no_gpu("no GPU", "finds no GPU");
	play((struct standin){ .driver_version = 11080 });
	no_gpu("old driver", "supports CUDA 11.8, Braid needs 12.0");
	little_memory();
	no_compiler();
	no_cache();
	damaged_cache();
	at_once();
	stuck();
	stuck_at_the_end();
	unlink(page);
	return tap_done();
}
