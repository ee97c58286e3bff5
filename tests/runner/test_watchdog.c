// SPDX-License-Identifier: MIT
/*
 * The watchdog of the runner, in processes of their own: which of them does it end?
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/runner/watchdog.h"
#include "tests/tap.h"

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

/* One that beats @beats times, once every 50 ms, and then does nothing for @then_ms. */
static pid_t play(unsigned int ms, uint32_t requests, unsigned int beats, unsigned int then_ms)
{
	static struct watchdog d;
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (watchdog_start(&d, ms))
		_exit(1);
	for (unsigned int i = 0; i < beats; i++) {
		watchdog_beat(&d, requests);
		sleep_ms(50);
	}
	if (beats > 1)
		watchdog_beat(&d, 0);
	sleep_ms(then_ms);
	watchdog_stop(&d);
	_exit(0);
}

/* 0, or the signal that ended it. */
static int end_of(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

int main(void)
{
	pid_t still = play(100, 3, 1, 20000), idle = play(100, 0, 1, 1500), off = play(0, 3, 1, 1500);
	pid_t busy = play(100, 3, 30, 0), stopped = play(600, 3, 20, 0);

	sleep_ms(300);
	kill(stopped, SIGSTOP);
	sleep_ms(1200);
	kill(stopped, SIGCONT);
	is_int(end_of(still), SIGKILL, "one that stands still with requests is ended");
	is_int(end_of(idle), 0, "one without requests is not");
	is_int(end_of(off), 0, "nor is any with a limit of 0");
	is_int(end_of(busy), 0, "nor one that goes on, with a limit shorter than its beats");
	is_int(end_of(stopped), 0, "nor one that was stopped for longer than the limit");
	return tap_done();
}
