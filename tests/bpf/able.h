/* SPDX-License-Identifier: MIT */
/*
 * Whether a machine can load BPF programs at all. One that can't is no failure
 * of the probe's: a root without /sys has no type information of its kernel.
 */
#ifndef BRAID_TESTS_BPF_ABLE_H
#define BRAID_TESTS_BPF_ABLE_H

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

/** machine_cannot() - @ret of probe_start() is the machine's fault, not the probe's */
static inline bool machine_cannot(int ret)
{
	return ret == -EPERM || ret == -EACCES || ret == -ENOSYS ||
	       (ret && access("/sys/kernel/btf/vmlinux", R_OK));
}

#endif
