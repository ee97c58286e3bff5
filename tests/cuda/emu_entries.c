// SPDX-License-Identifier: MIT
/*
 * The kernels that are linked in, by name. Constant.
 */
#include <string.h>

#include "kernels/args.h"
#include "kernels/attn_args.h"
#include "kernels/conv_args.h"
#include "kernels/entries.h"
#include "kernels/vec_args.h"
#include "tests/cuda/emu_plan.h"

#define DECLARE(name, header, args, ctas, fn)					\
	void name(const struct emu_ops *ops, const void *a);
PLAIN_ENTRIES(DECLARE)
#define DECLARE_CONV(bm, bn, ...)							\
	void braid_conv_##bm##x##bn(const struct emu_ops *ops, const void *a);		\
	void braid_patch_##bm##x##bn(const struct emu_ops *ops, const void *a);
K_CONV_GENERIC(DECLARE_CONV)
#define DECLARE_EXACT(bm, bn, ...)							\
	void exact_conv_##bm##x##bn(const struct emu_ops *ops, const void *a);		\
	void exact_conv1_##bm##x##bn(const struct emu_ops *ops, const void *a);		\
	void exact_patch_##bm##x##bn(const struct emu_ops *ops, const void *a);
K_CONV_TILES(DECLARE_EXACT)
void exact_big_256x128(const struct emu_ops *ops, const void *a);
void exact_big1_256x128(const struct emu_ops *ops, const void *a);
void exact_bigflat_256x128(const struct emu_ops *ops, const void *a);
#define DECLARE_DW(k, stride, tw)							\
	void braid_dw_##k##x##k##_##stride(const struct emu_ops *ops, const void *a);
K_DW_WINDOWS(DECLARE_DW)
#define DECLARE_STEM(bn)	void braid_stem_##bn(const struct emu_ops *ops, const void *a);
K_STEM_NS(DECLARE_STEM)
#define DECLARE_MB(cb)	void braid_mb_##cb(const struct emu_ops *ops, const void *a);
K_MB_CHANNELS(DECLARE_MB)

#define ROW_CONV(bm, bn, ...)								\
	{ "braid_conv_" #bm "x" #bn, braid_conv_##bm##x##bn },			\
	{ "braid_patch_" #bm "x" #bn, braid_patch_##bm##x##bn },
#define ROW_DW(k, stride, tw)								\
	{ "braid_dw_" #k "x" #k "_" #stride, braid_dw_##k##x##k##_##stride },
#define ROW_STEM(bn)	{ "braid_stem_" #bn, braid_stem_##bn },
#define ROW_MB(cb)	{ "braid_mb_" #cb, braid_mb_##cb },
#define ROW(name, header, args, ctas, fn) { #name, name },
static const struct row {
	const char *name;
	emu_entry entry;
} entries[] = { PLAIN_ENTRIES(ROW) K_CONV_GENERIC(ROW_CONV) K_DW_WINDOWS(ROW_DW)
	      K_STEM_NS(ROW_STEM) K_MB_CHANNELS(ROW_MB) };

/* By what a plan's specialised kernels call. */
#define CFG(bm, bn, wm, wn, sl, st) \
	"conv_cfg<" #bm ", " #bn ", " #wm ", " #wn ", " #sl ", " #st ">"
#define ROW_EXACT(bm, bn, wm, wn, sl, st, ctas)						\
	{ "conv_tile<" CFG(bm, bn, wm, wn, sl, st) ", false>(", exact_conv_##bm##x##bn },	\
	{ "conv_tile<" CFG(bm, bn, wm, wn, sl, st) ", true>(", exact_conv1_##bm##x##bn },	\
	{ "patch_tile<" CFG(bm, bn, wm, wn, sl, st) ">(", exact_patch_##bm##x##bn },
static const struct row exact[] = {
	{ "big_tile<" CFG(256, 128, 4, 2, 1, 3) ", false, false>(", exact_big_256x128 },
	{ "big_tile<" CFG(256, 128, 4, 2, 1, 3) ", true, false>(", exact_big1_256x128 },
	{ "big_tile<" CFG(256, 128, 4, 2, 1, 3) ", true, true>(", exact_bigflat_256x128 },
	K_CONV_TILES(ROW_EXACT)
};

emu_entry emu_find(const char *name)
{
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++)
		if (!strcmp(entries[i].name, name))
			return entries[i].entry;
	return NULL;
}

emu_entry emu_find_exact(const char *call)
{
	for (size_t i = 0; i < sizeof(exact) / sizeof(*exact); i++)
		if (!strncmp(exact[i].name, call, strlen(exact[i].name)))
			return exact[i].entry;
	return NULL;
}
