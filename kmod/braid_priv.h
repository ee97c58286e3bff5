/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * braid.ko: objects, who keeps them alive, and which lock protects what.
 *
 * Locks, outermost first
 *
 *  braid_agent.fetch_lock, .commit_lock   arrays of one FETCH, one COMMIT
 *  braid_tenant.submit_lock               ids of one SUBMIT are consecutive
 *  braid_tenant.read_lock                 one reader copies records at a time
 *  braid_queue.lock                       all of core/: struct bq and every
 *                                         node that hangs in it
 *  braid_queue.charge_lock                struct braid_charge
 *  wait queues, timers                    the kernel's own
 *
 * braid_queue.lock is a spinlock, never taken in an interrupt. With a mutex a
 * tenant could be preempted, or its cgroup throttled, while it holds the queue,
 * and everybody would wait until the scheduler likes that tenant again. The
 * price is that nobody may hold it for long, so what can be much at once is
 * done BRAID_AT_ONCE at a time, and others come in between: a SUBMIT, a COMMIT,
 * a tenant's death, a heap of deadlines. What remains in one piece is the
 * agent's: a FETCH, the end of an agent (what it had, and all buffers), models
 * withdrawn.
 *
 * User memory is never touched and nothing is allocated or freed under it. The
 * outer locks are mutexes and belong to one open file each: a process whose
 * memory answers a fault slowly, or never, stops itself.
 *
 * Timers do not look into the queue. There are two:
 *
 *  look_timer   when a pending FETCH should look again (a window gets old, a
 *               deadline comes near). Wakes the agent, which looks itself.
 *  event_timer  when something expires (deadlines, the hold after an agent's
 *               death). Queues event_work, which takes the lock; so a deadline
 *               ends a request whatever the agent does.
 *
 * Whoever has changed the queue leaves it by braid_queue_unlock(). That looks
 * whether the pending FETCH can be served, sets the timers, takes what is dead
 * off the reap list, drops the lock, and only then wakes and frees.
 *
 * A FETCH waits in its own task, with its wants left in braid_queue.wants so
 * that others can tell whether they could be served. `kick` is set once when
 * they can, or when it is time to look, and cleared by the agent when it has
 * looked: ten submitters wake it once. What it takes, it takes itself, so a
 * FETCH that a signal ends has taken nothing.
 *
 * No pointer to a request leaves the lock: tenants name requests by id,
 * agents by cookie, and both are looked up again every time.
 *
 * Lives
 *
 *  braid_queue    from module_init to module_exit. An open file holds the
 *                 module, so files never outlive it.
 *  braid_tenant   one reference of its file, one of core/ (until it comes back
 *                 on the reap list), one of each that is about to wake it.
 *  braid_agent    its file's.
 *  braid_buffer   one reference of core/ (until the agent has put it), one of
 *                 each file that stands for it; a mapping holds its file.
 *  braid_charge   there while its owner has memory of buffers, in core/ or
 *                 only mapped.
 *  braid_model    one reference of core/, one of each MODEL_GET that copies its
 *                 tensors. They never change.
 *  bq_owner, requests, flows, shares   core/'s alone.
 */
#ifndef BRAID_KMOD_PRIV_H
#define BRAID_KMOD_PRIV_H

#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "core/queue.h"

#define BRAID_MAX_QUEUES	16
#define BRAID_MAX_WANTS		4096
#define BRAID_MAX_EVENTS	256
#define BRAID_MAX_SLICES	(BRAID_MAX_BATCH * BRAID_MAX_TENSORS)
#define BRAID_AT_ONCE		64

