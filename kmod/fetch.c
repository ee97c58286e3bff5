// SPDX-License-Identifier: GPL-2.0-only
/*
 * FETCH and the agent's poll(): wait until a window closes or something is to
 * be told, take it, hand it over.
 *
 * The task that waits takes what there is itself, with arrays that belong to
 * its file, so others only wake it. The wants of a FETCH stay with the queue
 * while it waits, and after one with NONBLOCK, for poll().
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kmod/braid_priv.h"
#include "kmod/trace.h"

/* Room of an array that is written: the caller's, at most ours. */
static u32 room(const struct braid_array *a, u32 most)
{
	return min(a->count, most);
}

static void prepare(const struct braid_agent *a, const struct braid_fetch *arg,
		    const struct braid_want *wants, struct bq_fetch *f)
{
	*f = (struct bq_fetch){
		.wants = wants,
		.n_wants = arg->wants.count,
		.max_jobs = room(&arg->jobs, BRAID_MAX_BATCH),
		.max_slices = room(&arg->slices, BRAID_MAX_SLICES),
		.max_events = room(&arg->events, BRAID_MAX_EVENTS),
		.jobs = a->jobs,
		.slices = a->slices,
		.events = a->events,
	};
}

static void trace_window(const struct braid_queue *q, const struct bq_fetch *f)
{
	u32 i;

	if (!f->window)
		return;
	trace_braid_window_close(q->index, f, q->bq.queued, q->now);
	if (!trace_braid_fetch_enabled())
		return;
	for (i = 0; i < f->n_jobs; i++)
		trace_braid_fetch(q->index, &f->jobs[i], f->window, q->now);
}

/*
 * The queue looks for these from now on; a FETCH that waits is replaced, perhaps
 * by one that @waits. poll() is not concerned: it looks for itself.
 */
static void set_wants(struct braid_queue *q, const struct braid_want *wants, u32 n, bool waits)
{
	lockdep_assert_held(&q->lock);
	q->wants = wants;
	q->n_wants = n;
	WRITE_ONCE(q->fetch_seq, q->fetch_seq + 1);
	WRITE_ONCE(q->kick, false);
	if (q->fetch_waits)
		wake_up_interruptible(&q->agent_wait);
	q->fetch_waits = waits;
}

/* Under the lock. 0, -EAGAIN: nothing yet, or why this FETCH is wrong. */
static int take(struct braid_agent *a, struct bq_fetch *f)
{
	struct braid_queue *q = a->queue;
	int ret;

	ret = a->gone ? -ENODEV : bq_fetch(&q->bq, f, q->now);
	if (!ret)
		trace_window(q, f);
	return ret;
}

/* Into user memory. */
static int copy_out(struct braid_fetch *arg, const struct bq_fetch *f)
{
	int ret;
	u32 i;

	for (i = 0; i < f->n_jobs; i++) {
		f->jobs[i].enqueue_ns = braid_time_out(f->jobs[i].enqueue_ns);
		f->jobs[i].deadline_ns = braid_time_out(f->jobs[i].deadline_ns);
	}
	ret = braid_array_put(&arg->jobs, f->jobs, f->n_jobs, sizeof(*f->jobs));
	if (!ret)
		ret = braid_array_put(&arg->slices, f->slices, f->n_slices, sizeof(*f->slices));
	if (!ret)
		ret = braid_array_put(&arg->events, f->events, f->n_events, sizeof(*f->events));
	if (ret)
		return ret;
	arg->jobs.count = f->n_jobs;
	arg->slices.count = f->n_slices;
	arg->events.count = f->n_events;
	arg->window = f->window;
	arg->generation = f->generation;
	arg->reason = f->reason;
	arg->fusion_policy = f->fusion_policy;
	arg->queued = f->queued;
	return 0;
}

/* Jobs and events that can't get there are lost to this agent: it is dead. */
static int deliver(struct braid_agent *a, struct braid_fetch *arg, const struct bq_fetch *f)
{
	int ret = copy_out(arg, f);

	if (ret)
		braid_agent_dies(a);
	return ret;
}

/*
 * Read the wants and look at once. 0: served; -EAGAIN: they are what the queue
 * looks for now, as number *@seq; else this FETCH is wrong and changes nothing.
 * Under the fetch lock.
 */
