/* SPDX-License-Identifier: MIT */
/*
 * What emulated kernels ask of the engine that runs them (tests/cuda/emu.c),
 * and how an entry looks to it.
 */
#ifndef BRAID_KERNELS_EMU_OPS_H
#define BRAID_KERNELS_EMU_OPS_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct emu_ops - the engine, seen from a thread of a block
 * @half: fp16 bits to float
 * @thread: number of the thread in its block
 * @block: number of the block
 * @smem: the block's shared memory
 * @sync: barrier @id of @threads threads
 * @warp: all 32 lanes meet; the last one calls @op with what each handed in
 * @copy: cp.async: @got bytes and then zeros, delivered by wait() and no sooner
 * @commit: end of a group of copies
 * @wait: deliver all but the youngest @n groups
 * @die: a rule was broken; does not return
 */
struct emu_ops {
	const float *half;
	unsigned int (*thread)(void);
	unsigned int (*block)(void);
	char *(*smem)(void);
	void (*sync)(unsigned int id, unsigned int threads);
	void (*warp)(void *mine, void (*op)(void **all));
	void (*copy)(void *to, const void *from, unsigned int bytes, unsigned int got);
	void (*commit)(void);
	void (*wait)(unsigned int n);
	void (*die)(const char *why);
};

/* An entry of kernels/ compiled with BRAID_EMULATE. */
typedef void (*emu_entry)(const struct emu_ops *ops, const void *args);

#ifdef __cplusplus
}
#endif
#endif
