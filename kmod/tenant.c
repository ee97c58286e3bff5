// SPDX-License-Identifier: GPL-2.0-only
/*
 * An open file of /dev/braidN: a tenant from open to release, its completions,
 * and its small commands. SUBMIT is in submit.c, buffers in buffer.c.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kmod/braid_priv.h"
#include "kmod/trace.h"

/* Records copied at a time: what a stack can hold. */
#define RECORDS		8

static void tenant_free(struct kref *ref)
{
	struct braid_tenant *t = container_of(ref, struct braid_tenant, ref);

	mutex_destroy(&t->read_lock);
	mutex_destroy(&t->submit_lock);
	kfree(t);
}

void braid_tenant_put(struct braid_tenant *t)
{
	kref_put(&t->ref, tenant_free);
}

static struct braid_tenant *tenant_alloc(struct braid_queue *q)
{
	struct braid_tenant *t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);

	if (!t)
		return NULL;
	t->queue = q;
	kref_init(&t->ref);
	init_waitqueue_head(&t->wait);
	mutex_init(&t->read_lock);
	mutex_init(&t->submit_lock);
	t->pid = task_tgid_nr(current);
	get_task_comm(t->comm, current->group_leader);
	return t;
}

/* One owner must not have all places. */
static int may_open(const struct braid_queue *q, const struct bq_owner *o)
{
	u32 most = READ_ONCE(braid_max_tenants);

	if (q->bq.n_tenants >= most)
		return -EUSERS;
	return o->n_tenants >= braid_owner_part(most) ? -EDQUOT : 0;
}

static int tenant_add(struct braid_tenant *t, u64 key, struct bq_owner **spare)
{
	struct braid_queue *q = t->queue;
	struct bq_owner *o;
	int ret;

	braid_queue_lock(q);
	o = braid_owner_find(q, key, spare);
	ret = may_open(q, o);
	if (!ret) {
		bq_tenant_add(&q->bq, &t->t, o);
		/* core/'s, until it is on the reap list. */
		kref_get(&t->ref);
		trace_braid_tenant_open(q->index, t->t.id, o->key, t->pid);
	} else if (!o->refs && !o->set) {
		/* Nobody's: it goes again. */
		bq_owner_set(&q->bq, o, NULL);
	}
	braid_queue_unlock(q);
	return ret;
}

static int tenant_open(struct inode *inode, struct file *file)
{
	struct braid_queue *q = braid_queue_by_minor(iminor(inode));
	struct bq_owner *spare;
	struct braid_tenant *t;
	int ret = -ENOMEM;
	u64 key;

	if (!q)
		return -ENXIO;
	t = tenant_alloc(q);
	spare = braid_owner_alloc();
	if (!t || !spare)
		goto err;
	key = braid_owner_key(q);
	ret = tenant_add(t, key, &spare);
	if (ret)
		goto err;
	kfree(spare);
	file->private_data = t;
	braid_tell_tenant(t, true, key, 0);
	return stream_open(inode, file);
err:
	kfree(spare);
	if (t)
		braid_tenant_put(t);
	return ret;
}

static int tenant_release(struct inode *inode, struct file *file)
{
	struct braid_tenant *t = file->private_data;
	struct braid_queue *q = t->queue;
	u64 key, submitted;

	braid_queue_lock(q);
	key = t->t.owner->key;
	submitted = t->t.submitted;
	trace_braid_tenant_release(q->index, &t->t);
	while (!bq_tenant_abandon(&q->bq, &t->t, BRAID_AT_ONCE))
		braid_queue_breathe(q);
	bq_tenant_gone(&q->bq, &t->t);
	braid_queue_unlock(q);
	braid_tell_tenant(t, false, key, submitted);
	braid_tenant_put(t);
	return 0;
}

static long tenant_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct braid_tenant *t = file->private_data;
	struct braid_call call = { .queue = t->queue, .tenant = t };

	return braid_ioctl(file, cmd, arg, &call);
}

/*
 * Under the read lock: the first @done of @taken records have been copied; take
 * the next ones. What is left decides whether there is something to read.
 */
static u32 next_records(struct braid_tenant *t, struct braid_completion *rec, u32 taken,
			u32 done, u32 most)
{
	struct braid_completion peek;
	struct braid_queue *q = t->queue;
	u32 n = 0;

	braid_queue_lock_clean(q);
	bq_completion_unsent(&t->t, taken - done);
	bq_completion_seen(&q->bq, &t->t, t->t.seen + done);
	if (taken == done)
		for (; n < most && bq_completion_peek(&t->t, &rec[n]); n++)
			bq_completion_sent(&t->t);
	WRITE_ONCE(t->ready, bq_completion_peek(&t->t, &peek));
	braid_queue_unlock_reap(q);
	return n;
}

/* How many got there. */
static u32 copy_out(struct braid_completion __user *to, struct braid_completion *rec, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++) {
		rec[i].enqueue_ns = braid_time_out(rec[i].enqueue_ns);
		rec[i].fetch_ns = braid_time_out(rec[i].fetch_ns);
		rec[i].done_ns = braid_time_out(rec[i].done_ns);
		if (copy_to_user(&to[i], &rec[i], sizeof(rec[i])))
			break;
	}
	return i;
}

/*
 * Copy what is there, at most @most records. Those that could not be copied
 * stay. Returns how many, or -EFAULT if not even one.
 */
