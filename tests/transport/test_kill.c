// SPDX-License-Identifier: MIT
/*
 * The runner and the supervisor are killed with SIGKILL under load, many
 * times: nothing lost, nothing answered twice, no innocent request in EIO.
 */
#include <signal.h>
#include <stdlib.h>

#include "tests/tap.h"
#include "tests/transport/storm.h"

static unsigned int times(const char *name, unsigned int n)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 10) : n;
}

static void kill_runners(struct daemon *d, const char *const *models)
{
	unsigned int n = times("BRAID_TEST_RUNNER_KILLS", 60), killed = 0, seed = 1;
	struct storm *s = storm_new(d);
	bool moving = true;

	storm_start(s, models, 2);
	while (killed < n && moving) {
		storm_sleep_ms(rand_r(&seed) % 60);
		if (daemon_kill_runner(d, SIGKILL))
			killed++;
		/* Now and then let it get some work done, else only storms are tested. */
		if (!(killed % 4))
			moving = storm_progress(s, 20);
	}
	ok(moving, "work went on between the kills");
	storm_end(s);
	diag("%u kills, %lld runners, %lld requeued", killed, daemon_status(d, "runner_starts"),
	     daemon_counter(d, "requeued"));
	ok(daemon_counter(d, "requeued") > 0, "requests were requeued");
	storm_check(s, "runner killed");
	is_int(daemon_counter(d, "killed"), 0, "the queue gave no request up");
}

static void kill_supervisors(struct daemon *d, const char *const *models)
{
	unsigned int n = times("BRAID_TEST_SUPERVISOR_KILLS", 20), seed = 2, i;
	struct storm *s = storm_new(d);
	bool moving = true;

	storm_start(s, models, 2);
	for (i = 0; i < n && moving; i++) {
		storm_sleep_ms(rand_r(&seed) % 80);
		daemon_kill(d, SIGKILL);
		storm_sleep_ms(rand_r(&seed) % 30);
		daemon_spawn(d);
		if (!(i % 3))
			moving = storm_progress(s, 20);
	}
	ok(moving, "work went on between the kills");
	storm_end(s);
	diag("%u kills", i);
	storm_check(s, "supervisor killed");
}

/* SIGTERM drains: what is outstanding is answered before it ends. */
static void restart(struct daemon *d, const char *const *models)
{
	struct storm *s = storm_new(d);

	storm_start(s, models, 2);
	storm_progress(s, 50);
	daemon_kill(d, SIGTERM);
	ok(daemon_logged(d, "drained") > 0, "SIGTERM drains");
	daemon_spawn(d);
	ok(storm_progress(s, 50), "tenants go on with the next one");
	storm_end(s);
	storm_check(s, "restarted");
}

int main(void)
{
	static const char *const models[] = { "tiny_cnn", "tiny_mlp", NULL };
	struct daemon d;

	daemon_start(&d, models, NULL);
	kill_runners(&d, models);
	kill_supervisors(&d, models);
	restart(&d, models);
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