/**
 * struct braid_queue - a queue and its two devices
 * @index: N of /dev/braidN
 * @lock: see above
 * @bq: core/'s; under @lock
 * @wants: of the pending FETCH, or of the last one with NONBLOCK; under @lock
 * @n_wants: how many
 * @fetch_seq: counts FETCHes that wait; changed under @lock. A waiter that
 *             finds another number has been replaced
 * @fetch_waits: one does; under @lock
 * @kick: the agent should look; set by anybody, cleared under @lock
 * @agent_wait: FETCH and poll() of the agent
 * @look_timer: see above; set under @lock
 * @look_at: what it is set to
 * @event_timer: see above; set under @lock
 * @event_at: what it is set to
 * @event_work: see above
 * @now: when @lock was taken, the time that core/ is told until it is dropped;
 *       never the same twice; under @lock
 * @stopping: timers are not set any more; under @lock
 * @charge_lock: @charges and all of them, and @n_buffers
 * @charges: struct braid_charge by owner
 * @n_buffers: all that are charged to somebody
 * @stall_work: looks for a stall once a second while an agent is ready
 * @stall: what it saw; its own, with @lock held
 * @dev: braidN
 * @agent_dev: braidN-agent
 */
struct braid_queue {
	unsigned int index;
	spinlock_t lock;	/* see above */
	struct bq bq;

	const struct braid_want *wants;
	u32 n_wants;
	unsigned long fetch_seq;
	bool fetch_waits;
	bool kick;
	wait_queue_head_t agent_wait;

	struct hrtimer look_timer;
	u64 look_at;
	struct hrtimer event_timer;
	u64 event_at;
	struct work_struct event_work;
	u64 now;
	bool stopping;

	spinlock_t charge_lock;	/* see above */
	struct bq_rb_root charges;
	u32 n_buffers;

	struct delayed_work stall_work;
	struct bq_stall stall;

	struct device *dev;
	struct device *agent_dev;
};

/**
 * struct braid_charge - memory of an owner's buffers, whoever still uses it
 * @by_key: in the queue's charges
 * @key: the owner's
 * @bytes: of buffers, whole pages, from before they are allocated until they are
 *         freed
 * @buffers: how many
 *
 * core/ forgets a buffer when the agent has put it, but its tenant may keep it
 * mapped for ever: that must not be free of charge. Under charge_lock.
 */
struct braid_charge {
	struct bq_rb_node by_key;
	u64 key;
	u64 bytes;
	u32 buffers;
};

/**
 * struct braid_tenant - an open file of /dev/braidN
 * @t: core/'s; under the queue's lock
 * @queue: its queue
 * @ref: see above
 * @wait: read() and poll()
 * @ready: there are completions to read; changed under the queue's lock, read
 *         without it as a hint
 * @read_lock: see above
 * @submit_lock: see above
 * @pid: of the process that opened it, as the first pid namespace sees it
 * @comm: its name then
 */
struct braid_tenant {
	struct bq_tenant t;
	struct braid_queue *queue;
	struct kref ref;
	wait_queue_head_t wait;
	bool ready;
	struct mutex read_lock;		/* see above */
	struct mutex submit_lock;	/* see above */
	pid_t pid;
	char comm[TASK_COMM_LEN];
};

/**
 * struct braid_agent - the open file of /dev/braidN-agent
 * @queue: its queue
 * @gone: core/ was told that it is dead already; under the queue's lock
 * @fetch_lock: @wants[] but for those the queue points to, and the arrays that
 *              a FETCH fills; not held while a FETCH waits
 * @commit_lock: @results
 * @wants: in turn, those of the pending FETCH and those being read
 * @turn: which are free
 * @jobs: BRAID_MAX_BATCH
 * @slices: BRAID_MAX_SLICES
 * @events: BRAID_MAX_EVENTS
 * @results: BRAID_MAX_BATCH
 *
 * All of it is allocated at open, so FETCH and COMMIT allocate nothing.
 */
struct braid_agent {
	struct braid_queue *queue;
	bool gone;
	struct mutex fetch_lock;	/* see above */
	struct mutex commit_lock;	/* see above */
	struct braid_want *wants[2];
	unsigned int turn;
	struct braid_job *jobs;
	struct braid_slice *slices;
	struct braid_event *events;
	struct braid_result *results;
};

/**
 * struct braid_buffer - pages that a tenant and the agent share
 * @b: core/'s; under the queue's lock
 * @ref: see above
 * @queue: where it is charged
 * @charge: to whom
 * @bytes: how much
 * @n_pages: how many
 * @pages: all of them, from the start; never change
 * @free_work: freeing many of them is nobody else's time
 */
