// SPDX-License-Identifier: MIT
/*
 * Supervisor and runner that both stay awake while the device works ([runner] spin =
 * on): who sleeps or comes new meanwhile is heard all the same, and once nothing runs
 * both sleep. With BRAID_TEST_BACKEND=cuda the runner polls; the CPU backend's sleeps.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <braid.h>

#include "tests/tap.h"
#include "tests/transport/storm.h"

#define NEWCOMERS	20
#define QUIET_MS	100
#define QUIET_NS	30000000ull	/* of a CPU in that time */
#define TRIES		100

static int newcomer(struct daemon *d)
{
	struct braid_model *m;
	float x[64] = { 1 }, y[64];
	const void *in[1] = { x };
	void *out[1] = { y };
	struct braid *b;
	int ret;

	ret = braid_open(d->socket, &b);
	if (ret)
		return ret;
	ret = braid_model_find(b, "tiny_mlp", &m);
	if (!ret && (braid_model_input(m, 0)->bytes > sizeof(x) ||
		     braid_model_output(m, 0)->bytes > sizeof(y)))
		ret = -E2BIG;
	if (!ret)
		ret = braid_infer(b, m, in, out, -1);
	braid_close(b);
	return ret;
}

/* Time on CPUs of a process's first thread, ns. */
static unsigned long long cpu_ns(pid_t pid)
{
	unsigned long long ns = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu", &ns) != 1)
		ns = 0;
	if (f)
		fclose(f);
	return ns;
}

/* Is there a moment in which it does next to nothing? */
static bool comes_to_rest(pid_t pid)
{
	for (int i = 0; i < TRIES; i++) {
		unsigned long long before = cpu_ns(pid);

		storm_sleep_ms(QUIET_MS);
		if (before && cpu_ns(pid) - before < QUIET_NS)
			return true;
	}
	return false;
}

static pid_t runner_of(struct daemon *d)
{
	json_t *o = daemon_ask(d, "{\"cmd\":\"runner\"}");
	pid_t pid = json_integer_value(json_object_get(o, "pid"));

	json_decref(o);
	return pid;
}

int main(void)
{
	static const char *const models[] = { "tiny_cnn", "tiny_mlp", NULL };
	struct daemon d;
	struct storm *s;
	int failed = 0;

	daemon_start(&d, models, "[runner]\nspin = on\nlanes = 4\n");
	s = storm_new(&d);
	storm_start(s, models, 2);
	ok(storm_progress(s, 100), "tenants are served");
	for (int i = 0; i < NEWCOMERS; i++)
		failed += newcomer(&d) != 0;
	is_int(failed, 0, "so is who comes new while both look");
	ok(daemon_status(&d, "tenants") > 0, "the control socket answers meanwhile");
	ok(storm_progress(s, 100), "and the others go on");
	storm_end(s);
	storm_check(s, "beside each other");
	ok(comes_to_rest(d.pid), "with nothing to do the supervisor sleeps");
	ok(comes_to_rest(runner_of(&d)), "and so does the runner");
	is_int(newcomer(&d), 0, "both wake up again");
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
