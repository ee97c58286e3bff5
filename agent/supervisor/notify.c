// SPDX-License-Identifier: MIT
/*
 * What the service manager is told: ready, reloading, stopping, alive. Does
 * nothing where there is none.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "agent/supervisor/server.h"

void notify_ready(struct server *s)
{
	sd_notifyf(0, "READY=1\nSTATUS=serving %u models", s->device ? s->runner.models : s->q.n_models);
}

/* Ends with notify_ready(). */
void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		   (unsigned long long)server_now() / 1000);
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

static void alive(struct loop_watch *w, uint32_t events)
{
	uint64_t v;

	if (read(w->fd, &v, sizeof(v)) == sizeof(v))
		sd_notify(0, "WATCHDOG=1");
}

/* Say that the loop turns, twice as often as is asked for. */
int notify_watchdog(struct server *s)
{
	struct itimerspec its = { 0 };
	uint64_t usec;
	int fd;

	s->watchdog.fd = -1;
	if (sd_watchdog_enabled(0, &usec) <= 0)
		return 0;
	usec = usec / 2 ? usec / 2 : 1;
	its.it_interval.tv_sec = usec / 1000000;
	its.it_interval.tv_nsec = usec % 1000000 * 1000;
	its.it_value = its.it_interval;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd >= 0)
		timerfd_settime(fd, 0, &its, NULL);
	return server_watch(s, &s->watchdog, fd, alive);
}
