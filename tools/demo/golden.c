// SPDX-License-Identifier: MIT
/*
 * The file of recorded outputs.
 *
 * gzip over little-endian fields, so that the folder stays small in git:
 *
 *   "BRAIDGD1", u32 records; then by record
 *   char model[40], key[40]; u32 crc, outputs; then by output
 *   u32 rows, cols, kept; u32 columns[kept] unless kept == cols;
 *   the values' lowest bytes, then their second bytes, third, highest
 *   (equal exponents side by side compress well).
 *
 * Immutable once read. The file comes with the source, yet every count is
 * bounded by the model table before memory is taken.
 */
#include "tools/demo/golden.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define MAX_RECORDS 4096

static int take(gzFile f, void *to, size_t bytes)
{
	return gzread(f, to, bytes) == (int)bytes ? 0 : -EINVAL;
}

static int take_u32(gzFile f, uint32_t *v)
{
	uint8_t b[4];

	if (take(f, b, 4))
		return -EINVAL;
	*v = b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;
	return 0;
}

static int take_values(gzFile f, float *values, size_t n)
{
	uint8_t *planes = malloc(4 * n);
	int err;

	if (!planes)
		return -ENOMEM;
	err = take(f, planes, 4 * n);
	for (size_t i = 0; i < n && !err; i++) {
		uint32_t bits = planes[i] | planes[n + i] << 8 | planes[2 * n + i] << 16 |
				(uint32_t)planes[3 * n + i] << 24;

		memcpy(values + i, &bits, sizeof(bits));
		if (!isfinite(values[i]))
			err = -EINVAL;
	}
	free(planes);
	return err;
}

static int take_tensor(gzFile f, const struct model_tensor *shape, struct golden_tensor *t)
{
	uint32_t rows, cols, kept;
	int err;

	if (take_u32(f, &rows) || take_u32(f, &cols) || take_u32(f, &kept))
		return -EINVAL;
	if (cols != (uint32_t)shape->dims[shape->rank - 1] || !kept || kept > cols ||
	    rows != (uint32_t)tensor_elems(shape) / cols)
		return -EINVAL;
	t->rows = rows;
	t->cols = cols;
	t->kept = kept;
	if (kept < cols) {
		t->columns = calloc(kept, sizeof(*t->columns));
		if (!t->columns)
			return -ENOMEM;
		for (uint32_t i = 0; i < kept; i++) {
			err = take_u32(f, &t->columns[i]);
			if (err || t->columns[i] >= cols ||
			    (i && t->columns[i] <= t->columns[i - 1]))
				return -EINVAL;
		}
	}
	t->values = calloc((size_t)rows * kept, sizeof(*t->values));
	if (!t->values)
		return -ENOMEM;
	return take_values(f, t->values, (size_t)rows * kept);
}

static int take_record(gzFile f, struct golden *g)
{
	const struct demo_model *m;
	uint32_t outputs;
	int err = 0;

	if (take(f, g->model, KEY_BYTES) || take(f, g->key, KEY_BYTES) ||
	    g->model[KEY_BYTES - 1] || g->key[KEY_BYTES - 1] ||
	    take_u32(f, &g->crc) || take_u32(f, &outputs))
		return -EINVAL;
	m = model_find(g->model);
	if (!m || outputs != (uint32_t)m->n_out)
		return -EINVAL;
	for (uint32_t i = 0; i < outputs && !err; i++) {
		err = take_tensor(f, &m->out[i], &g->out[i]);
		g->n_out = i + 1;
	}
	return err;
}

static int take_all(gzFile f, struct golden_set *set)
{
	uint32_t count;
	char magic[8];
	int err = 0;

	if (take(f, magic, 8) || memcmp(magic, "BRAIDGD1", 8) || take_u32(f, &count) ||
	    !count || count > MAX_RECORDS)
		return -EINVAL;
	set->records = calloc(count, sizeof(*set->records));
	if (!set->records)
		return -ENOMEM;
	for (uint32_t i = 0; i < count && !err; i++) {
		err = take_record(f, &set->records[i]);
		set->count = i + 1;
	}
	return err;
}

