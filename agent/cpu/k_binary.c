// SPDX-License-Identifier: MIT
/*
 * BINARY: two operands, numpy's broadcast, epilogue. The arithmetic of fp32
 * has vectorised loops for a row against a row, a row against one element and
 * the reverse, which, over joined axes, are all of the usual broadcasts: same
 * shape, scalar, vector, channel, squeeze-excite. The rest: binary_types.c.
 *
 * priv is the struct cpu_walk of the operands, immutable.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/convert.h"
#include "agent/cpu/binary.h"
#include "agent/cpu/clones.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/vmath.h"

#define EPI_POINTS	2048	/* results that wait on the stack for the epilogue */

static bool has_epilogue(const struct prog_op *op)
{
	return op->epi.fn != PROG_FN_NONE || op->epi.residual != PROG_NONE;
}

static int binary_check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	enum braid_type a = p->tensors[op->in[0]].type, b = p->tensors[op->in[1]].type;

	if (!binary_supported(op->params.binary, a, b))
		return cpu_refuse(op, why, len, "element function %d does not take %s and %s",
				  op->params.binary, prog_type_name(a), prog_type_name(b));
	if (has_epilogue(op) && p->tensors[op->out[0]].type != BRAID_TYPE_F32)
		return cpu_refuse(op, why, len, "no epilogue on %s",
				  prog_type_name(p->tensors[op->out[0]].type));
	return 0;
}

static int binary_prepare(struct cpu_op *co)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);
	struct cpu_walk *w = malloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	cpu_walk_start(w, y->rank, y->dims);
	cpu_walk_bcast(w, 0, cpu_in_tensor(co, 0));
	cpu_walk_bcast(w, 1, cpu_in_tensor(co, 1));
	cpu_walk_join(w);
	co->priv = w;
	return 0;
}

static void binary_release(struct cpu_op *co)
{
	free(co->priv);
}

static uint32_t binary_tiles(const struct cpu_op *co, uint32_t degree)
{
	return cpu_pieces(degree, cpu_out_tensor(co, 0)->elems, WALK_GRAIN);
}

/* x and y are the operands; a stride of a column is 0 or 1 in joined walks. */
#define ROWS(expr)								\
	do {									\
		for (int64_t r = 0; r < s->rows; r++) {				\
			const float *p = a + r * s->rs[0], *q = b + r * s->rs[1];	\
			float *o = out + r * n;					\
										\
			if (s->cs[0] && s->cs[1]) {				\
				CLONES_LOOP					\
				for (int64_t i = 0; i < n; i++) {		\
					float x = p[i], y = q[i];		\
										\
					o[i] = (expr);				\
				}						\
			} else if (s->cs[0]) {					\
				float y = *q;					\
										\
				CLONES_LOOP					\
				for (int64_t i = 0; i < n; i++) {		\
					float x = p[i];				\
										\
					o[i] = (expr);				\
				}						\
			} else {						\
				float x = *p;					\
										\
				CLONES_LOOP					\
				for (int64_t i = 0; i < n; i++) {		\
					float y = q[i * s->cs[1]];		\
										\
					o[i] = (expr);				\
				}						\
			}							\
		}								\
	} while (0)

static CLONES_BODY void f32_span_body(enum prog_binary fn, float *out, const float *a,
				      const float *b, const struct cpu_span *s)
{
	int64_t n = s->n;

	switch (fn) {
	case PROG_BIN_ADD:
		ROWS(x + y);
		break;
	case PROG_BIN_SUB:
		ROWS(x - y);
		break;
	case PROG_BIN_MUL:
		ROWS(x * y);
		break;
	case PROG_BIN_DIV:
		ROWS(x / y);
		break;
	case PROG_BIN_MIN:
		ROWS(x < y || x != x ? x : y);
		break;
	case PROG_BIN_MAX:
		ROWS(x > y || x != x ? x : y);
		break;
	case PROG_BIN_PRELU:
		ROWS(x < 0.0f ? x * y : x);
		break;
	default:
		break;
	}
}
CLONES(static, f32_span, (enum prog_binary fn, float *out, const float *a, const float *b,
			  const struct cpu_span *s), (fn, out, a, b, s))

#define SHORT_ROW	16	/* below this a row is too short to be worth a loop */
#define LONG_ROW	256

/*
 * Short rows of a dense tensor against one short row, as three channels against
 * one number each: the row is repeated and the loops are long again.
 */
