/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every BPF program here includes: the uapi types, libbpf's helpers, and
 * all that differs between kernels, in one place.
 *
 * There is no vmlinux.h. uprobes and USDT need only the registers, which are
 * uapi; what tracepoints carry is found by the loader in tracefs and handed in
 * as constants (struct field_at). So nothing is generated from the kernel of
 * the machine that builds, and nothing needs the BTF of the one that runs.
 *
 * Kernels: 6.1 and later. Attach cookies (5.15) and atomic exchange (5.12)
 * are taken for granted.
 */
#ifndef BRAID_BPF_COMPAT_BPF_H
#define BRAID_BPF_COMPAT_BPF_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define ENOENT	2

/* libbpf before 1.2 stops at the fifth. */
#if defined(__TARGET_ARCH_x86)
#define PARM6(ctx)	((ctx)->r9)
#elif defined(__TARGET_ARCH_arm64)
#define PARM6(ctx)	(((const volatile struct user_pt_regs *)(ctx))->regs[5])
#endif

#define add(p, n)	((void)__sync_fetch_and_add((p), (n)))

/* The 64 bits at @p become @v; what was there is returned. Needs -mcpu=v3. */
static __always_inline __u64 exchange(__u64 *p, __u64 v)
{
	return __sync_lock_test_and_set(p, v);
}

/* Raise *@p to @v. A few others may do so at the same moment, no more. */
static __always_inline void raise(__u64 *p, __u64 v)
{
	__u64 seen = *(volatile __u64 *)p;

	for (int i = 0; i < 8 && seen < v; i++)
		seen = __sync_val_compare_and_swap(p, seen, v);
}

/* The bucket of a histogram by powers of two: 0 for 0, else 1 + log2(v). */
static __always_inline __u32 bucket(__u64 v, __u32 buckets)
{
	__u32 b = 0;

	if (v >> 32) {
		v >>= 32;
		b += 32;
	}
	if (v >> 16) {
		v >>= 16;
		b += 16;
	}
	if (v >> 8) {
		v >>= 8;
		b += 8;
	}
	if (v >> 4) {
		v >>= 4;
		b += 4;
	}
	if (v >> 2) {
		v >>= 2;
		b += 2;
	}
	if (v >> 1) {
		v >>= 1;
		b += 1;
	}
	b += v;
	return b < buckets ? b : buckets - 1;
}

#endif
