// SPDX-License-Identifier: MIT
/*
 * TOPK: the k largest or smallest along an axis, best first, of equals the one
 * with the lower index; NaN counts as the largest. All numeric types.
 *
 * Values become keys: unsigned numbers in the same order. A heap of k pairs,
 * the worst on top, in the tile's scratch, sorted at the end. An item is a
 * column. Values are read once and come from their keys again, so a tenant who
 * changes them meanwhile only harms the choice. No state.
 */
#include <string.h>

#include "agent/cpu/convert.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

struct pair {
	uint64_t key;
	int64_t index;
};

struct topk {
	int64_t count, n, inner, k;
};

static const struct prog_tensor *result(const struct cpu_op *co)
{
	return cpu_out_tensor(co, cpu_has_out(co->op, 0) ? 0 : 1);
}

static struct topk topk_of(const struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0);
	uint32_t axis = (uint32_t)co->op->params.topk.axis;
	struct topk t = { .n = x->dims[axis], .inner = 1, .k = result(co)->dims[axis] };

	for (uint32_t i = axis + 1; i < x->rank; i++)
		t.inner *= x->dims[i];
	t.count = x->elems / t.n;
	return t;
}

static int64_t grain(const struct topk *t)
{
	return t->n < WALK_GRAIN / 4 ? WALK_GRAIN / 4 / t->n : 1;
}

/* Bits of a float whose sign is @top: order as unsigned, one zero, one NaN. */
static uint64_t float_key(uint64_t bits, uint64_t top, uint64_t inf)
{
	if ((bits & ~top) > inf)
		return top | (top - 1);
	if (!(bits & ~top))
		return top;
	return bits & top ? ~bits & (top | (top - 1)) : bits | top;
}

static uint64_t float_bits(uint64_t key, uint64_t top)
{
	return key & top ? key & ~top : ~key & (top | (top - 1));
}

static uint64_t key_of(enum braid_type t, const void *x, int64_t i)
{
	uint32_t bits;
	uint64_t wide;

	switch (t) {
	case BRAID_TYPE_F32:
		memcpy(&bits, (const uint8_t *)x + 4 * i, 4);
		return float_key(bits, 1u << 31, 0x7f800000);
	case BRAID_TYPE_F64:
		memcpy(&wide, (const uint8_t *)x + 8 * i, 8);
		return float_key(wide, 1ull << 63, 0x7ff0000000000000);
	case BRAID_TYPE_I8:
		return (uint64_t)(((const int8_t *)x)[i] + 0x80);
	case BRAID_TYPE_U8:
		return ((const uint8_t *)x)[i];
	case BRAID_TYPE_I16:
		return (uint64_t)(((const int16_t *)x)[i] + 0x8000);
	case BRAID_TYPE_U16:
		return ((const uint16_t *)x)[i];
	case BRAID_TYPE_I32:
		return (uint64_t)((int64_t)((const int32_t *)x)[i] + 0x80000000);
	case BRAID_TYPE_U32:
		return ((const uint32_t *)x)[i];
	case BRAID_TYPE_I64:
		return (uint64_t)((const int64_t *)x)[i] ^ 1ull << 63;
	default:
		return ((const uint64_t *)x)[i];
	}
}

static void put_value(enum braid_type t, void *y, int64_t i, uint64_t key)
{
	switch (t) {
	case BRAID_TYPE_F32:
		((uint32_t *)y)[i] = (uint32_t)float_bits(key, 1u << 31);
		break;
	case BRAID_TYPE_F64:
		((uint64_t *)y)[i] = float_bits(key, 1ull << 63);
		break;
	case BRAID_TYPE_I8:
	case BRAID_TYPE_U8:
		((uint8_t *)y)[i] = (uint8_t)(t == BRAID_TYPE_I8 ? key - 0x80 : key);
		break;
	case BRAID_TYPE_I16:
	case BRAID_TYPE_U16:
		((uint16_t *)y)[i] = (uint16_t)(t == BRAID_TYPE_I16 ? key - 0x8000 : key);
		break;
	case BRAID_TYPE_I32:
	case BRAID_TYPE_U32:
		((uint32_t *)y)[i] = (uint32_t)(t == BRAID_TYPE_I32 ? key - 0x80000000 : key);
		break;
	case BRAID_TYPE_I64:
		((uint64_t *)y)[i] = key ^ 1ull << 63;
		break;
	default:
		((uint64_t *)y)[i] = key;
	}
}

