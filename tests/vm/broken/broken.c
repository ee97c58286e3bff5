// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that is wrong on purpose, once, in the way that its parameter names.
 * It shows that the debug kernels of the test machines notice. One bug a boot:
 * some of the checkers keep quiet after their first report.
 */
#include <linux/debugobjects.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>

static char *bug = "none";
module_param(bug, charp, 0);
MODULE_PARM_DESC(bug, "which: none, kasan, ubsan, lockdep, sleep, leak, object, list, race, rcu");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);
static volatile int bytes = 32;
static int __rcu *published;

/* Read behind an object's end. */
static int break_kasan(void)
{
	u8 *object = kmalloc(bytes, GFP_KERNEL);
	int value;

	if (!object)
		return -ENOMEM;
	value = ((volatile u8 *)object)[bytes];
	kfree(object);
	return value < 0;
}

/* Shift by more than the type has bits. */
static int break_ubsan(void)
{
	volatile int one = 1;

	return (one << (bytes + 8)) < 0;
}

/* Take two locks in one order, then in the other. */
static int break_lockdep(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
	return 0;
}

/* Sleep under a spinlock. */
static int break_sleep(void)
{
	spin_lock(&spin);
	mutex_lock(&first);
	mutex_unlock(&first);
	spin_unlock(&spin);
	return 0;
}

/* Forget objects. Several: a stale pointer may keep one of them alive. */
static int break_leak(void)
{
	int i;

	for (i = 0; i < 16; i++) {
		u64 *lost = kzalloc(200, GFP_KERNEL);

		if (!lost)
			return -ENOMEM;
		lost[0] = i;
	}
	return 0;
}

static void nothing(struct timer_list *timer)
{
}

/* Free a timer that still runs. */
static int break_object(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return -ENOMEM;
	timer_setup(timer, nothing, 0);
	mod_timer(timer, jiffies + 100 * HZ);
	kfree(timer);
	return 0;
}

/* Take a node off a list twice. */
static int break_list(void)
{
	LIST_HEAD(head);
	struct list_head node;

	list_add(&node, &head);
	list_del(&node);
	list_del(&node);
	return 0;
}

static unsigned long shared;

static int racer(void *unused)
{
	while (!kthread_should_stop()) {
		shared++;
		cond_resched();
	}
	return 0;
}

/* Write the same word from two threads, without a lock. */
static int break_race(void)
{
	struct task_struct *one = kthread_run(racer, NULL, "racer/1");
	struct task_struct *two = kthread_run(racer, NULL, "racer/2");

	msleep(3000);
	if (!IS_ERR(one))
		kthread_stop(one);
	if (!IS_ERR(two))
		kthread_stop(two);
	return 0;
}

/* Follow a pointer that RCU guards, unguarded. */
static int break_rcu(void)
{
	int *value = rcu_dereference(published);

	return value ? *value : 0;
}

static const struct {
	const char *name;
	int (*do_it)(void);
} bugs[] = {
	{ "kasan", break_kasan },	{ "ubsan", break_ubsan },
	{ "lockdep", break_lockdep },	{ "sleep", break_sleep },
	{ "leak", break_leak },		{ "object", break_object },
	{ "list", break_list },		{ "race", break_race },
	{ "rcu", break_rcu },
};

static int __init broken_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (!strcmp(bug, bugs[i].name))
			return bugs[i].do_it();
	}
	return strcmp(bug, "none") ? -EINVAL : 0;
}

static void __exit broken_exit(void)
{
}

module_init(broken_init);
module_exit(broken_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Bugs that the test machines must find");