struct braid_buffer {
	struct bq_buffer b;
	struct kref ref;
	struct braid_queue *queue;
	struct braid_charge *charge;
	u64 bytes;
	unsigned long n_pages;
	struct page **pages;
	struct work_struct free_work;
};

/* A model and its tensors. */
struct braid_model {
	struct bq_model m;
	struct kref ref;
	struct braid_tensor tensors[];
};

/**
 * union braid_arg - a command's structure, in this version
 */
union braid_arg {
	u32 size;
	struct braid_get_info get_info;
	struct braid_model_get model_get;
	struct braid_buf_alloc buf_alloc;
	struct braid_buf_free buf_free;
	struct braid_submit submit;
	struct braid_cancel cancel;
	struct braid_model_put model_put;
	struct braid_model_del model_del;
	struct braid_ready ready;
	struct braid_fetch fetch;
	struct braid_commit commit;
	struct braid_buf_get_fd buf_get_fd;
	struct braid_buf_put buf_put;
};

/**
 * struct braid_call - a command being carried out
 * @queue: the file's
 * @tenant: who calls; NULL for the agent
 * @agent: who calls; NULL for a tenant
 * @file: the file
 * @arg: the structure; what the caller's lacks is zero
 * @new_file: to be installed at @new_fd when all else has gone well
 * @new_fd: reserved number, as also in @arg
 */
struct braid_call {
	struct braid_queue *queue;
	struct braid_tenant *tenant;
	struct braid_agent *agent;
	struct file *file;
	union braid_arg arg;
	struct file *new_file;
	int new_fd;
};

/* main.c */

extern unsigned int braid_max_tenants;
extern unsigned int braid_buffer_quota;
extern unsigned int braid_max_buffers;
extern struct workqueue_struct *braid_wq;	/* what must not wait */
extern struct workqueue_struct *braid_free_wq;	/* what takes long */

/* The queue of /dev/braid@index, NULL for none. The module keeps it. */
struct braid_queue *braid_queue_get(unsigned int index);
struct braid_queue *braid_queue_by_minor(unsigned int minor);

/* queue.c: in and out of the lock */

int braid_queue_init(struct braid_queue *q, unsigned int index);
void braid_queue_exit(struct braid_queue *q);

/* When it returns, all that has expired by q->now has ended. */
void braid_queue_lock(struct braid_queue *q) __acquires(&q->lock);

/* After a change: see above. */
void braid_queue_unlock(struct braid_queue *q) __releases(&q->lock);

/*
 * After the agent's own look found nothing but @when to look again. The kick
 * was cleared before: from now on it is woken.
 */
void braid_queue_unlock_looked(struct braid_queue *q, u64 when) __releases(&q->lock);

/* After braid_queue_lock_clean() and a change from which nothing follows but dead nodes. */
void braid_queue_unlock_reap(struct braid_queue *q) __releases(&q->lock);

/* To look only: nothing may be changed. */
static inline void braid_queue_lock_clean(struct braid_queue *q) __acquires(&q->lock)
{
	spin_lock(&q->lock);
}

static inline void braid_queue_unlock_clean(struct braid_queue *q) __releases(&q->lock)
{
	spin_unlock(&q->lock);
}

/* Let others in: what was found before may be gone. */
static inline void braid_queue_breathe(struct braid_queue *q)
{
	braid_queue_unlock(q);
	cond_resched();
	braid_queue_lock(q);
}

/* trace.c: completions that came since the lock was taken */
void braid_trace_completions(struct braid_queue *q, struct braid_tenant *t);
void braid_trace_requeues(struct braid_queue *q);

/* node.c: memory of what core/ holds */

int braid_node_init(void);
void braid_node_exit(void);
struct bq_request *braid_request_alloc(u32 n_slots);
void braid_request_free(struct bq_request *r);
struct braid_model *braid_model_alloc(u32 n_tensors);
void braid_model_put(struct braid_model *m);
void braid_reap(struct bq_reap *dead);

