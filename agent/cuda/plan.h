/* SPDX-License-Identifier: MIT */
/*
 * A GPU plan: what a program is once it has been lowered to kernels.
 *
 * Plain data made on the host without any CUDA call, so that all of it can be
 * tested, and run under the emulator (tests/cuda/emu.h), on a machine without a
 * GPU. Made once when a model is loaded, immutable afterwards; any number of
 * threads may read it and bind its steps.
 *
 *   kernels	__global__ entries: source text for NVRTC with the shapes as
 *		constants, and the name of the generic entry with the same
 *		arguments that serves until that is compiled
 *   steps	launches in an order that respects their dependencies; at each
 *		degree a step is one launch of one kernel
 *   image	weights packed as the kernels like them, to be copied to the
 *		device once
 *   arena	scratch tensors, at degree R: R times arena_bytes
 *   scratch	partial sums and counters, by degree; its first bytes must be
 *		zero before the first launch, and every launch leaves them so
 *
 * Tenants' buffers are reached through the io table: 64-bit device addresses,
 * one row a request, n_inputs then n_outputs; tensors there have the model's
 * own types and layout. The table itself lies where the device can read it;
 * its address is bound into the steps, so what it says may change from launch
 * to launch of one graph. Every address in it must be aligned to 16 bytes.
 *
 * No lock: immutable after gpu_plan_make().
 */
#ifndef BRAID_AGENT_CUDA_PLAN_H
#define BRAID_AGENT_CUDA_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct program;
struct gpu_tiles;

#define GPU_MAX_DEGREE		64u
#define GPU_ARGS_MAX		1024u	/* bytes of a kernel's argument struct */
#define GPU_MAX_DEGREES		16u	/* degrees that a plan chooses tiles for */
#define GPU_FUSE_MAX		16u	/* kernels side by side in one */
#define GPU_FUSE_ARGS_MAX	4096u	/* bytes of their arguments together */

enum gpu_mode {
	GPU_FP16,	/* fp16 storage, fp32 accumulation */
	GPU_FP32,	/* fp32 storage, plain FMA: the reference */
};

/**
 * struct gpu_options - what a plan is made for
 * @mode: storage of floats
 * @sm: compute capability, 80 to 90 (87: Jetson Orin)
 * @n_sms: multiprocessors that the launches will have, 0: 132
 * @crowd: of the device, where it runs other launches as well and @n_sms are what one
 *         of them gets; 0: launches have all there are
 * @degrees: ascending; tiles are chosen for these, and a degree between two of
 *           them takes those of the lower; NULL: 1 to 8, 12, 16, 24, 32
 * @n_degrees: how many, at most GPU_MAX_DEGREES
 * @tiles: measured table that chooses tiles before the one built in; may be NULL
 * @no_fusion: one step an operation wherever that can be: for comparison
 * @image: weights as an earlier plan of the same program, options and build has
 *         packed them: they are taken as they are. The plan's image is this one
 *         then, and the caller's to keep and to free; NULL: they are packed
 * @image_bytes: how many
 */
struct gpu_options {
	enum gpu_mode mode;
	uint32_t sm, n_sms, crowd;
	const uint32_t *degrees;
	uint32_t n_degrees;
	const struct gpu_tiles *tiles;
	bool no_fusion;
	const void *image;
	uint64_t image_bytes;
};

/**
 * struct gpu_kernel - one __global__ entry
 * @name: its symbol, a C identifier; tells sources apart (a hash is in it)
 * @source: text for NVRTC; includes files of gpu_headers[] by name
 * @generic: entry of the ahead-of-time build (gpu_generic_image()) that takes
 *           the same arguments, threads and shared memory
 * @specialised: @source knows the shapes, so that compiling it is worth while;
 *               false: @generic is as good
 * @threads: a block's, always 256
 * @smem: dynamic shared memory of a block, bytes; over 48 KiB must be allowed
 *        with CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
 * @min_ctas: blocks a multiprocessor that it is compiled for
 * @args_bytes: size of its argument struct
 * @decl: for gpu_fused_make(): declarations that @call needs
 * @call: for gpu_fused_make(): a call of the tile function up to its arguments
 * @args: name of the argument struct
 */
struct gpu_kernel {
	const char *name, *source, *generic;
	bool specialised;
	uint32_t threads, smem, min_ctas, args_bytes;
	const char *decl, *call, *args;
};

/**
 * struct gpu_step - one launch of every run
 * @node: ONNX node (the last one, where several are in it), for messages
 * @op_type: its operator
 * @what: what the step does, in a word or two, for profiles
 * @deps: steps that must be complete first, ascending, all below this one's
 *        number; transitively reduced
 * @n_deps: how many
 */
struct gpu_step {
	const char *node, *op_type, *what;
	const uint32_t *deps;
	uint32_t n_deps;
};

/**
 * struct gpu_plan - a whole model
 * @kernels: all kernels of all degrees in options.degrees
 * @steps: in an order that respects dependencies
 * @image: weights, PROG_ALIGN aligned
 * @image_bytes: their size
 * @arena_bytes: scratch tensors of one request
 * @n_inputs: columns of the io table
 * @n_outputs: further columns
 * @max_degree: most requests that a launch can merge
 * @priv: the maker's own
 */
struct gpu_plan {
	struct gpu_kernel *kernels;
	struct gpu_step *steps;
	uint32_t n_kernels, n_steps;
	void *image;
	uint64_t image_bytes, arena_bytes;
	uint32_t n_inputs, n_outputs, max_degree;
	struct gpu_plan_priv *priv;
};

