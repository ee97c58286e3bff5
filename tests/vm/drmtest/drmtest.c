// SPDX-License-Identifier: GPL-2.0-only
/*
 * A GPU driver without a GPU: one ring of the real DRM scheduler, two clients,
 * jobs that take as long as a script says. It keeps account itself of what
 * the scheduler did, so that a probe can be compared with it.
 *
 * A script is written to the parameter `script` and has run when the write
 * returns:
 *
 *	qa20  qb20	queue a job of client a or b that takes 20 ms
 *	w		wait until all are done
 *	p50		pause for 50 ms
 *
 * The ring takes one job at a time. Everything is counted in run_job() and
 * where the job's fence is signalled, under one lock.
 */
#include <linux/completion.h>
#include <linux/ctype.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <drm/gpu_scheduler.h>

#define RING	"drmtest_ring"

struct test_job {
	struct drm_sched_job base;
	struct dma_fence fence;
	struct delayed_work end;
	unsigned int ms;
	unsigned int client;
	u64 queued_ns;
};

static struct device *dev;
static struct workqueue_struct *wq;
static struct drm_gpu_scheduler sched;
static struct drm_sched_entity entities[2];
static DEFINE_SPINLOCK(lock);
static DEFINE_MUTEX(script_lock);
static DECLARE_WAIT_QUEUE_HEAD(all_done);
static atomic_t pending;
static u64 fence_context, fence_seqno;

/* What happened; under @lock. */
static unsigned long runs, switches, stalls, idle, stall_us;
static int last_client = -1;
static u64 last_done_ns;
module_param(runs, ulong, 0444);
module_param(switches, ulong, 0444);
module_param(stalls, ulong, 0444);
module_param(idle, ulong, 0444);
module_param(stall_us, ulong, 0444);

static const char *name_of(struct dma_fence *f)
{
	return "drmtest";
}

static void release(struct dma_fence *f)
{
	struct test_job *j = container_of(f, struct test_job, fence);

	kfree(j);
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = name_of,
	.get_timeline_name = name_of,
	.release = release,
};

static void end_job(struct work_struct *work)
{
	struct test_job *j = container_of(work, struct test_job, end.work);
	unsigned long flags;

	spin_lock_irqsave(&lock, flags);
	last_done_ns = ktime_get_ns();
	spin_unlock_irqrestore(&lock, flags);
	dma_fence_signal(&j->fence);
	dma_fence_put(&j->fence);
}

static void account(struct test_job *j)
{
	u64 now = ktime_get_ns();

	runs++;
	if (last_client >= 0 && last_client != j->client) {
		switches++;
		if (j->queued_ns <= last_done_ns) {
			stalls++;
			stall_us += (now - last_done_ns) / 1000;
		} else {
			idle++;
		}
	}
	last_client = j->client;
}

static struct dma_fence *run_job(struct drm_sched_job *base)
{
	struct test_job *j = container_of(base, struct test_job, base);
	unsigned long flags;

	spin_lock_irqsave(&lock, flags);
	account(j);
	spin_unlock_irqrestore(&lock, flags);
	/* One reference for the timer, one for the scheduler. */
	dma_fence_get(&j->fence);
	dma_fence_get(&j->fence);
	queue_delayed_work(wq, &j->end, msecs_to_jiffies(j->ms));
	return &j->fence;
}

static void free_job(struct drm_sched_job *base)
{
	struct test_job *j = container_of(base, struct test_job, base);

	drm_sched_job_cleanup(base);
	dma_fence_put(&j->fence);
	if (atomic_dec_and_test(&pending))
		wake_up_all(&all_done);
}

static const struct drm_sched_backend_ops ops = {
	.run_job = run_job,
	.free_job = free_job,
};