static inline struct braid_model *braid_model(struct bq_model *m)
{
	return container_of(m, struct braid_model, m);
}

/* owner.c */

u64 braid_owner_key(struct braid_queue *q);
struct bq_owner *braid_owner_alloc(void);

/*
 * Find the owner, or put *@spare there and set it to NULL; NULL without one.
 * Under the lock.
 */
struct bq_owner *braid_owner_find(struct braid_queue *q, u64 key, struct bq_owner **spare);

/*
 * Charge @bytes of a new buffer to @key, at most @quota in all. *@spare as
 * above; fails with -EDQUOT.
 */
struct braid_charge *braid_charge(struct braid_queue *q, u64 key, u64 bytes, u64 quota,
				  struct braid_charge **spare);
void braid_uncharge(struct braid_queue *q, struct braid_charge *c, u64 bytes);
u64 braid_charged(struct braid_queue *q, u64 key);

/* What one owner may have of @all: the rest is for others. */
static inline u32 braid_owner_part(u32 all)
{
	return all - all / 4;
}

/* ioctl.c: the one table, and arrays in user memory */

long braid_ioctl(struct file *file, unsigned int cmd, unsigned long arg,
		 struct braid_call *call);
int braid_array_get(const struct braid_array *a, u32 i, void *elem, u32 bytes);
int braid_array_get_all(const struct braid_array *a, void *elems, u32 bytes);
int braid_array_put(const struct braid_array *a, const void *elems, u32 n, u32 bytes);
int braid_array_touch(const struct braid_array *a, u32 n);

/* Times as the caller's time namespace sees them, 0 stays 0. */
u64 braid_time_in(u64 ns);
u64 braid_time_out(u64 ns);

/* tenant.c, submit.c, buffer.c, agent.c, fetch.c: what the table calls */

extern const struct file_operations braid_tenant_fops;
extern const struct file_operations braid_agent_fops;
void braid_tenant_put(struct braid_tenant *t);

int braid_get_info(struct braid_call *call);
int braid_model_get(struct braid_call *call);
int braid_submit(struct braid_call *call);
int braid_cancel(struct braid_call *call);
int braid_buf_alloc(struct braid_call *call);
void braid_buf_alloc_undo(struct braid_call *call);
int braid_buf_free(struct braid_call *call);

int braid_agent_model_put(struct braid_call *call);
int braid_agent_model_del(struct braid_call *call);
int braid_agent_ready(struct braid_call *call);
int braid_agent_fetch(struct braid_call *call);
void braid_agent_fetch_undo(struct braid_call *call);
int braid_agent_commit(struct braid_call *call);
int braid_agent_buf_get_fd(struct braid_call *call);
int braid_agent_buf_put(struct braid_call *call);
void braid_agent_dies(struct braid_agent *a);
__poll_t braid_agent_poll(struct file *file, poll_table *wait);

/* buffer.c */

void braid_buffer_put(struct braid_buffer *b);
void braid_buffer_put_later(struct braid_buffer *b);

/* sysfs.c */

extern const struct attribute_group *braid_groups[];

/* A knob as its file in sysfs has it: its name, and @value in words. */
const char *braid_knob_name(enum bq_knob knob);
const char *braid_knob_text(enum bq_knob knob, u32 value, char *buf, size_t len);

/* netlink.c */

int braid_netlink_init(void);
void braid_netlink_exit(void);

/*
 * netlink_event.c: what is told to whoever listens to the queue. Called without
 * a lock, may sleep. Of a tenant that is gone @t is only memory.
 */
void braid_tell_agent(struct braid_queue *q, bool up, u64 generation);
void braid_tell_requeue(struct braid_queue *q, u64 generation, u32 requeued);
void braid_tell_tenant(const struct braid_tenant *t, bool came, u64 owner, u64 submitted);
void braid_tell_knob(struct braid_queue *q, enum bq_knob knob, u32 value);
void braid_stall_init(struct braid_queue *q);
void braid_stall_exit(struct braid_queue *q);

#endif
