// SPDX-License-Identifier: MIT
/*
 * Convolutions as products of matrices whose left side stays where it is.
 *
 * For each output pixel and each tap of the kernel there is a pointer to the
 * input pixel it meets, or to zeros where that is padding; the inner loops take
 * a table of such pointers for a few pixels and one panel of packed weights
 * (the "indirect convolution algorithm" of Dukhan, 2019). Nothing is copied
 * out, and since the table may point anywhere, the pixels of many requests are
 * one left side.
 *
 * A plan is immutable once made; tables live in the scratch of a tile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/igemm.h"

#define TILE_MACS	(4 << 20)	/* work of a tile, some 50 to 100 us */
#define TILE_PX_MIN	56
#define TILE_PX_MAX	448
#define KEEP_BYTES	(320u << 10)	/* weights that stay in the second cache */

void *cpu_alloc(size_t bytes)
{
	void *p;

	if (bytes > SIZE_MAX - 63)
		return NULL;
	bytes = (bytes + 63) & ~(size_t)63;
	p = aligned_alloc(64, bytes ? bytes : 64);
	return p;
}

int igemm_check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	int ret = cpu_check_f32(p, op, why, len);

	if (ret)
		return ret;
	if (op->epi.fn > PROG_FN_EPILOGUE_LAST)
		return cpu_refuse(op, why, len, "function %d is no epilogue", op->epi.fn);
	if (op->epi.residual != PROG_NONE &&
	    p->tensors[op->epi.residual].type != BRAID_TYPE_F32)
		return cpu_refuse(op, why, len, "the residual is not float");
	return 0;
}

void igemm_geometry(const struct cpu_op *co, struct igemm *g, int64_t group)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *y = cpu_out_tensor(co, 0);

	for (int i = 0; i < 5; i++) {
		g->in[i] = x->dims[i];
		g->out[i] = y->dims[i];
	}
	g->group = group;
	g->cg = g->in[4] / group;
	g->mg = g->out[4] / group;
	g->epi = cpu_epi_of(co->op);
	g->simd = cpu_simd();
}

static bool varies(const struct cpu_op *co, uint32_t i)
{
	return cpu_has_in(co->op, i) && !cpu_is_const(co->prog, co->op->in[i]);
}

/* Pack the taps of one panel (or more) of columns of a group. */
static void pack(const struct igemm *g, const struct igemm_phase *ph, float *dst,
		 const float *w, int64_t grp, int64_t n0, int64_t n)
{
	const struct cpu_simd *s = g->simd;

	for (int64_t j = 0; j < n; j += s->nr) {
		int64_t cols = n - j < s->nr ? n - j : s->nr;

		for (uint32_t t = 0; t < ph->n_taps; t++) {
			const float *from = w + grp * g->w_group + ph->taps[t].w +
					    (n0 + j) * g->w_n;

			cpu_pack(s, dst, from, g->cg, cols, g->w_k, g->w_n);
			dst += cpu_packed_floats(s, g->cg, cols);
		}
	}
}

int igemm_finish(struct cpu_op *co, struct igemm *g)
{
	const float *w = cpu_const(co->prog, co->op->in[1]);
	int64_t nr = g->simd->nr, k, cols;
	size_t bytes;

	g->per_request = varies(co, 1) || varies(co, 2);
	g->max_taps = 1;
	for (uint32_t i = 0; i < g->n_phases; i++)
		if (g->phases[i].n_taps > g->max_taps)
			g->max_taps = g->phases[i].n_taps;
	g->zeros = calloc(g->in[4], sizeof(float));
	if (!g->zeros)
		return -ENOMEM;

	k = g->max_taps * g->cg;
	cols = (g->mg + nr - 1) / nr * nr;
	g->tile_px = TILE_MACS / (k * cols);
	if (g->tile_px < TILE_PX_MIN) {
		g->tile_px = TILE_PX_MIN;
		cols = TILE_MACS / (TILE_PX_MIN * k) / nr * nr;
		if (cols < nr)
			cols = nr;
		if (cols > g->mg)
			cols = (g->mg + nr - 1) / nr * nr;
	}
	if (g->tile_px > TILE_PX_MAX)
		g->tile_px = TILE_PX_MAX;
	g->tile_n = cols;
	g->n_tiles = (g->mg + cols - 1) / cols;

	if (w) {
		for (uint32_t i = 0; i < g->n_phases; i++) {
			struct igemm_phase *ph = &g->phases[i];

			ph->group_floats = cpu_packed_floats(g->simd, ph->n_taps * g->cg, g->mg);
			ph->packed = cpu_alloc(g->group * ph->group_floats * sizeof(float));
			if (!ph->packed)
				return -ENOMEM;
			for (int64_t j = 0; j < g->group; j++)
				pack(g, ph, ph->packed + j * ph->group_floats, w, j, 0, g->mg);
		}
	}
	bytes = (size_t)g->tile_px * (g->max_taps + 2) * sizeof(void *) + 64;
	if (!w)
		bytes += (size_t)k * nr * sizeof(float);
	co->scratch = bytes;
	co->priv = g;
	return 0;
}