/**
 * gpu_plan_make() - lower a verified program
 * @p: the program; not needed any more afterwards
 * @opt: what for
 * @plan: set on success; gpu_plan_free() it
 * @why: words on failure: operator, node, reason; may be NULL
 * @len: size of @why
 *
 * Return: 0; -EOPNOTSUPP for what no kernel does; -ENOMEM; -EINVAL for options;
 * -ESTALE for an image of something else.
 */
int gpu_plan_make(const struct program *p, const struct gpu_options *opt,
		  struct gpu_plan **plan, char *why, size_t len);
void gpu_plan_free(struct gpu_plan *plan);

/**
 * gpu_mode_auto() - the mode that suits a program, see agent/lower/precision.c
 * @p: the program
 */
enum gpu_mode gpu_mode_auto(const struct program *p);

/**
 * gpu_tiles_read() - a measured table of tiles from a file
 * @path: as braid-tune sweep writes it, of any devices
 * @opt: the device, and whether launches are in a crowd
 * @out: set; NULL where there is no such file, or nothing of this device in it
 *
 * Return: 0, -EINVAL where it is no such table, or what reading gave.
 */
int gpu_tiles_read(const char *path, const struct gpu_options *opt, struct gpu_tiles **out);
void gpu_tiles_free(struct gpu_tiles *t);

/**
 * gpu_plan_scratch() - scratch at a degree
 * @plan: the plan
 * @degree: 1 to max_degree
 * @zero: bytes from its start on that must be zero before the first launch;
 *        may be NULL
 *
 * Return: bytes in all, 0 where none is needed. Grows with the degree, and so
 * does @zero, but a lane that runs several degrees over one scratch must zero
 * what the largest one asks for, and run one launch at a time.
 */
uint64_t gpu_plan_scratch(const struct gpu_plan *plan, uint32_t degree, uint64_t *zero);

/**
 * struct gpu_addresses - device addresses of a lane
 * @weights: the image, aligned to 256 bytes
 * @arena: at least degree times arena_bytes, aligned to 256 bytes
 * @scratch: at least gpu_plan_scratch() bytes, aligned to 256 bytes
 * @io: table of degree rows
 */
struct gpu_addresses {
	uint64_t weights, arena, scratch, io;
};

/**
 * struct gpu_launch - what to launch
 * @kernel: number in plan->kernels
 * @grid: blocks, one-dimensional, at least 1
 * @args_bytes: used of @args
 * @args: the one argument, passed by value
 */
struct gpu_launch {
	uint32_t kernel, grid, args_bytes;
	_Alignas(16) uint8_t args[GPU_ARGS_MAX];
};

/**
 * gpu_step_bind() - a step at a degree with its addresses
 * @plan: the plan
 * @step: number of the step
 * @degree: 1 to max_degree
 * @at: addresses; not read through, so any numbers will do for a look at grids
 * @out: set here
 *
 * No allocation; cheap. Return: 0, or -EINVAL for a degree out of range.
 */
int gpu_step_bind(const struct gpu_plan *plan, uint32_t step, uint32_t degree,
		  const struct gpu_addresses *at, struct gpu_launch *out);

/* ---- kernels of several models side by side ---- */

/**
 * struct gpu_fused - kernels in one, by block: each has a range of blocks
 * @kernel: as others are; its strings are owned by this struct
 * @n: number of parts
 * @offset: of each part's argument struct in the fused one's
 */
struct gpu_fused {
	struct gpu_kernel kernel;
	uint32_t n, offset[GPU_FUSE_MAX];
};

/**
 * gpu_fused_make() - compose a kernel
 * @parts: kernels of any plans; the same one may be twice
 * @n: 2 to GPU_FUSE_MAX
 * @out: set here; gpu_fused_free() it
 *
 * The fused kernel has no generic entry. Return: 0, -EINVAL, -E2BIG where the
 * arguments do not fit, -ENOMEM.
 */
int gpu_fused_make(const struct gpu_kernel *const *parts, uint32_t n, struct gpu_fused *out);
void gpu_fused_free(struct gpu_fused *f);

/**
 * gpu_fused_bind() - the launch of a fused kernel from those of its parts
 * @f: the fused kernel
 * @parts: one launch a part, in order
 * @args: GPU_FUSE_ARGS_MAX bytes, set here
 * @grid: set to the blocks of all parts
 */
void gpu_fused_bind(const struct gpu_fused *f, const struct gpu_launch *const *parts,
		    void *args, uint32_t *grid);

/* ---- sources and the ahead-of-time build ---- */

/**
 * struct gpu_header - a file of kernels/ that sources include
 * @name: as in #include "name"
 * @text: what is in it
 */
struct gpu_header {
	const char *name, *text;
};

extern const struct gpu_header gpu_headers[];
extern const unsigned int gpu_n_headers;

/**
 * gpu_generic_image() - the ahead-of-time build of all generic entries
 * @bytes: set to its size
 *
 * Return: a fat binary for cuModuleLoadData (sm_80, sm_87, sm_90, PTX of
 * sm_90; right but slow, see K_CONV_GENERIC), or one of no bytes where the build had no nvcc; then the source of a
 * kernel is compiled before it can run at all.
 */
const void *gpu_generic_image(size_t *bytes);

#endif
