/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernels, 5.10 to the newest. Nothing else in kmod/
 * looks at LINUX_VERSION_CODE. Each entry names the release that changed it:
 * it may go when nothing older is built any more.
 */
#ifndef BRAID_KMOD_COMPAT_H
#define BRAID_KMOD_COMPAT_H

#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/version.h>
#include <net/genetlink.h>

/* 5.14: kstrtou32() has a header of its own. */
#if KERNEL_VERSION(5, 14, 0) > LINUX_VERSION_CODE
#include <linux/kernel.h>
#else
#include <linux/kstrtox.h>
#endif

/* 6.4: a class has no owner any more. */
static inline struct class *braid_class_create(const char *name)
{
#if KERNEL_VERSION(6, 4, 0) > LINUX_VERSION_CODE
	return class_create(THIS_MODULE, name);
#else
	return class_create(name);
#endif
}

/* 6.3: flags of a mapping are changed through functions. */
static inline void braid_vm_flags_mod(struct vm_area_struct *vma, vm_flags_t set,
				      vm_flags_t clear)
{
#if KERNEL_VERSION(6, 3, 0) > LINUX_VERSION_CODE
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#else
	vm_flags_mod(vma, set, clear);
#endif
}

/* 6.13: hrtimer_setup(), and 6.15: no hrtimer_init(). */
static inline void braid_hrtimer_setup(struct hrtimer *timer,
				       enum hrtimer_restart (*function)(struct hrtimer *))
{
#if KERNEL_VERSION(6, 13, 0) > LINUX_VERSION_CODE
	hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	timer->function = function;
#else
	hrtimer_setup(timer, function, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
#endif
}

/*
 * 5.11: pages that are charged to a cgroup can be mapped. Before, the charge
 * is kept where the page's mapcount is, and vm_insert_pages() refuses them.
 */
#if KERNEL_VERSION(5, 11, 0) > LINUX_VERSION_CODE
#define BRAID_GFP_MAPPED	GFP_HIGHUSER
#else
#define BRAID_GFP_MAPPED	(GFP_HIGHUSER | __GFP_ACCOUNT)
#endif

/*
 * 5.12: who joins a multicast group can be asked for CAP_NET_ADMIN. By 6.8 under
 * a name of its own, which distributions also have in older kernels.
 */
#if defined(GENL_MCAST_CAP_NET_ADMIN)
#define BRAID_ADMIN_MCGRP(called)	.name = called, .flags = GENL_MCAST_CAP_NET_ADMIN
#elif KERNEL_VERSION(5, 12, 0) <= LINUX_VERSION_CODE
#define BRAID_ADMIN_MCGRP(called)	.name = called, .flags = GENL_UNS_ADMIN_PERM
#else
#define BRAID_ADMIN_MCGRP(called)	.name = called
#endif

#endif