void igemm_free(struct igemm *g)
{
	if (!g)
		return;
	for (uint32_t i = 0; i < g->n_phases; i++) {
		free(g->phases[i].taps);
		free(g->phases[i].packed);
	}
	free(g->phases);
	free(g->zeros);
	free(g);
}

void igemm_release(struct cpu_op *co)
{
	igemm_free(co->priv);
}

/* Tiles over the pixels of a phase, of all requests or of one. */
static int64_t px_tiles(const struct igemm *g, const struct igemm_phase *ph, uint32_t degree)
{
	int64_t px = ph->pixels * (g->per_request ? 1 : degree);

	return (px + g->tile_px - 1) / g->tile_px * (g->per_request ? degree : 1);
}

uint32_t igemm_tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct igemm *g = co->priv;
	int64_t n = 0;

	for (uint32_t i = 0; i < g->n_phases; i++)
		n += px_tiles(g, &g->phases[i], degree);
	return (uint32_t)(n * g->n_tiles * g->group);
}

/* A pixel of a phase, walked in order. */
struct cursor {
	uint32_t r;
	int64_t n, q[3];
	const float *x;		/* image n of request r */
	float *y;
	const float *res;
};

static void cursor_image(struct cursor *c, const struct igemm *g, const struct cpu_run *run,
			 const struct cpu_op *co)
{
	int64_t in = g->in[1] * g->in[2] * g->in[3] * g->in[4];
	int64_t out = g->out[1] * g->out[2] * g->out[3] * g->out[4];

	c->x = (const float *)cpu_in(run, co, 0, c->r) + c->n * in;
	c->y = (float *)cpu_out(run, co, 0, c->r) + c->n * out;
	c->res = NULL;
	if (co->op->epi.residual != PROG_NONE)
		c->res = (const float *)cpu_ptr(run, co->op->epi.residual, c->r) + c->n * out;
}

static void cursor_next(struct cursor *c, const struct igemm *g, const struct igemm_phase *ph,
			const struct cpu_run *run, const struct cpu_op *co)
{
	if (++c->q[2] < ph->q[2])
		return;
	c->q[2] = 0;
	if (++c->q[1] < ph->q[1])
		return;
	c->q[1] = 0;
	if (++c->q[0] < ph->q[0])
		return;
	c->q[0] = 0;
	if (++c->n == g->in[0]) {
		c->n = 0;
		if (++c->r == run->degree) {
			c->r--;
			return;
		}
	}
	cursor_image(c, g, run, co);
}

static void point(const struct igemm *g, const struct igemm_phase *ph, const struct cursor *c,
		  const float **a, uint32_t stride)
{
	for (uint32_t t = 0; t < ph->n_taps; t++, a += stride) {
		const int64_t *off = ph->taps[t].off;
		int64_t d = c->q[0] * g->step[0] + off[0];
		int64_t h = c->q[1] * g->step[1] + off[1];
		int64_t w = c->q[2] * g->step[2] + off[2];

		if (d < 0 || d >= g->in[1] || h < 0 || h >= g->in[2] || w < 0 || w >= g->in[3])
			*a = g->zeros;
		else
			*a = c->x + ((d * g->in[2] + h) * g->in[3] + w) * g->in[4];
	}
}

static int64_t out_at(const struct igemm *g, const struct igemm_phase *ph, const struct cursor *c)
{
	int64_t d = ph->first[0] + c->q[0] * g->out_step[0];
	int64_t h = ph->first[1] + c->q[1] * g->out_step[1];
	int64_t w = ph->first[2] + c->q[2] * g->out_step[2];

	return ((d * g->out[2] + h) * g->out[3] + w) * g->out[4];
}