static bool short_rows(enum prog_binary fn, float *out, const float *a, const float *b,
		       const struct cpu_span *s)
{
	const int k = s->rs[0] ? 1 : 0;		/* the operand that is one row */
	const float *row = k ? b : a, *dense = k ? a : b;
	struct cpu_span wide = *s;
	float many[LONG_ROW];
	int64_t times = LONG_ROW / s->n, rows;

	if (s->n >= SHORT_ROW || s->rows < 2 * times || s->rs[k] || s->cs[k] != 1 ||
	    s->rs[1 - k] != s->n || s->cs[1 - k] != 1)
		return false;
	for (int64_t i = 0; i < times; i++)
		memcpy(many + i * s->n, row, (size_t)s->n * sizeof(*row));
	rows = s->rows / times;
	wide.rows = rows;
	wide.n = s->n * times;
	wide.rs[1 - k] = wide.n;
	f32_span(fn, out, k ? a : many, k ? many : b, &wide);
	wide.rows = 1;
	wide.n = (s->rows - rows * times) * s->n;
	dense += rows * times * s->n;
	f32_span(fn, out + rows * times * s->n, k ? dense : many, k ? many : dense, &wide);
	return true;
}

static bool f32_has(enum prog_binary fn)
{
	switch (fn) {
	case PROG_BIN_ADD:
	case PROG_BIN_SUB:
	case PROG_BIN_MUL:
	case PROG_BIN_DIV:
	case PROG_BIN_MIN:
	case PROG_BIN_MAX:
	case PROG_BIN_PRELU:
		return true;
	default:
		return false;
	}
}

/* Powers by one exponent that are cheaper than pow(). */
static bool easy_pow(float *out, const float *a, float e, const struct cpu_span *s)
{
	struct cpu_span one = *s;

	if (e == 2.0f) {
		memcpy(one.rs + 1, one.rs, sizeof(one.rs[0]));
		memcpy(one.cs + 1, one.cs, sizeof(one.cs[0]));
		f32_span(PROG_BIN_MUL, out, a, a, &one);
		return true;
	}
	if (e != 0.5f)
		return false;
	for (int64_t r = 0; r < s->rows; r++)
		for (int64_t i = 0; i < s->n; i++) {
			float x = a[r * s->rs[0] + i * s->cs[0]];

			/* pow(-0, .5) is 0, pow(-inf, .5) is inf */
			out[r * s->n + i] = x == -INFINITY ? INFINITY : sqrtf(x + 0.0f);
		}
	return true;
}

static void any_span(const struct cpu_op *co, void *out, const void *a, const void *b,
		     const struct cpu_span *s)
{
	enum braid_type ta = cpu_in_tensor(co, 0)->type, tb = cpu_in_tensor(co, 1)->type;
	enum prog_binary fn = co->op->params.binary;

	if (ta == BRAID_TYPE_F32 && f32_has(fn)) {
		const float *p = (const float *)a + s->off[0], *q = (const float *)b + s->off[1];

		if (!short_rows(fn, out, p, q, s))
			f32_span(fn, out, p, q, s);
		return;
	}
	if (fn == PROG_BIN_POW && ta == BRAID_TYPE_F32 && tb == BRAID_TYPE_F32 &&
	    !s->cs[1] && (!s->rs[1] || s->rows == 1) &&
	    easy_pow(out, (const float *)a + s->off[0], ((const float *)b)[s->off[1]], s))
		return;
	binary_span(fn, ta, tb, out, a, b, s);
}

static void binary_run(const struct cpu_run *run, const struct cpu_op *co,
		       uint32_t tile, uint32_t n_tiles)
{
	const struct cpu_walk *w = co->priv;
	const struct prog_epilogue *e = &co->op->epi;
	struct cpu_piece c = cpu_piece(run->degree, w->elems, WALK_GRAIN, tile);
	int64_t size = (int64_t)prog_type_size(cpu_out_tensor(co, 0)->type);
	bool plain = !has_epilogue(co->op);
	struct cpu_span s, flat;

	for (uint32_t r = c.r; r < c.r_end; r++) {
		const void *a = cpu_in(run, co, 0, r), *b = cpu_in(run, co, 1, r);
		const float *res = e->residual == PROG_NONE ? NULL : cpu_ptr(run, e->residual, r);
		uint8_t *out = cpu_out(run, co, 0, r);
		int64_t pos = c.begin;
		float part[EPI_POINTS];

		while (cpu_walk_span(w, &pos, c.end, plain ? INT64_MAX : EPI_POINTS, &s)) {
			float *y = (float *)out + s.at;
			int64_t n = s.rows * s.n;

			if (plain) {
				any_span(co, out + s.at * size, a, b, &s);
				continue;
			}
			/* Outputs are not read back: the steps meet on the stack. */
			flat = (struct cpu_span) { .rows = 1, .n = n, .cs = { 1, 1 } };
			any_span(co, part, a, b, &s);
			if (res && !e->residual_last)
				f32_span(PROG_BIN_ADD, part, part, res + s.at, &flat);
			if (res && e->residual_last) {
				vm_fn(e->fn, e->alpha, e->beta, part, part, (size_t)n);
				f32_span(PROG_BIN_ADD, y, part, res + s.at, &flat);
			} else {
				vm_fn(e->fn, e->alpha, e->beta, y, part, (size_t)n);
			}
		}
	}
}

const struct cpu_kernel cpu_k_binary = {
	.check = binary_check,
	.prepare = binary_prepare,
	.release = binary_release,
	.tiles = binary_tiles,
	.run = binary_run,
};
