/* SPDX-License-Identifier: MIT */
/*
 * Arguments of what is done to fp16 rows: the tensor cores' product (conv.cuh,
 * patch.cuh: convolutions and matrix products with constant weights), the first
 * convolution, depthwise ones, squeeze-excite, pools.
 */
#ifndef BRAID_KERNELS_CONV_ARGS_H
#define BRAID_KERNELS_CONV_ARGS_H

#include "args.h"

/*
 * The shape, as constants in a specialised kernel:
 *
 *   h w c ldx		input: extents, channels of a group as K counts them (a
 *			multiple of 8), elements from pixel to pixel
 *   oh ow n ldy	output: n channels of a group
 *   kh kw .. dw	window: extents, strides, padding, dilation
 *   k ldw		kh * kw * c; elements of a row of packed weights, a multiple of 64
 *   groups images	images of a request
 *   fn res bias ldr	epilogue: enum prog_fn; is there a residual, a bias
 *   x_apart		rows of a request do not follow those of the one before
 *   y_any r_any	output, residual: elements one by one, fp32 or unaligned
 *   scaled		squeeze-excite: a factor for each image and channel of the input
 */
#define K_CONV_SHAPE(X)									\
	X(h) X(w) X(c) X(ldx) X(oh) X(ow) X(n) X(ldy) X(kh) X(kw) X(sh) X(sw) X(ph) X(pw)	\
	X(dh) X(dw) X(k) X(ldw) X(groups) X(images) X(fn) X(res) X(bias) X(ldr)		\
	X(x_apart) X(y_any) X(r_any) X(scaled)

struct k_conv_shape {
#define K_CONV_FIELD(name) k_u32 name;
	K_CONV_SHAPE(K_CONV_FIELD)
#undef K_CONV_FIELD
};

/**
 * struct k_se - squeeze-excite, spread over its neighbours
 *
 * Who makes the data adds up its pixels and multiplies the sums by the first
 * layer: each of its blocks leaves its part of the hidden units. Who reads the
 * data adds these up and makes the factors.
 *
 * @part: parts, fp32 [image][blocks][hidden]
 * @w1: first layer, fp16 [hidden][channels]; @w2: second, fp16 [channels][hidden up to 8]
 * @b1, @b2: biases, fp32; zeros where there are none
 * @inv: one over the pixels of an image
 */
struct k_se {
	struct k_ref part;
	k_u64 w1, w2, b1, b2;
	struct k_act act1, act2;
	k_u32 blocks, hidden;
	float inv;
};

/**
 * struct k_conv - y = act(x * w + bias + residual)
 * @w: weights, fp16 [groups * n][ldw], zeros behind k
 * @b: bias, fp32 [groups * n]
 * @partial: sums of parts of K, fp32
 * @sem: counters of those, zero, left zero
 * @m: rows: degree * images * oh * ow
 * @tiles_n: of all groups
 * @split: parts of K, which meet in @partial
 * @kt_per: steps of 64 of each part
 * @sub_m, @sub_n: tiles of a generic entry that make up one, along both axes
 */
struct k_conv {
	struct k_ref x, res, y;
	struct k_se se;
	k_u64 w, b, partial, sem;
	struct k_conv_shape s;
	struct k_act act;
	k_u32 degree, m, tiles_n, split, kt_per, sub_m, sub_n;
};

/*
 * Tiles: BM, BN, warps along M and N, slices of K, stages of the pipeline,
 * blocks a multiprocessor.
 */
#define K_CONV_TILES(X)									\
	X(128, 128, 2, 4, 1, 4, 1)							\
	X(128, 64, 4, 2, 1, 4, 2)							\
	X(64, 128, 2, 4, 1, 4, 2)							\
	X(64, 64, 2, 2, 2, 4, 2)							\
	X(128, 32, 4, 1, 2, 4, 2)							\
	X(32, 128, 1, 4, 2, 4, 2)							\
	X(64, 32, 2, 1, 4, 4, 2)							\
	X(32, 64, 1, 2, 4, 4, 2)							\
	X(32, 32, 2, 1, 4, 6, 2)							\
	X(16, 64, 1, 2, 4, 6, 2)							\
	X(256, 128, 4, 2, 1, 3, 1)

/*
 * Those that have generic entries; the others are put together from these, in a
 * block one after the other: slow, but every one would be a kernel to compile
 * when Braid is built. None asks for more shared memory than what it stands for.
 */
#define K_CONV_GENERIC(X)								\
	X(64, 64, 2, 2, 2, 4, 2)							\
	X(32, 32, 2, 1, 4, 4, 2)							\
	X(16, 64, 1, 2, 4, 4, 2)

#define K_CONV_STEP	64	/* of K, a stage */

