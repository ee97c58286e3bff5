// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: its queues, their devices and their names.
 *
 * Queues are there before the first device can be opened and go after the last
 * one was closed: an open file holds the module. Nothing here looks into a
 * queue.
 *
 * What is open can't be undone, so all devices can be opened at once, in the
 * last step of loading that may fail: there is one cdev for all of them.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "kmod/braid_priv.h"
#include "kmod/compat.h"

static unsigned int queues = 1;
module_param(queues, uint, 0444);
MODULE_PARM_DESC(queues, "number of queues, 1 to 16: /dev/braid0, /dev/braid1 ...");

unsigned int braid_max_tenants = 10000;
module_param_named(max_tenants, braid_max_tenants, uint, 0644);
MODULE_PARM_DESC(max_tenants, "open files a queue; one owner gets three quarters at most");

unsigned int braid_buffer_quota = 16384;
module_param_named(buffer_quota, braid_buffer_quota, uint, 0644);
MODULE_PARM_DESC(buffer_quota, "buffers an owner may hold");

/* Three quarters of the mappings that the agent's process has by default. */
unsigned int braid_max_buffers = 49152;
module_param_named(max_buffers, braid_max_buffers, uint, 0644);
MODULE_PARM_DESC(max_buffers,
		 "buffers a queue, each a mapping of the agent's; the last quarter is for owners that have none");

static unsigned long byte_quota;
module_param(byte_quota, ulong, 0444);
MODULE_PARM_DESC(byte_quota,
		 "bytes of buffers an owner may hold unless set otherwise; 0: a quarter of the memory, at most 1 GiB");

static unsigned int request_quota = 8192;
module_param(request_quota, uint, 0444);
MODULE_PARM_DESC(request_quota, "requests an owner may have waiting, running or unread unless set otherwise");

struct workqueue_struct *braid_wq;
struct workqueue_struct *braid_free_wq;

static struct braid_queue *all[BRAID_MAX_QUEUES];
static struct class *braid_class;
static struct cdev *cdev;
static bool netlink;
static dev_t first;

struct braid_queue *braid_queue_get(unsigned int index)
{
	return index < queues ? all[index] : NULL;
}

/* Both devices of a queue. */
struct braid_queue *braid_queue_by_minor(unsigned int minor)
{
	return braid_queue_get(minor % queues);
}

/* Tenants have the minors 0 to queues - 1, agents those after them. */
static int any_open(struct inode *inode, struct file *file)
{
	const struct file_operations *fops = &braid_agent_fops;

	if (iminor(inode) < queues)
		fops = &braid_tenant_fops;
	fops = fops_get(fops);
	if (!fops)
		return -ENXIO;
	replace_fops(file, fops);
	return fops->open(inode, file);
}

static const struct file_operations any_fops = {
	.owner = THIS_MODULE,
	.open = any_open,
};

static int add_cdev(void)
{
	struct cdev *c = cdev_alloc();
	int ret;

	if (!c)
		return -ENOMEM;
	c->owner = THIS_MODULE;
	c->ops = &any_fops;
	ret = cdev_add(c, first, 2 * queues);
	if (ret) {
		kobject_put(&c->kobj);
		return ret;
	}
	cdev = c;
	return 0;
}

static int add_devices(struct braid_queue *q)
{
	q->dev = device_create_with_groups(braid_class, NULL, first + q->index, q,
					   braid_groups, "braid%u", q->index);
	if (IS_ERR(q->dev))
		return PTR_ERR(q->dev);
	q->agent_dev = device_create(braid_class, NULL, first + queues + q->index, q,
				     "braid%u-agent", q->index);
	return PTR_ERR_OR_ZERO(q->agent_dev);
}

/* Who was quick when they came found nothing behind them: tell again. */
static void announce_devices(struct braid_queue *q)
{
	kobject_uevent(&q->dev->kobj, KOBJ_ADD);
	kobject_uevent(&q->agent_dev->kobj, KOBJ_ADD);
}

static void del_devices(struct braid_queue *q)
{
	if (!IS_ERR_OR_NULL(q->agent_dev))
		device_unregister(q->agent_dev);
	if (!IS_ERR_OR_NULL(q->dev))
		device_unregister(q->dev);
}

static u64 default_bytes(void)
{
	if (byte_quota)
		return byte_quota;
	return min_t(u64, SZ_1G, (u64)totalram_pages() * PAGE_SIZE / 4);
}

static int add_queues(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < queues; i++) {
		all[i] = kzalloc(sizeof(*all[i]), GFP_KERNEL);
		if (!all[i])
			return -ENOMEM;
		ret = braid_queue_init(all[i], i);
		if (ret) {
			kfree(all[i]);
			all[i] = NULL;
			return ret;
		}
		all[i]->bq.defaults.byte_quota = default_bytes();
		all[i]->bq.defaults.request_quota = request_quota;
	}
	return 0;
}

static void del_queues(void)
{
	unsigned int i;

	for (i = 0; i < queues; i++) {
		if (!all[i])
			continue;
		braid_queue_exit(all[i]);
		kfree(all[i]);
		all[i] = NULL;
	}
}

static int add_workqueues(void)
{
	braid_wq = alloc_workqueue("braid", WQ_HIGHPRI | WQ_UNBOUND, 0);
	if (!braid_wq)
		return -ENOMEM;
	braid_free_wq = alloc_workqueue("braid_free", WQ_UNBOUND, 0);
	return braid_free_wq ? 0 : -ENOMEM;
}

static void del_workqueues(void)
{
	if (braid_free_wq)
		destroy_workqueue(braid_free_wq);
	if (braid_wq)
		destroy_workqueue(braid_wq);
}

static void clean_up(void)
{
	unsigned int i;

	for (i = 0; i < queues; i++)
		if (all[i])
			del_devices(all[i]);
	if (cdev)
		cdev_del(cdev);
	/* Who could tell something is gone, but for a look for stalls. */
	for (i = 0; i < queues; i++)
		if (all[i])
			braid_stall_exit(all[i]);
	if (netlink)
		braid_netlink_exit();
	if (first)
		unregister_chrdev_region(first, 2 * queues);
	if (!IS_ERR_OR_NULL(braid_class))
		class_destroy(braid_class);
	del_queues();
	del_workqueues();
	braid_node_exit();
}

static int __init braid_init(void)
{
	unsigned int i;
	int ret;

	if (queues < 1 || queues > BRAID_MAX_QUEUES) {
		pr_err("braid: queues=%u is not 1 to %u\n", queues, BRAID_MAX_QUEUES);
		return -EINVAL;
	}
	ret = braid_node_init();
	if (!ret)
		ret = add_workqueues();
	if (!ret)
		ret = add_queues();
	if (ret)
		goto err;
	braid_class = braid_class_create("braid");
	if (IS_ERR(braid_class)) {
		ret = PTR_ERR(braid_class);
		goto err;
	}
	ret = alloc_chrdev_region(&first, 0, 2 * queues, "braid");
	for (i = 0; i < queues && !ret; i++)
		ret = add_devices(all[i]);
	if (!ret)
		ret = braid_netlink_init();
	netlink = !ret;
	/* Last: see above. */
	if (!ret)
		ret = add_cdev();
	if (ret)
		goto err;
	for (i = 0; i < queues; i++)
		announce_devices(all[i]);
	return 0;
err:
	clean_up();
	return ret;
}

static void __exit braid_exit(void)
{
	clean_up();
}

module_init(braid_init);
module_exit(braid_exit);
MODULE_DESCRIPTION("Many tenants' inference through one accelerator context");
MODULE_LICENSE("GPL");