static int copy_records(struct braid_tenant *t, struct braid_completion __user *to, u32 most)
{
	struct braid_completion rec[RECORDS];
	u32 all = 0, n, done;

	n = next_records(t, rec, 0, 0, min_t(u32, most, RECORDS));
	while (n) {
		done = copy_out(to + all, rec, n);
		all += done;
		if (done < n) {
			next_records(t, rec, n, done, 0);
			return all ? all : -EFAULT;
		}
		n = next_records(t, rec, n, done, min_t(u32, most - all, RECORDS));
	}
	return all;
}

static ssize_t tenant_read(struct file *file, char __user *to, size_t bytes, loff_t *pos)
{
	u32 most = min_t(size_t, bytes / sizeof(struct braid_completion), BRAID_MAX_BATCH);
	struct braid_tenant *t = file->private_data;
	int ret;

	if (!most)
		return -EINVAL;
	do {
		if (!READ_ONCE(t->ready)) {
			if (file->f_flags & O_NONBLOCK)
				return -EAGAIN;
			ret = wait_event_interruptible_exclusive(t->wait, READ_ONCE(t->ready));
			if (ret)
				return ret;
		}
		if (mutex_lock_interruptible(&t->read_lock))
			return -ERESTARTSYS;
		ret = copy_records(t, (void __user *)to, most);
		mutex_unlock(&t->read_lock);
		/* One reader is woken at a time: the rest is for the next. */
		if (READ_ONCE(t->ready))
			wake_up_interruptible_poll(&t->wait, EPOLLIN | EPOLLRDNORM);
	} while (!ret);
	return ret < 0 ? ret : ret * sizeof(struct braid_completion);
}

static __poll_t tenant_poll(struct file *file, poll_table *wait)
{
	struct braid_tenant *t = file->private_data;

	poll_wait(file, &t->wait, wait);
	/*
	 * In the queue of those who wait first, only then look: whoever has
	 * something to read sets @ready and then looks into that queue, without
	 * its lock (wq_has_sleeper()). poll_wait() is no barrier before 6.13.
	 */
	smp_mb();
	return READ_ONCE(t->ready) ? EPOLLIN | EPOLLRDNORM : 0;
}

int braid_get_info(struct braid_call *call)
{
	struct braid_get_info *i = &call->arg.get_info;
	struct braid_queue *q = call->queue;
	const struct bq_tenant *t;

	if (i->flags)
		return -EOPNOTSUPP;
	memset(i, 0, sizeof(*i));
	i->abi = BRAID_ABI;
	braid_queue_lock_clean(q);
	i->generation = q->bq.generation;
	i->agent_up = q->bq.ready;
	i->tenant_depth = q->bq.knobs[BQ_TENANT_DEPTH];
	i->models = q->bq.n_usable;
	if (call->tenant) {
		t = &call->tenant->t;
		i->tenant = t->id;
		i->owner = t->owner->key;
		i->outstanding = t->outstanding;
		i->priority_ceiling = t->owner->limits.priority_ceiling;
		i->byte_quota = t->owner->limits.byte_quota;
	}
	braid_queue_unlock_clean(q);
	if (call->tenant)
		i->bytes_used = braid_charged(q, i->owner);
	return 0;
}

/* Under the lock. */
static struct bq_model *find_model(struct bq *bq, const struct braid_model_get *g)
{
	if (g->flags & BRAID_MODEL_GET_NEXT)
		return bq_model_next(bq, g->id);
	if (g->id)
		return bq_model_by_id(bq, g->id);
	return bq_model_by_name(bq, g->name);
}

int braid_model_get(struct braid_call *call)
{
	struct braid_model_get *g = &call->arg.model_get;
	struct braid_queue *q = call->queue;
	struct bq_model *m;
	u32 n, room;
	int ret;

	if (g->flags & ~BRAID_MODEL_GET_NEXT)
		return -EOPNOTSUPP;
	if (!g->flags && !g->id && !memchr(g->name, 0, sizeof(g->name)))
		return -EINVAL;
	braid_queue_lock_clean(q);
	m = find_model(&q->bq, g);
	if (m) {
		kref_get(&braid_model(m)->ref);
		g->device_ns = m->device_ns;
	}
	braid_queue_unlock_clean(q);
	if (!m)
		return -ENOENT;
	g->id = m->id;
	memcpy(g->name, m->name, sizeof(g->name));
	memcpy(g->digest, m->digest, sizeof(g->digest));
	g->n_inputs = m->n_inputs;
	g->n_outputs = m->n_outputs;
	n = m->n_inputs + m->n_outputs;
	room = min(n, g->tensors.count);
	ret = braid_array_put(&g->tensors, m->tensors, room, sizeof(struct braid_tensor));
	g->tensors.count = n;
	braid_model_put(braid_model(m));
	return ret;
}

int braid_cancel(struct braid_call *call)
{
	struct braid_cancel *c = &call->arg.cancel;
	struct braid_queue *q = call->queue;
	int ret;

	if (c->flags)
		return -EOPNOTSUPP;
	if (c->reserved)
		return -E2BIG;
	braid_queue_lock(q);
	ret = bq_cancel(&q->bq, &call->tenant->t, c->id, q->now);
	braid_queue_unlock(q);
	if (ret < 0)
		return ret;
	c->state = ret;
	return 0;
}

const struct file_operations braid_tenant_fops = {
	.owner = THIS_MODULE,
	.open = tenant_open,
	.release = tenant_release,
	.read = tenant_read,
	.poll = tenant_poll,
	.unlocked_ioctl = tenant_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