/* Shared memory: the pipeline, over which sums lie later; bias. */
#define K_CONV_PIPE(bm, bn, st)		((st) * ((bm) + (bn)) * 128)
#define K_CONV_SUMS(bm, bn, sl)		((sl) > 1 && ((sl) - 1) * (bm) * (bn) * 4 > (bm) * ((bn) + 4) * 4 ? \
					 ((sl) - 1) * (bm) * (bn) * 4 : (bm) * ((bn) + 4) * 4)
#define K_CONV_BASE(bm, bn, sl, st)	(K_CONV_PIPE(bm, bn, st) > K_CONV_SUMS(bm, bn, sl) ? \
					 K_CONV_PIPE(bm, bn, st) : K_CONV_SUMS(bm, bn, sl))
/*
 * Windows that keep the image's size may take their rows from a patch of input
 * pixels in shared memory (patch.cuh): K runs over (64 channels, window, channel),
 * weights are packed so, c up to a multiple of 64. Bias; stages of weights; one
 * patch or two in turn; a row of zeros; sums over all but the bias.
 */
#define K_PATCH_ROWS(bm, w, kh, kw)	((bm) + ((kh) - 1) * (w) + (kw) - 1)

/*
 * With squeeze-excite: the second layer's weights, factors of the images that a
 * tile may touch, hidden units, their parts.
 */
#define K_SE_IMAGES(bm, pixels)		(((bm) - 1) / (pixels) + 2)
#define K_SE_W2(depth, hidden)		((depth) * (((hidden) + 7) / 8) * 16)
#define K_SE_SMEM(images, depth, hidden) \
	(K_SE_W2(depth, hidden) + (images) * (depth) * 4 + (hidden) * 4 + 1024 + 16)
/* Where it begins: weights [hidden][n], then sums. */
#define K_SE_W1(hidden, n)		((hidden) * (n) * 2)
#define K_CONV_SMEM(bm, bn, sl, st)	(K_CONV_BASE(bm, bn, sl, st) + (bn) * 4)

/*
 * The first convolution, of up to four channels in any layout, fp32 or fp16:
 * an image is read once and converted on the way.
 *
 *   h w c		input, oh ow n ldy output
 *   kh kw .. pw fn	window, epilogue; kq: kw up to a multiple of four
 *   images bias	of a request; is there one
 */
#define K_STEM_SHAPE(X)									\
	X(h) X(w) X(c) X(oh) X(ow) X(n) X(ldy) X(kh) X(kw) X(kq) X(sh) X(sw) X(ph) X(pw)	\
	X(fn) X(images) X(bias)

struct k_stem_shape {
#define K_STEM_FIELD(name) k_u32 name;
	K_STEM_SHAPE(K_STEM_FIELD)
#undef K_STEM_FIELD
};

/**
 * struct k_stem - y = act(x * w + bias), tiles of 8 rows by 16 pixels
 * @w: weights, fp16 [n][kh][kq][4], rows of k_stem_pitch() bytes
 * @b: bias, fp32 [n up to 8]
 * @stride: of x in elements: image, row, pixel, channel
 * @tiles_x, @tiles_y: of an image
 */
struct k_stem {
	struct k_ref x, y;
	k_u64 w, b;
	struct k_stem_shape s;
	struct k_act act;
	k_i32 stride[4];
	k_u32 degree, tiles_x, tiles_y, tiles_n;
};

#define K_STEM_Y	8
#define K_STEM_X	16
#define K_STEM_NS(X)	X(16) X(32) X(64)

/* Bytes: a row of weights, so that eight of them lie in different banks; in all. */
#define K_STEM_PITCH(kh, kq)	((kh) * (kq) * 8 + 16)
#define K_STEM_PW(kq, sw)	((K_STEM_X - 1) * (sw) + (kq))
#define K_STEM_PATCH(kh, kq, sh, sw) \
	((((K_STEM_Y - 1) * (sh) + (kh)) * K_STEM_PW(kq, sw) * 8 + 15) / 16 * 16)
#define K_STEM_OUT(bn)		(K_STEM_Y * K_STEM_X * ((bn) * 2 + 16))
#define K_STEM_SMEM(bn, kh, kq, sh, sw)							\
	((bn) * K_STEM_PITCH(kh, kq) + (K_STEM_PATCH(kh, kq, sh, sw) > K_STEM_OUT(bn) ?	\
					K_STEM_PATCH(kh, kq, sh, sw) : K_STEM_OUT(bn)))

/*
 * Depthwise convolution: as many groups as channels. Chunks of eight channels;
 * a thread makes tw neighbouring pixels of a chunk, a block cb chunks of pt times
 * 256 / cb such groups of pixels of one image.
 *
 *   h w ldx oh ow ldy	as of K_CONV_SHAPE; c: chunks
 *   kh kw .. pw fn	window, epilogue
 *   images		of a request
 *   cb tw pt		how the work is cut
 *   bias		is there one
 *   squeeze		squeeze-excite follows
 */
