// SPDX-License-Identifier: MIT
/*
 * RESIZE: nearest, linear, cubic over up to three spatial dimensions, channels
 * last.
 *
 * The three dimensions are independent: for each output coordinate of each,
 * prepare() computes the input coordinates that it reads and their weights
 * (one, two or four), and a pixel is the sum over the product of the three. A
 * tile is some output pixels. Immutable once prepared.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/clones.h"
#include "agent/cpu/kernel.h"

#define TILE_WORK	(1 << 16)
#define TAPS		4

/* What one output coordinate of one dimension reads. */
struct taps {
	int32_t n;
	int32_t at[TAPS];
	float w[TAPS];
	bool outside;		/* extrapolate */
};

struct resize {
	int64_t in[5], out[5], pixels, grain;
	struct taps *taps[3];
};

static int check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	if (p->tensors[op->in[0]].type == BRAID_TYPE_F32)
		return 0;
	if (op->params.resize.mode == PROG_RESIZE_NEAREST)
		return 0;
	return cpu_refuse(op, why, len, "its input is not float and its mode not nearest");
}

/*
 * Where an output coordinate is in the input. In float, as ONNX Runtime has it:
 * in nearest mode the last bit decides which way a tie goes.
 *
 * align_corners counts the output as long as the scale says, whole or not, as
 * ONNX's own test cases do; a scale made from sizes gives the size again.
 */
static float source(const struct prog_resize *pr, int i, int64_t o, int64_t in, int64_t out)
{
	float scale = pr->scale[i], x = (float)o, last = (float)(in - 1);

	switch (pr->coord) {
	case PROG_COORD_HALF_PIXEL:
		return (x + 0.5f) / scale - 0.5f;
	case PROG_COORD_PYTORCH_HALF_PIXEL:
		return out > 1 ? (x + 0.5f) / scale - 0.5f : 0.0f;
	case PROG_COORD_ALIGN_CORNERS:
		if (fabsf(scale * (float)in - (float)out) < 1e-4f * (float)out)
			return out > 1 ? x * last / (float)(out - 1) : 0.0f;
		return scale * (float)in > 1.0f ? x * last / (scale * (float)in - 1.0f) : 0.0f;
	case PROG_COORD_HALF_PIXEL_SYMMETRIC:
		return (float)in / 2 * (1 - (float)out / (scale * (float)in)) +
		       (x + 0.5f) / scale - 0.5f;
	case PROG_COORD_TF_CROP:
		if (out == 1)
			return 0.5f * (pr->roi_lo[i] + pr->roi_hi[i]) * last;
		return pr->roi_lo[i] * last +
		       x * (pr->roi_hi[i] - pr->roi_lo[i]) * last / (float)(out - 1);
	default:
		return x / scale;
	}
}

static int64_t nearest(const struct prog_resize *pr, double x)
{
	double f = floor(x);

	switch (pr->nearest) {
	case PROG_NEAREST_ROUND_FLOOR:
		return (int64_t)(x - f > 0.5 ? f + 1 : f);
	case PROG_NEAREST_ROUND_CEIL:
		return (int64_t)(x - f >= 0.5 ? f + 1 : f);
	case PROG_NEAREST_CEIL:
		return (int64_t)ceil(x);
	default:
		return (int64_t)f;
	}
}

static int32_t clamp_to(int64_t v, int64_t n)
{
	return (int32_t)(v < 0 ? 0 : v >= n ? n - 1 : v);
}

static void cubic(double a, double t, double w[4])
{
	double s;

	s = 1 + t;
	w[0] = ((a * s - 5 * a) * s + 8 * a) * s - 4 * a;
	w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
	s = 1 - t;
	w[2] = ((a + 2) * s - (a + 3)) * s * s + 1;
	s = 2 - t;
	w[3] = ((a * s - 5 * a) * s + 8 * a) * s - 4 * a;
}

static void make_taps(const struct prog_resize *pr, int i, int64_t o, int64_t in, int64_t out,
		      struct taps *t)
{
	double x, f, w[4], sum = 0;

	/* A dimension that stays as it is needs no arithmetic, nor its errors. */
	if (in == out && pr->scale[i] == 1.0f && pr->coord != PROG_COORD_TF_CROP) {
		t->n = 1;
		t->at[0] = (int32_t)o;
		t->w[0] = 1.0f;
		return;
	}
	x = source(pr, i, o, in, out);
	t->outside = pr->coord == PROG_COORD_TF_CROP && (x < 0 || x > (double)(in - 1));
	/* Keep wild factors within what an integer holds. */
	x = fmin(fmax(x, -4), (double)in + 4);
	f = floor(x);
	switch (pr->mode) {
	case PROG_RESIZE_NEAREST:
		t->n = 1;
		t->at[0] = clamp_to(nearest(pr, x), in);
		t->w[0] = 1.0f;
		break;
	case PROG_RESIZE_LINEAR:
		x = fmin(fmax(x, 0), (double)(in - 1));
		f = floor(x);
		t->n = x > f ? 2 : 1;
		t->at[0] = clamp_to((int64_t)f, in);
		t->at[1] = clamp_to((int64_t)f + 1, in);
		t->w[0] = (float)(1 - (x - f));
		t->w[1] = (float)(x - f);
		break;
	case PROG_RESIZE_CUBIC:
		cubic(pr->cubic_a, x - f, w);
		t->n = TAPS;
		for (int k = 0; k < TAPS; k++) {
			int64_t at = (int64_t)f - 1 + k;

			if (pr->exclude_outside && (at < 0 || at >= in))
				w[k] = 0;
			t->at[k] = clamp_to(at, in);
			sum += w[k];
		}
		for (int k = 0; k < TAPS; k++)
			t->w[k] = (float)(pr->exclude_outside && sum != 0 ? w[k] / sum : w[k]);
		break;
	}
}

