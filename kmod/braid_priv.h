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
 *  wait queues                            the kernel's own
 *
 * braid_queue.lock is a mutex. It is held for a few microseconds as a rule, but
 * core/ ends whole sets at once (a tenant with 65,536 requests dies, a model
 * is withdrawn), and a spinlock would keep its CPU from everything else for
 * that long. It is never held while user memory is touched, since whoever owns
 * that memory decides how long a fault takes, nor while memory is allocated
 * or freed. The outer mutexes belong to one open file each, so with a fault
 * that never ends a process stops itself.
 *
 * Because of the mutex, timers do not look into the queue. There are two:
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
 *  braid_model    one reference of core/, one of each MODEL_GET that copies its
 *                 tensors. They never change.
 *  braid_owner    core/'s alone: tenants and buffers keep it.
 *  requests, flows, shares   core/'s alone.
 */
#ifndef BRAID_KMOD_PRIV_H
#define BRAID_KMOD_PRIV_H

#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "core/queue.h"

#define BRAID_MAX_QUEUES	16
#define BRAID_MAX_WANTS		4096
#define BRAID_MAX_EVENTS	256
#define BRAID_MAX_SLICES	(BRAID_MAX_BATCH * BRAID_MAX_TENSORS)
#define BRAID_WAKE_BATCH	16

/**
 * struct braid_queue - a queue and its two devices
 * @index: N of /dev/braidN
 * @lock: see above
 * @bq: core/'s; under @lock
 * @wants: of the pending FETCH, or of the last one with NONBLOCK; under @lock
 * @n_wants: how many
 * @fetch_seq: counts FETCHes that wait; changed under @lock. A waiter that
 *             finds another number has been replaced
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
 * @dev: braidN
 * @agent_dev: braidN-agent
 */
struct braid_queue {
	unsigned int index;
	struct mutex lock;
	struct bq bq;

	const struct braid_want *wants;
	u32 n_wants;
	unsigned long fetch_seq;
	bool kick;
	wait_queue_head_t agent_wait;

	struct hrtimer look_timer;
	u64 look_at;
	struct hrtimer event_timer;
	u64 event_at;
	struct work_struct event_work;
	u64 now;
	bool stopping;

	struct device *dev;
	struct device *agent_dev;
};

/**
 * struct braid_owner - memory of an owner
 * @o: core/'s
 * @reserved: bytes that BUF_ALLOCs are about to add; under the queue's lock
 * @reserving: how many BUF_ALLOCs; under the queue's lock
 */
struct braid_owner {
	struct bq_owner o;
	u64 reserved;
	u32 reserving;
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
	struct mutex read_lock;
	struct mutex submit_lock;
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
	struct mutex fetch_lock;
	struct mutex commit_lock;
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
 * @n_pages: how many
 * @pages: all of them, from the start; never change
 * @free_work: freeing many of them is nobody else's time
 */
struct braid_buffer {
	struct bq_buffer b;
	struct kref ref;
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
extern struct workqueue_struct *braid_wq;	/* what must not wait */
extern struct workqueue_struct *braid_free_wq;	/* what takes long */

/* The queue of /dev/braid@index, NULL for none. The module keeps it. */
struct braid_queue *braid_queue_get(unsigned int index);
struct braid_queue *braid_queue_by_minor(unsigned int minor);

/* queue.c: in and out of the lock */

int braid_queue_init(struct braid_queue *q, unsigned int index);
void braid_queue_exit(struct braid_queue *q);

/* To look only, or to change: the latter ends with braid_queue_unlock(). */
void braid_queue_lock(struct braid_queue *q);

/* After a look: nothing follows from it. */
static inline void braid_queue_unlock_clean(struct braid_queue *q)
{
	mutex_unlock(&q->lock);
}

/* After a change: see above. */
void braid_queue_unlock(struct braid_queue *q);

/*
 * The agent has looked and found nothing (under the lock, before
 * braid_queue_unlock()): from now on it is woken again.
 */
static inline void braid_queue_looked(struct braid_queue *q)
{
	lockdep_assert_held(&q->lock);
	WRITE_ONCE(q->kick, false);
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

static inline struct braid_owner *braid_owner(struct bq_owner *o)
{
	return container_of(o, struct braid_owner, o);
}

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
int braid_knob_set(struct braid_queue *q, enum bq_knob knob, u32 value);

/**
 * enum braid_note - what is told to whoever listens to the queue
 * @BRAID_NOTE_AGENT_UP: ready; its generation
 * @BRAID_NOTE_AGENT_DOWN: gone; its generation
 * @BRAID_NOTE_TENANT_NEW: tenant, owner
 * @BRAID_NOTE_TENANT_GONE: tenant, owner
 * @BRAID_NOTE_REQUEUE: how many, generation of the agent that died
 * @BRAID_NOTE_KNOB: enum bq_knob, its new value
 */
enum braid_note {
	BRAID_NOTE_AGENT_UP,
	BRAID_NOTE_AGENT_DOWN,
	BRAID_NOTE_TENANT_NEW,
	BRAID_NOTE_TENANT_GONE,
	BRAID_NOTE_REQUEUE,
	BRAID_NOTE_KNOB,
};

/* Called without a lock, may sleep. Nobody listens yet. */
static inline void braid_note(struct braid_queue *q, enum braid_note what, u64 a, u64 b)
{
}

#endif