#define K_DW_SHAPE(X)									\
	X(h) X(w) X(c) X(ldx) X(oh) X(ow) X(ldy) X(kh) X(kw) X(sh) X(sw) X(ph) X(pw)	\
	X(fn) X(images) X(cb) X(tw) X(pt) X(bias) X(squeeze)

struct k_dw_shape {
#define K_DW_FIELD(name) k_u32 name;
	K_DW_SHAPE(K_DW_FIELD)
#undef K_DW_FIELD
};

/**
 * struct k_dw - y = act(depthwise(x) + bias)
 * @w: weights, fp16 [kh * kw][channels]
 * @b: bias, fp32 [channels]
 * @segs: blocks along the pixels of an image
 */
struct k_dw {
	struct k_ref x, y;
	struct k_se se;
	k_u64 w, b;
	struct k_dw_shape s;
	struct k_act act;
	k_u32 degree, segs;
};

/* Shared memory with squeeze-excite: sums of threads and channels, then weights. */
#define K_DW_SUMS(cb)	(K_THREADS * 36 + (cb) * 32)

/* Windows that have a generic entry: kh = kw, sh = sw, neighbouring pixels a thread. */
#define K_DW_WINDOWS(X)	X(3, 1, 2) X(3, 2, 1) X(5, 1, 2) X(5, 2, 1)

/*
 * Expansion (a 1x1 convolution) and the depthwise one behind it: a block makes
 * the expanded pixels that its own see, of some channels, in shared memory.
 *
 *   h w c ldx		input; ce expanded channels; oh ow ldy output
 *   kh kw .. pw	the depthwise window; fn1 fn2 the functions
 *   ty tx		a block's output pixels; tw of them a thread at a time
 *   images bias1 bias2 squeeze	as above
 */
#define K_MB_SHAPE(X)									\
	X(h) X(w) X(c) X(ldx) X(ce) X(oh) X(ow) X(ldy) X(kh) X(kw) X(sh) X(sw) X(ph) X(pw)	\
	X(fn1) X(fn2) X(ty) X(tx) X(tw) X(images) X(bias1) X(bias2) X(squeeze)

struct k_mb_shape {
#define K_MB_FIELD(name) k_u32 name;
	K_MB_SHAPE(K_MB_FIELD)
#undef K_MB_FIELD
};

/**
 * struct k_mb - y = act2(depthwise(act1(x * w1 + b1)) + b2)
 * @w1: fp16 [ce][c up to 16]; @w2: fp16 [kh * kw][ce]
 * @b1, @b2: fp32 [ce]
 */
struct k_mb {
	struct k_ref x, y;
	struct k_se se;
	k_u64 w1, w2, b1, b2;
	struct k_mb_shape s;
	struct k_act act1, act2;
	k_u32 degree, tiles_y, tiles_x, blocks;
};

#define K_MB_CHANNELS(X)	X(16) X(32)

/* Rows in shared memory are an odd number of 16 bytes apart. */
#define K_MB_PITCH(c)		((((c) * 2 + 15) / 16 | 1) * 16)
#define K_MB_UP16(v)		(((v) + 15) / 16 * 16)
#define K_MB_MIN(a, b)		((a) < (b) ? (a) : (b))
#define K_MB_IN(t, s, k)	(((t) - 1) * (s) + (k))

/* Input rows, over which sums of warps lie in the end; weights of both; expanded pixels. */
#define K_MB_A(y, x, c)		(K_MB_UP16(y * x) * K_MB_PITCH(K_MB_UP16(c)))
#define K_MB_B(cb, c)		((cb) * K_MB_PITCH(K_MB_UP16(c)))
#define K_MB_D(cb, kh, kw)	((kh) * (kw) * (cb) * 2)
#define K_MB_E(cb, iy, ix)	((iy) * (ix) * ((cb) * 2 + 16))

/**
 * struct k_cpool - maximum or average over windows, chunks of eight channels
 * @n: chunks of a request's output
 */
struct k_cpool {
	struct k_ref x, y;
	struct k_div n, c, ow, oh;
	k_u32 h, w, ldx, ldy, kh, kw, sh, sw, ph, pw, avg, count_pad, ph_hi, pw_hi, degree;
};

/**
 * struct k_mean - the mean over all pixels of an image, chunks of eight channels
 * @pixels: of an image; a block does cb chunks of one
 */
struct k_mean {
	struct k_ref x, y;
	k_u32 pixels, c, ldx, ldy, images, cb, degree;
};

#endif