static int begin(struct braid_agent *a, struct braid_fetch *arg, unsigned long *seq)
{
	bool waits = !(arg->flags & BRAID_FETCH_NONBLOCK);
	struct braid_want *wants = a->wants[a->turn];
	struct braid_queue *q = a->queue;
	struct bq_fetch f;
	int ret;

	ret = braid_array_get_all(&arg->wants, wants, sizeof(*wants));
	if (ret)
		return ret;
	prepare(a, arg, wants, &f);
	if (braid_array_touch(&arg->jobs, f.max_jobs) ||
	    braid_array_touch(&arg->slices, f.max_slices) ||
	    braid_array_touch(&arg->events, f.max_events))
		return -EFAULT;
	braid_queue_lock(q);
	ret = take(a, &f);
	if (!ret && waits) {
		set_wants(q, NULL, 0, false);
	} else if (!ret || ret == -EAGAIN) {
		set_wants(q, wants, f.n_wants, ret && waits);
		*seq = q->fetch_seq;
		a->turn = !a->turn;
	}
	if (ret == -EAGAIN)
		braid_queue_unlock_looked(q, f.when);
	else
		braid_queue_unlock(q);
	return ret ? ret : deliver(a, arg, &f);
}

/* It is time to look again, under the fetch lock. As begin(). */
static int again(struct braid_agent *a, struct braid_fetch *arg, unsigned long seq)
{
	struct braid_queue *q = a->queue;
	struct bq_fetch f;
	int ret;

	braid_queue_lock(q);
	if (q->fetch_seq != seq) {
		ret = a->gone ? -ENODEV : -ECANCELED;
		braid_queue_unlock(q);
		return ret;
	}
	prepare(a, arg, q->wants, &f);
	ret = take(a, &f);
	if (ret == -EAGAIN) {
		WRITE_ONCE(q->kick, false);
		braid_queue_unlock_looked(q, f.when);
		return ret;
	}
	q->fetch_waits = false;
	set_wants(q, NULL, 0, false);
	braid_queue_unlock(q);
	return ret ? ret : deliver(a, arg, &f);
}

/* A signal: nobody waits for this FETCH any more. */
static void give_up(struct braid_queue *q, unsigned long seq)
{
	braid_queue_lock(q);
	if (q->fetch_seq == seq) {
		q->fetch_waits = false;
		set_wants(q, NULL, 0, false);
	}
	braid_queue_unlock(q);
}

static int wait_and_take(struct braid_agent *a, struct braid_fetch *arg, unsigned long seq)
{
	struct braid_queue *q = a->queue;
	int ret;

	do {
		ret = wait_event_interruptible(q->agent_wait, READ_ONCE(q->kick) ||
					       READ_ONCE(q->fetch_seq) != seq);
		if (!ret)
			ret = mutex_lock_killable(&a->fetch_lock);
		if (ret) {
			give_up(q, seq);
			return ret;
		}
		ret = again(a, arg, seq);
		mutex_unlock(&a->fetch_lock);
	} while (ret == -EAGAIN);
	return ret;
}

int braid_agent_fetch(struct braid_call *call)
{
	struct braid_fetch *arg = &call->arg.fetch;
	struct braid_agent *a = call->agent;
	unsigned long seq;
	int ret;

	if (arg->flags & ~BRAID_FETCH_NONBLOCK)
		return -EOPNOTSUPP;
	ret = mutex_lock_killable(&a->fetch_lock);
	if (ret)
		return ret;
	ret = begin(a, arg, &seq);
	mutex_unlock(&a->fetch_lock);
	if (ret == -EAGAIN && !(arg->flags & BRAID_FETCH_NONBLOCK))
		ret = wait_and_take(a, arg, seq);
	return ret;
}

/* The agent never learned what it was given: to the queue it is dead. */
void braid_agent_fetch_undo(struct braid_call *call)
{
	braid_agent_dies(call->agent);
}

__poll_t braid_agent_poll(struct file *file, poll_table *wait)
{
	struct braid_agent *a = file->private_data;
	struct braid_queue *q = a->queue;
	struct bq_look look;
	__poll_t mask = 0;

	poll_wait(file, &q->agent_wait, wait);
	braid_queue_lock(q);
	if (a->gone)
		mask = EPOLLERR | EPOLLHUP;
	else if (bq_window(&q->bq, q->wants, q->n_wants, q->now, &look))
		;
	else if (look.reason || look.events)
		mask = EPOLLIN | EPOLLRDNORM;
	else
		WRITE_ONCE(q->kick, false);
	/* Others may wait as well: if this is news, they are woken. */
	braid_queue_unlock(q);
	return mask;
}