static bool worse(const struct pair *a, const struct pair *b)
{
	return a->key < b->key || (a->key == b->key && a->index > b->index);
}

/* The heap's top is its worst pair; the pair at @i may be too good for its place. */
static void sift(struct pair *h, int64_t n, int64_t i)
{
	struct pair v = h[i];

	for (;;) {
		int64_t c = 2 * i + 1;

		if (c >= n)
			break;
		if (c + 1 < n && worse(&h[c + 1], &h[c]))
			c++;
		if (!worse(&h[c], &v))
			break;
		h[i] = h[c];
		i = c;
	}
	h[i] = v;
}

static void column(enum braid_type t, const void *x, int64_t at, const struct topk *d,
		   struct pair *h, bool largest)
{
	uint64_t flip = largest ? 0 : UINT64_MAX;

	for (int64_t i = 0; i < d->k; i++)
		h[i] = (struct pair) { key_of(t, x, at + i * d->inner) ^ flip, i };
	for (int64_t i = d->k / 2; i-- > 0;)
		sift(h, d->k, i);
	for (int64_t i = d->k; i < d->n; i++) {
		uint64_t key = key_of(t, x, at + i * d->inner) ^ flip;

		/* Of equals the one already there has the lower index. */
		if (key > h[0].key) {
			h[0] = (struct pair) { key, i };
			sift(h, d->k, 0);
		}
	}
	/* Heap sort: the worst go to the end. */
	for (int64_t n = d->k; n > 1;) {
		struct pair v = h[0];

		h[0] = h[--n];
		h[n] = v;
		sift(h, n, 0);
	}
	for (int64_t i = 0; i < d->k; i++)
		h[i].key ^= flip;
}

static int topk_check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	enum braid_type t = p->tensors[op->in[0]].type;

	if (t == BRAID_TYPE_BOOL || t == BRAID_TYPE_F16 || t == BRAID_TYPE_BF16)
		return cpu_refuse(op, why, len, "no order of %s", prog_type_name(t));
	return 0;
}

static int topk_prepare(struct cpu_op *co)
{
	co->scratch = (size_t)topk_of(co).k * sizeof(struct pair);
	return 0;
}

static uint32_t topk_tiles(const struct cpu_op *co, uint32_t degree)
{
	struct topk d = topk_of(co);

	return cpu_pieces(degree, d.count, grain(&d));
}

static void topk_run(const struct cpu_run *run, const struct cpu_op *co,
		     uint32_t tile, uint32_t n_tiles)
{
	enum braid_type t = cpu_in_tensor(co, 0)->type;
	struct topk d = topk_of(co);
	struct cpu_piece c = cpu_piece(run->degree, d.count, grain(&d), tile);
	struct pair *h = run->scratch;

	for (uint32_t r = c.r; r < c.r_end; r++) {
		void *values = cpu_has_out(co->op, 0) ? cpu_out(run, co, 0, r) : NULL;
		int64_t *indices = cpu_has_out(co->op, 1) ? cpu_out(run, co, 1, r) : NULL;

		for (int64_t i = c.begin; i < c.end; i++) {
			int64_t outer = i / d.inner, lane = i % d.inner;

			column(t, cpu_in(run, co, 0, r), outer * d.n * d.inner + lane, &d, h,
			       co->op->params.topk.largest);
			for (int64_t k = 0; k < d.k; k++) {
				int64_t to = (outer * d.k + k) * d.inner + lane;

				if (values)
					put_value(t, values, to, h[k].key);
				if (indices)
					indices[to] = h[k].index;
			}
		}
	}
}

const struct cpu_kernel cpu_k_topk = {
	.check = topk_check,
	.prepare = topk_prepare,
	.tiles = topk_tiles,
	.run = topk_run,
};
