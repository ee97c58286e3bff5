// SPDX-License-Identifier: MIT
/*
 * A request that ends its agent every time: it ends in EIO after max_attempts, or
 * once the agent can tell that it was that one; the others are served. The same for one that makes the agent hang.
 * BRAID_TEST_WATCHDOG_MS: on a machine so slow that innocent ones take long.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"
#include "tests/transport/storm.h"

/* It is tried by itself @alone times. */
static void poison(const char *what, const char *config, int alone)
{
	static const char *const models[] = { "tiny_cnn", "tiny_mlp", NULL };
	struct storm *s;
	struct daemon d;

	daemon_start(&d, models, config);
	s = storm_new(&d);
	storm_start(s, models, 2);
	is_int(storm_infer(&d, 777), -EIO, "%s: the offender ends in EIO", what);
	is_int(daemon_counter(&d, "killed"), 1, "%s: it alone", what);
	is_int(daemon_logged(&d, "fault injected") >= 1 + alone, 1, "%s: after it ended %d agents alone",
	       what, alone);
	ok(alone > 1 || daemon_logged(&d, "fault injected") == 2, "%s: and no more than needed", what);
	ok(storm_progress(s, 50), "%s: the others are served", what);
	is_int(storm_infer(&d, 1), 0, "%s: so is the same model with another input", what);
	storm_end(s);
	storm_check(s, what);
	is_int(daemon_stop(&d), 0, "%s: braidd ends well", what);
}

static void hang(const char *what, const char *how)
{
	const char *ms = getenv("BRAID_TEST_WATCHDOG_MS");
	char config[128];

	snprintf(config, sizeof(config), "[runner]\nwatchdog_ms = %s\n[debug]\n%s = tiny_mlp:777\n",
		 ms ? ms : "400", how);
	poison(what, config, 3);
}

int main(void)
{
	const char *backend = getenv("BRAID_TEST_BACKEND");

	if (backend && !strcmp(backend, "cuda")) {
		poison("request that faults on the GPU", "[debug]\nfault_gpu_on = tiny_mlp:777\n", 1);
		hang("request that hangs the GPU", "hang_gpu_on");
		return tap_done();
	}
	poison("deadly request", "[debug]\nkill_runner_on = tiny_mlp:777\n", 3);
	hang("hanging request", "hang_runner_on");
	return tap_done();
}
