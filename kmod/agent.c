// SPDX-License-Identifier: GPL-2.0-only
/*
 * The open file of /dev/braidN-agent: the agent from open to release, its
 * models, and COMMIT. FETCH and poll() are in fetch.c, buffers in buffer.c.
 *
 * One file at a time. Its release is the agent's death, whatever the reason.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kmod/braid_priv.h"
#include "kmod/trace.h"

static void agent_free(struct braid_agent *a)
{
	kvfree(a->wants[0]);
	kvfree(a->wants[1]);
	kvfree(a->jobs);
	kvfree(a->slices);
	kvfree(a->events);
	kvfree(a->results);
	mutex_destroy(&a->fetch_lock);
	mutex_destroy(&a->commit_lock);
	kfree(a);
}

static struct braid_agent *agent_alloc(struct braid_queue *q)
{
	struct braid_agent *a = kzalloc(sizeof(*a), GFP_KERNEL_ACCOUNT);
	gfp_t gfp = GFP_KERNEL_ACCOUNT;

	if (!a)
		return NULL;
	a->queue = q;
	mutex_init(&a->fetch_lock);
	mutex_init(&a->commit_lock);
	a->wants[0] = kvmalloc_array(BRAID_MAX_WANTS, sizeof(*a->wants[0]), gfp);
	a->wants[1] = kvmalloc_array(BRAID_MAX_WANTS, sizeof(*a->wants[1]), gfp);
	a->jobs = kvmalloc_array(BRAID_MAX_BATCH, sizeof(*a->jobs), gfp);
	a->slices = kvmalloc_array(BRAID_MAX_SLICES, sizeof(*a->slices), gfp);
	a->events = kvmalloc_array(BRAID_MAX_EVENTS, sizeof(*a->events), gfp);
	a->results = kvmalloc_array(BRAID_MAX_BATCH, sizeof(*a->results), gfp);
	if (a->wants[0] && a->wants[1] && a->jobs && a->slices && a->events && a->results)
		return a;
	agent_free(a);
	return NULL;
}

static int agent_open(struct inode *inode, struct file *file)
{
	struct braid_queue *q = braid_queue_by_minor(iminor(inode));
	struct braid_agent *a;
	int ret;

	if (!q)
		return -ENXIO;
	a = agent_alloc(q);
	if (!a)
		return -ENOMEM;
	braid_queue_lock(q);
	ret = bq_agent_attach(&q->bq);
	braid_queue_unlock(q);
	if (ret) {
		agent_free(a);
		return ret;
	}
	file->private_data = a;
	return stream_open(inode, file);
}

/*
 * What it has goes back to the queue. Also when FETCH could not deliver what
 * it took: then the agent lacks jobs or events that it will never see again.
 */
void braid_agent_dies(struct braid_agent *a)
{
	struct braid_queue *q = a->queue;
	u64 generation = 0, requeued = 0;
	bool was_ready = false;

	braid_queue_lock(q);
	if (!a->gone) {
		a->gone = true;
		if (trace_braid_requeue_enabled())
			braid_trace_requeues(q);
		was_ready = q->bq.ready;
		generation = q->bq.generation;
		requeued = q->bq.count.requeued;
		bq_agent_gone(&q->bq, q->now);
		requeued = q->bq.count.requeued - requeued;
		q->wants = NULL;
		q->n_wants = 0;
		WRITE_ONCE(q->fetch_seq, q->fetch_seq + 1);
		q->fetch_waits = false;
		WRITE_ONCE(q->kick, false);
	}
	braid_queue_unlock(q);
	/* Another thread of it may be waiting in FETCH. */
	wake_up_interruptible_poll(&q->agent_wait, EPOLLERR | EPOLLHUP);
	if (requeued)
		braid_tell_requeue(q, generation, requeued);
	if (was_ready)
		braid_tell_agent(q, false, generation);
}

static int agent_release(struct inode *inode, struct file *file)
{
	struct braid_agent *a = file->private_data;

	braid_agent_dies(a);
	agent_free(a);
	return 0;
}

static long agent_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct braid_agent *a = file->private_data;
	struct braid_call call = { .queue = a->queue, .agent = a };

	return braid_ioctl(file, cmd, arg, &call);
}

/* A string from user memory: nothing that lay behind its end goes on. */
static void clear_rest(char *s, size_t bytes)
{
	size_t n = strnlen(s, bytes);

	memset(s + n, 0, bytes - n);
}

static struct braid_model *read_model(struct braid_model_put *p, int *ret)
{
	struct braid_model *m;
	u32 i;