static void release(struct cpu_op *co)
{
	struct resize *rs = co->priv;

	for (int i = 0; i < 3; i++)
		free(rs->taps[i]);
	free(rs);
}

static int prepare(struct cpu_op *co)
{
	const struct prog_resize *pr = &co->op->params.resize;
	struct resize *rs = calloc(1, sizeof(*rs));
	int64_t work = 1;

	if (!rs)
		return -ENOMEM;
	co->priv = rs;
	rs->pixels = 1;
	for (int i = 0; i < 5; i++) {
		rs->in[i] = cpu_in_tensor(co, 0)->dims[i];
		rs->out[i] = cpu_out_tensor(co, 0)->dims[i];
		if (i < 4)
			rs->pixels *= rs->out[i];
	}
	for (int i = 0; i < 3; i++) {
		int most = 1;

		rs->taps[i] = calloc(rs->out[i + 1], sizeof(*rs->taps[i]));
		if (!rs->taps[i]) {
			release(co);
			return -ENOMEM;
		}
		for (int64_t o = 0; o < rs->out[i + 1]; o++) {
			make_taps(pr, i, o, rs->in[i + 1], rs->out[i + 1], &rs->taps[i][o]);
			if (rs->taps[i][o].n > most)
				most = rs->taps[i][o].n;
		}
		work *= most;
	}
	work *= rs->out[4];
	rs->grain = work < TILE_WORK ? TILE_WORK / work : 1;
	return 0;
}

static uint32_t tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct resize *rs = co->priv;

	return cpu_pieces(degree, rs->pixels, rs->grain);
}

static CLONES_BODY void add_scaled_body(float *y, const float *x, float w, int64_t n, int first)
{
	if (first) {
		CLONES_LOOP
		for (int64_t i = 0; i < n; i++)
			y[i] = x[i] * w;
	} else {
		CLONES_LOOP
		for (int64_t i = 0; i < n; i++)
			y[i] += x[i] * w;
	}
}
CLONES(static, add_scaled, (float *y, const float *x, float w, int64_t n, int first),
	(y, x, w, n, first))

static void pixel(const struct resize *rs, const struct prog_resize *pr, const uint8_t *x,
		  uint8_t *y, int64_t pix, size_t size)
{
	int64_t c = rs->out[4], n = pix, o[3];
	const struct taps *t[3];
	int first = 1;

	for (int i = 2; i >= 0; i--) {
		o[i] = n % rs->out[i + 1];
		n /= rs->out[i + 1];
		t[i] = &rs->taps[i][o[i]];
	}
	y += (size_t)(pix * c) * size;
	if (t[0]->outside || t[1]->outside || t[2]->outside) {
		/* check() lets other types through in nearest mode; they get zeros. */
		memset(y, 0, (size_t)c * size);
		for (int64_t i = 0; size == 4 && i < c; i++)
			((float *)y)[i] = pr->extrapolation;
		return;
	}
	for (int32_t i = 0; i < t[0]->n; i++)
		for (int32_t j = 0; j < t[1]->n; j++)
			for (int32_t k = 0; k < t[2]->n; k++) {
				int64_t at = ((n * rs->in[1] + t[0]->at[i]) * rs->in[2] +
					      t[1]->at[j]) * rs->in[3] + t[2]->at[k];
				const uint8_t *from = x + (size_t)(at * c) * size;

				if (pr->mode == PROG_RESIZE_NEAREST) {
					memcpy(y, from, (size_t)c * size);
					continue;
				}
				add_scaled((float *)y, (const float *)from,
					   t[0]->w[i] * t[1]->w[j] * t[2]->w[k], c, first);
				first = 0;
			}
}

static void run_resize(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
		       uint32_t n_tiles)
{
	const struct resize *rs = co->priv;
	struct cpu_piece pc = cpu_piece(run->degree, rs->pixels, rs->grain, tile);
	size_t size = prog_type_size(cpu_in_tensor(co, 0)->type);

	for (uint32_t r = pc.r; r < pc.r_end; r++) {
		const uint8_t *x = cpu_in(run, co, 0, r);
		uint8_t *y = cpu_out(run, co, 0, r);

		for (int64_t i = pc.begin; i < pc.end; i++)
			pixel(rs, &co->op->params.resize, x, y, i, size);
	}
}

const struct cpu_kernel cpu_k_resize = {
	.check = check,
	.prepare = prepare,
	.release = release,
	.tiles = tiles,
	.run = run_resize,
};