int golden_read(struct golden_set *set, const char *path)
{
	gzFile f = gzopen(path, "rb");
	int err;

	memset(set, 0, sizeof(*set));
	if (!f) {
		err = errno ? -errno : -ENOMEM;
		fprintf(stderr, "%s: %s\n", path, strerror(-err));
		return err;
	}
	err = take_all(f, set);
	/* The trailing CRC is only looked at when the end is read. */
	if (!err && gzgetc(f) != -1)
		err = -EINVAL;
	if (gzclose(f) != Z_OK && !err)
		err = -EINVAL;
	if (err) {
		fprintf(stderr, "%s: record %d: %s\n", path, set->count,
			err == -ENOMEM ? "no memory" : "not what this demo's models give");
		golden_free(set);
	}
	return err;
}

void golden_free(struct golden_set *set)
{
	for (int i = 0; i < set->count; i++) {
		for (int j = 0; j < set->records[i].n_out; j++) {
			free(set->records[i].out[j].columns);
			free(set->records[i].out[j].values);
		}
	}
	free(set->records);
	memset(set, 0, sizeof(*set));
}

const struct golden *golden_find(const struct golden_set *set, const struct demo_model *m,
				 const char *key)
{
	for (int i = 0; i < set->count; i++)
		if (!strcmp(set->records[i].key, key) && !strcmp(set->records[i].model, m->name))
			return &set->records[i];
	return NULL;
}

void golden_expand(const struct golden_tensor *t, float *out)
{
	memset(out, 0, (size_t)t->rows * t->cols * sizeof(*out));
	for (int r = 0; r < t->rows; r++)
		for (int k = 0; k < t->kept; k++)
			out[(size_t)r * t->cols + (t->columns ? t->columns[k] : k)] =
				t->values[(size_t)r * t->kept + k];
}

static double relative_l2(const float *got, const struct golden_tensor *t)
{
	double diff = 0, norm = 0;

	for (int r = 0; r < t->rows; r++) {
		for (int k = 0; k < t->kept; k++) {
			double want = t->values[(size_t)r * t->kept + k];
			double have = got[(size_t)r * t->cols + (t->columns ? t->columns[k] : k)];

			if (!isfinite(have))
				return INFINITY;
			diff += (have - want) * (have - want);
			norm += want * want;
		}
	}
	return norm > 0 ? sqrt(diff / norm) : diff > 0 ? INFINITY : 0;
}

double golden_tolerance(void)
{
	const char *env = getenv("BRAID_DEMO_TOLERANCE");
	double v = env ? strtod(env, NULL) : 0;

	return v > 0 ? v : GOLDEN_TOLERANCE;
}

static int top(const float *row, int n)
{
	int best = 0;

	for (int i = 1; i < n; i++)
		if (row[i] > row[best])
			best = i;
	return best;
}

int golden_other_class(const struct golden *g, const struct demo_model *m,
		       const float *const *got)
{
	int other = 0;

	for (int i = 0; i < g->n_out && m->classes; i++) {
		const struct golden_tensor *t = &g->out[i];

		for (int r = 0; r < t->rows; r++) {
			int want = top(t->values + (size_t)r * t->kept, t->kept);

			if (t->columns)
				want = t->columns[want];
			other += want != top(got[i] + (size_t)r * t->cols, t->cols);
		}
	}
	return other;
}

double golden_distance(const struct golden *g, const float *const *got)
{
	double worst = 0;

	for (int i = 0; i < g->n_out; i++)
		worst = fmax(worst, relative_l2(got[i], &g->out[i]));
	return worst;
}

double golden_apart(const struct golden *a, const struct golden *b)
{
	double worst = 0;

	for (int i = 0; i < a->n_out && i < b->n_out; i++) {
		const struct golden_tensor *t = &b->out[i];
		float *whole = malloc((size_t)t->rows * t->cols * sizeof(*whole));

		/* Without memory nothing is known to be apart. */
		if (!whole)
			return 0;
		golden_expand(t, whole);
		worst = fmax(worst, relative_l2(whole, &a->out[i]));
		free(whole);
	}
	return worst;
}