	m = braid_model_alloc(p->tensors.count);
	if (!m) {
		*ret = -ENOMEM;
		return NULL;
	}
	clear_rest(p->name, sizeof(p->name));
	memcpy(m->m.name, p->name, sizeof(m->m.name));
	memcpy(m->m.digest, p->digest, sizeof(m->m.digest));
	m->m.device_ns = p->device_ns;
	m->m.n_inputs = p->n_inputs;
	m->m.n_outputs = p->n_outputs;
	*ret = braid_array_get_all(&p->tensors, m->tensors, sizeof(m->tensors[0]));
	if (*ret) {
		braid_model_put(m);
		return NULL;
	}
	for (i = 0; i < p->tensors.count; i++)
		clear_rest(m->tensors[i].name, sizeof(m->tensors[i].name));
	return m;
}

int braid_agent_model_put(struct braid_call *call)
{
	struct braid_model_put *p = &call->arg.model_put;
	struct braid_queue *q = call->queue;
	struct braid_model *m;
	struct bq_model *out;
	int ret;

	if (p->flags)
		return -EOPNOTSUPP;
	if ((u64)p->n_inputs + p->n_outputs != p->tensors.count)
		return -EINVAL;
	m = read_model(p, &ret);
	if (!m)
		return ret;
	out = NULL;
	braid_queue_lock(q);
	ret = call->agent->gone ? -ENODEV : bq_model_put(&q->bq, &m->m, &out);
	if (!ret)
		p->id = out->id;
	braid_queue_unlock(q);
	if (out != &m->m)
		braid_model_put(m);
	return ret;
}

int braid_agent_model_del(struct braid_call *call)
{
	struct braid_model_del *d = &call->arg.model_del;
	struct braid_queue *q = call->queue;
	int ret;

	if (d->flags & ~BRAID_MODEL_DEL_NOW)
		return -EOPNOTSUPP;
	braid_queue_lock(q);
	ret = call->agent->gone ? -ENODEV :
	      bq_model_del(&q->bq, d->id, d->flags & BRAID_MODEL_DEL_NOW, q->now);
	braid_queue_unlock(q);
	return ret;
}

int braid_agent_ready(struct braid_call *call)
{
	struct braid_ready *r = &call->arg.ready;
	struct braid_queue *q = call->queue;
	int ret;

	if (r->flags)
		return -EOPNOTSUPP;
	braid_queue_lock(q);
	ret = call->agent->gone ? -ENODEV : bq_agent_ready(&q->bq, q->now);
	r->generation = q->bq.generation;
	braid_queue_unlock(q);
	if (!ret)
		braid_tell_agent(q, true, r->generation);
	return ret;
}

/* Under the commit lock. */
static int commit(struct braid_agent *a, struct braid_commit *c)
{
	struct braid_queue *q = a->queue;
	int ret;
	u32 i;

	ret = braid_array_get_all(&c->results, a->results, sizeof(a->results[0]));
	if (ret)
		return ret;
	braid_queue_lock(q);
	ret = a->gone ? -ENODEV : bq_commit_check(&q->bq, c->generation);
	for (i = 0; i < c->results.count && !ret; i++) {
		if (!bq_commit(&q->bq, &a->results[i], q->now))
			c->committed++;
		if (i % BRAID_AT_ONCE == BRAID_AT_ONCE - 1) {
			braid_queue_breathe(q);
			ret = a->gone ? -ENODEV : 0;
		}
	}
	braid_queue_unlock(q);
	if (ret)
		return ret;
	return braid_array_put(&c->results, a->results, c->results.count,
			       sizeof(a->results[0]));
}

static int lock_and_commit(struct braid_agent *a, struct braid_commit *c)
{
	int ret;

	if (c->flags & ~BRAID_QUIET)
		return -EOPNOTSUPP;
	if (c->reserved)
		return -E2BIG;
	ret = mutex_lock_killable(&a->commit_lock);
	if (ret)
		return ret;
	ret = commit(a, c);
	mutex_unlock(&a->commit_lock);
	return ret;
}

int braid_agent_commit(struct braid_call *call)
{
	struct braid_commit *c = &call->arg.commit;
	int ret;

	c->committed = 0;
	ret = lock_and_commit(call->agent, c);
	if (ret)
		c->results.count = 0;
	return ret;
}

const struct file_operations braid_agent_fops = {
	.owner = THIS_MODULE,
	.open = agent_open,
	.release = agent_release,
	.poll = braid_agent_poll,
	.unlocked_ioctl = agent_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