/* Kbuild looks which of these the kernel's header has. */
static int init_sched(void)
{
#ifdef HAVE_INIT_ARGS
	const struct drm_sched_init_args args = {
		.ops = &ops,
#ifdef HAVE_NUM_RQS
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
#endif
		.credit_limit = 1,
		.timeout = MAX_SCHEDULE_TIMEOUT,
		.name = RING,
		.dev = dev,
	};

	return drm_sched_init(&sched, &args);
#elif defined(HAVE_CREDITS)
	return drm_sched_init(&sched, &ops, NULL, DRM_SCHED_PRIORITY_COUNT, 1, 0,
			      MAX_SCHEDULE_TIMEOUT, NULL, NULL, RING, dev);
#else
	return drm_sched_init(&sched, &ops, 1, 0, MAX_SCHEDULE_TIMEOUT, NULL, NULL, RING, dev);
#endif
}

static int init_job(struct test_job *j)
{
	struct drm_sched_entity *e = &entities[j->client];

#ifdef HAVE_CLIENT_ID
	return drm_sched_job_init(&j->base, e, 1, NULL, 100 + j->client);
#elif defined(HAVE_CREDITS)
	return drm_sched_job_init(&j->base, e, 1, NULL);
#else
	return drm_sched_job_init(&j->base, e, NULL);
#endif
}

static int queue_one(unsigned int client, unsigned int ms)
{
	struct test_job *j = kzalloc(sizeof(*j), GFP_KERNEL);
	int ret;

	if (!j)
		return -ENOMEM;
	j->client = client;
	j->ms = ms;
	INIT_DELAYED_WORK(&j->end, end_job);
	ret = init_job(j);
	if (ret) {
		kfree(j);
		return ret;
	}
	dma_fence_init(&j->fence, &fence_ops, &lock, fence_context, ++fence_seqno);
	atomic_inc(&pending);
	drm_sched_job_arm(&j->base);
	j->queued_ns = ktime_get_ns();
	drm_sched_entity_push_job(&j->base);
	return 0;
}

static int run_script(const char *s, const struct kernel_param *kp)
{
	int ret = 0;

	mutex_lock(&script_lock);
	while (*s && !ret) {
		char word = *s++, client = 0;
		unsigned int n = 0;

		if (isspace(word))
			continue;
		if (word == 'q')
			client = *s ? *s++ : 0;
		while (isdigit(*s))
			n = n * 10 + *s++ - '0';
		if (word == 'q' && (client == 'a' || client == 'b'))
			ret = queue_one(client - 'a', n);
		else if (word == 'w')
			wait_event(all_done, !atomic_read(&pending));
		else if (word == 'p')
			msleep(n);
		else
			ret = -EINVAL;
	}
	wait_event(all_done, !atomic_read(&pending));
	mutex_unlock(&script_lock);
	return ret;
}

static const struct kernel_param_ops script_ops = { .set = run_script };
module_param_cb(script, &script_ops, NULL, 0200);

static int __init drmtest_init(void)
{
	struct drm_gpu_scheduler *list[] = { &sched };
	int ret;

	dev = root_device_register("drmtest");
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	fence_context = dma_fence_context_alloc(1);
	ret = -ENOMEM;
	wq = alloc_workqueue("drmtest", WQ_UNBOUND, 0);
	if (!wq)
		goto err;
	ret = init_sched();
	if (ret)
		goto err_wq;
	ret = drm_sched_entity_init(&entities[0], DRM_SCHED_PRIORITY_NORMAL, list, 1, NULL);
	if (!ret)
		ret = drm_sched_entity_init(&entities[1], DRM_SCHED_PRIORITY_NORMAL, list, 1,
					    NULL);
	if (!ret)
		return 0;
	drm_sched_fini(&sched);
err_wq:
	destroy_workqueue(wq);
err:
	root_device_unregister(dev);
	return ret;
}

static void __exit drmtest_exit(void)
{
	drm_sched_entity_destroy(&entities[0]);
	drm_sched_entity_destroy(&entities[1]);
	drm_sched_fini(&sched);
	/* Fences are freed by their last user, and their code is here. */
	rcu_barrier();
	destroy_workqueue(wq);
	root_device_unregister(dev);
}

module_init(drmtest_init);
module_exit(drmtest_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A ring of the DRM scheduler without a GPU, for tests");
