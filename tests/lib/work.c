// SPDX-License-Identifier: MIT
/*
 * Inferences whose answer is known: see work.h.
 */
#include "tests/lib/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN64(n)	(((n) + 63) & ~(size_t)63)

static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, braid_error());
	exit(1);
}

static void fill(const struct braid_tensor *t, void *to, unsigned int *seed)
{
	for (size_t i = 0; t->type == BRAID_TYPE_F32 && i < t->bytes / sizeof(float); i++)
		((float *)to)[i] = rand_r(seed) % 2000 / 1000.0f - 1;
	for (size_t i = 0; t->type == BRAID_TYPE_I64 && i < t->bytes / sizeof(int64_t); i++)
		((int64_t *)to)[i] = rand_r(seed) % 2;
}

void work_new(struct work *w, struct braid *b, const char *model, unsigned int seed)
{
	memset(w, 0, sizeof(*w));
	if (braid_model_find(b, model, &w->model))
		bail(model);
	for (unsigned int i = 0; i < braid_model_inputs(w->model); i++) {
		w->in[i] = malloc(braid_model_input(w->model, i)->bytes);
		fill(braid_model_input(w->model, i), w->in[i], &seed);
	}
	for (unsigned int i = 0; i < braid_model_outputs(w->model); i++)
		w->want[i] = malloc(braid_model_output(w->model, i)->bytes);
	if (braid_infer(b, w->model, (const void *const *)w->in, w->want, -1))
		bail(model);
}

void work_free(struct work *w)
{
	for (unsigned int i = 0; i < WORK_TENSORS; i++) {
		free(w->in[i]);
		free(w->want[i]);
	}
}

/* Relative L2 within what another grouping of the same sums may differ by. */
bool work_same(const struct work *w, void *const *out)
{
	for (unsigned int i = 0; i < braid_model_outputs(w->model); i++) {
		const float *x = out[i], *y = w->want[i];
		double diff = 0, size = 0;

		for (size_t k = 0; k < braid_model_output(w->model, i)->bytes / sizeof(*x); k++) {
			diff += (x[k] - y[k]) * (double)(x[k] - y[k]);
			size += y[k] * (double)y[k];
		}
		/* Written so that a NaN is no match. */
		if (!(diff <= size * 1e-8))
			return false;
	}
	return true;
}

int work_infer(struct braid *b, const struct work *w, int timeout_ms)
{
	void *out[WORK_TENSORS];
	unsigned int n = braid_model_outputs(w->model);
	int ret;

	for (unsigned int i = 0; i < n; i++) {
		out[i] = malloc(braid_model_output(w->model, i)->bytes);
		memset(out[i], 0xff, braid_model_output(w->model, i)->bytes);
	}
	ret = braid_infer(b, w->model, (const void *const *)w->in, out, timeout_ms);
	if (!ret && !work_same(w, out))
		ret = 1;
	for (unsigned int i = 0; i < n; i++)
		free(out[i]);
	return ret;
}

int work_place(struct braid *b, const struct work *w, struct braid_at *at)
{
	unsigned int ins = braid_model_inputs(w->model), outs = braid_model_outputs(w->model);
	struct braid_buf *buf;
	size_t bytes = 0;
	int ret;

	for (unsigned int i = 0; i < ins; i++) {
		at[i].offset = bytes;
		bytes += ALIGN64(braid_model_input(w->model, i)->bytes);
	}
	for (unsigned int i = 0; i < outs; i++) {
		at[ins + i].offset = bytes;
		bytes += ALIGN64(braid_model_output(w->model, i)->bytes);
	}
	ret = braid_buf_new(b, bytes, &buf);
	if (ret)
		return ret;
	memset(braid_buf_addr(buf), 0xff, bytes);
	for (unsigned int i = 0; i < ins + outs; i++)
		at[i].buf = buf;
	for (unsigned int i = 0; i < ins; i++)
		memcpy((char *)braid_buf_addr(buf) + at[i].offset, w->in[i],
		       braid_model_input(w->model, i)->bytes);
	return 0;
}

bool work_answered(const struct work *w, const struct braid_at *at)
{
	unsigned int ins = braid_model_inputs(w->model), outs = braid_model_outputs(w->model);
	void *out[WORK_TENSORS];
	bool same;

	for (unsigned int i = 0; i < outs; i++)
		out[i] = (char *)braid_buf_addr(at[ins + i].buf) + at[ins + i].offset;
	same = work_same(w, out);
	for (unsigned int i = 0; i < outs; i++)
		memset(out[i], 0xff, braid_model_output(w->model, i)->bytes);
	return same;
}

int work_submit(struct braid *b, const struct work *w, const struct braid_at *at,
		uint64_t user_data)
{
	struct braid_job_desc job = { .model = w->model, .io = at, .user_data = user_data,
				      .priority = BRAID_PRIORITY_NORMAL };

	return braid_submit(b, &job, 1);
}

unsigned int work_take(struct braid *b, struct braid_completion *out, unsigned int n)
{
	unsigned int got = 0;

	while (got < n) {
		int ret = braid_wait(b, out + got, n - got, -1);

		if (ret <= 0)
			break;
		got += ret;
	}
	return got;
}