void igemm_run(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
	       uint32_t n_tiles)
{
	const struct igemm *g = co->priv;
	const struct cpu_simd *s = g->simd;
	const struct igemm_phase *ph = g->phases;
	const float *w, *bias = NULL, **a;
	const float **res;
	float **y, *fresh;
	int64_t per, tiles, p0, p1, blocks, grp, n0, n1, n, k, cols;
	struct cpu_gemm_args args = { .kc = g->cg, .epi = &g->epi, .alpha = 1.0f };
	struct cursor c = { 0 };
	bool keep;

	/* Which phase, which pixels, which columns? Columns vary fastest. */
	per = g->n_tiles * g->group;
	while ((tiles = px_tiles(g, ph, run->degree) * per) <= tile) {
		tile -= tiles;
		ph++;
	}
	n0 = tile % g->n_tiles * g->tile_n;
	n1 = n0 + g->tile_n < g->mg ? n0 + g->tile_n : g->mg;
	grp = tile / g->n_tiles % g->group;
	tile /= per;
	tiles /= per;
	if (g->per_request) {
		tiles /= run->degree;
		c.r = tile / tiles;
		tile %= tiles;
		p0 = cpu_cut(ph->pixels, tiles, tile);
		p1 = cpu_cut(ph->pixels, tiles, tile + 1);
	} else {
		p0 = cpu_cut(ph->pixels * run->degree, tiles, tile);
		p1 = cpu_cut(ph->pixels * run->degree, tiles, tile + 1);
		c.r = p0 / ph->pixels;
		p1 -= p0 / ph->pixels * ph->pixels;
		p0 %= ph->pixels;
	}
	n = p0;
	c.q[2] = n % ph->q[2];
	n /= ph->q[2];
	c.q[1] = n % ph->q[1];
	n /= ph->q[1];
	c.q[0] = n % ph->q[0];
	c.n = n / ph->q[0];
	cursor_image(&c, g, run, co);

	w = cpu_in(run, co, 1, c.r);
	if (cpu_has_in(co->op, 2))
		bias = (const float *)cpu_in(run, co, 2, c.r) + grp * g->mg;

	/* Pointers of all blocks of rows. */
	blocks = (p1 - p0 + s->mr - 1) / s->mr;
	a = run->scratch;
	y = (float **)(a + g->tile_px * g->max_taps);
	res = (const float **)(y + g->tile_px);
	fresh = (float *)(((uintptr_t)(res + g->tile_px) + 63) & ~(uintptr_t)63);
	for (int64_t b = 0; b < blocks; b++) {
		int64_t r0 = cpu_cut(p1 - p0, blocks, b), r1 = cpu_cut(p1 - p0, blocks, b + 1);

		for (int64_t i = r0; i < r1; i++) {
			int64_t at = out_at(g, ph, &c);

			point(g, ph, &c, a + r0 * ph->n_taps + (i - r0), r1 - r0);
			y[i] = c.y + at;
			res[i] = c.res ? c.res + at : NULL;
			cursor_next(&c, g, ph, run, co);
		}
	}

	/* Small weights stay in cache under all blocks, else a panel does. */
	k = ph->n_taps * g->cg;
	keep = ph->packed && (size_t)(k * (n1 - n0)) * sizeof(float) <= KEEP_BYTES;
	args.kp = ph->n_taps;
	args.a_off = grp * g->cg;
	for (int64_t b0 = 0; b0 < (keep ? blocks : 1); b0++) {
		for (n = n0; n < n1; n += s->nr) {
			float edge[CPU_NR_MAX] = { 0 };

			cols = n1 - n < s->nr ? n1 - n : s->nr;
			args.n = (uint32_t)cols;
			args.c_off = grp * g->mg + n;
			args.bias = cpu_bias(s, bias, n, cols, edge);
			if (ph->packed) {
				args.w = ph->packed + grp * ph->group_floats + n * k;
			} else {
				pack(g, ph, fresh, w, grp, n, cols);
				args.w = fresh;
			}
			for (int64_t b = b0; b < (keep ? b0 + 1 : blocks); b++) {
				int64_t r0 = cpu_cut(p1 - p0, blocks, b);

				args.m = (uint32_t)(cpu_cut(p1 - p0, blocks, b + 1) - r0);
				args.a = a + r0 * ph->n_taps;
				args.c = y + r0;
				args.res = c.res ? res + r0 : NULL;
				s->gemm(&args);
			}
		}
	}
}
