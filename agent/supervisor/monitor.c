// SPDX-License-Identifier: MIT
/*
 * Events: what netlink's group "events" is to the device, as JSON to those who
 * have sent {"cmd":"monitor"} to the control socket. Nothing is built while
 * nobody listens, and only then somebody looks for stalls.
 */
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/supervisor/server.h"

#define LOOK_S	1	/* between looks for a stall */

void event_agent_up(struct server *s)
{
	if (s->n_monitors)
		control_tell(s, json_pack("{s:s,s:o,s:i}", "event", "agent-up", "generation",
					  show_number(s->q.generation), "models",
					  (int)s->q.n_models));
}

/* @requeued: what it had that went back to the queue. */
void event_agent_down(struct server *s, uint64_t requeued)
{
	if (!s->n_monitors)
		return;
	if (requeued)
		control_tell(s, json_pack("{s:s,s:o,s:o}", "event", "requeue", "generation",
					  show_number(s->q.generation), "requeued",
					  show_number(requeued)));
	control_tell(s, json_pack("{s:s,s:o}", "event", "agent-down", "generation",
				  show_number(s->q.generation)));
}

void event_tenant(struct client *c, bool came)
{
	struct server *s = c->srv;
	json_t *o;

	if (!s->n_monitors)
		return;
	o = json_pack("{s:s,s:o,s:o,s:i}", "event", came ? "tenant-came" : "tenant-gone",
		      "id", show_number(c->tenant.id), "owner",
		      show_number(c->tenant.owner->key), "pid", (int)c->pid);
	if (!came)
		json_object_set_new(o, "submitted", show_number(c->tenant.submitted));
	control_tell(s, o);
}

void event_knob(struct server *s, const char *knob, const char *value)
{
	if (s->n_monitors)
		control_tell(s, json_pack("{s:s,s:s,s:s}", "event", "knob", "knob", knob, "value",
					  value));
}

static void look(struct loop_watch *w, uint32_t events)
{
	struct server *s = bq_entry(w, struct server, stall_watch);
	uint64_t v;

	if (read(w->fd, &v, sizeof(v)) != sizeof(v) || !bq_stalled(&s->q, &s->stall))
		return;
	control_tell(s, json_pack("{s:s,s:o,s:i,s:i,s:i}", "event", "stall", "generation",
				  show_number(s->q.generation), "queued", (int)s->q.queued,
				  "suspects", (int)s->q.suspects, "fetched", (int)s->q.fetched));
}

int monitor_start(struct server *s)
{
	struct itimerspec its = { { LOOK_S, 0 }, { LOOK_S, 0 } };
	int fd, ret;

	if (s->n_monitors++)
		return 0;
	s->stall = (struct bq_stall){ 0 };
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd >= 0)
		timerfd_settime(fd, 0, &its, NULL);
	ret = server_watch(s, &s->stall_watch, fd, look);
	if (!ret)
		return 0;
	if (fd >= 0)
		close(fd);
	s->n_monitors--;
	return ret;
}

void monitor_stop(struct server *s)
{
	if (--s->n_monitors)
		return;
	loop_del(s->loop, &s->stall_watch);
	close(s->stall_watch.fd);
}
