// SPDX-License-Identifier: MIT
/*
 * Reader of golden files, drawing of their inputs, comparison; see golden.h.
 *
 * Owns the memory of struct golden. Keeps no state, so any thread may read.
 */
#include "tests/golden.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/zoo/prng.h"

#define MAX_ELEMS	(1u << 28)

__attribute__((format(printf, 2, 3)))
static int bad(const char *path, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", path);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -EINVAL;
}

static int parse_kind(struct golden_tensor *t, char **save)
{
	const char *word = strtok_r(NULL, " ", save);

	for (int k = 0; word && k < DRAW_KINDS; k++) {
		if (strcmp(word, draw_kind_names[k]))
			continue;
		t->kind = k;
		if (k != DRAW_BELOW)
			return 0;
		word = strtok_r(NULL, " ", save);
		t->bound = word ? strtoul(word, NULL, 10) : 0;
		return t->bound ? 0 : -EINVAL;
	}
	return -EINVAL;
}

/* NAME TYPE RANK DIM... and, of an input, KIND; of an output, KEPT. */
static int parse_tensor(struct golden_tensor *t, char **save, bool input)
{
	const char *name = strtok_r(NULL, " ", save), *type = strtok_r(NULL, " ", save);
	const char *word = strtok_r(NULL, " ", save);

	if (!name || !type || !word || strlen(name) >= sizeof(t->name))
		return -EINVAL;
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->int64 = !strcmp(type, "int64");
	if (!t->int64 && strcmp(type, "float"))
		return -EINVAL;
	t->rank = atoi(word);
	if (t->rank < 0 || t->rank > GOLDEN_MAX_RANK)
		return -EINVAL;
	t->elems = 1;
	for (int i = 0; i < t->rank; i++) {
		word = strtok_r(NULL, " ", save);
		t->dims[i] = word ? atoll(word) : 0;
		if (t->dims[i] < 1 || t->dims[i] > MAX_ELEMS / t->elems)
			return -EINVAL;
		t->elems *= t->dims[i];
	}
	t->bytes = t->elems * (t->int64 ? sizeof(int64_t) : sizeof(float));
	if (input)
		return parse_kind(t, save);
	word = strtok_r(NULL, " ", save);
	t->kept = word ? strtoul(word, NULL, 10) : 0;
	return t->int64 || !t->kept || t->kept > t->elems ? -EINVAL : 0;
}

static int parse_line(struct golden *g, char *line)
{
	char *save, *key = strtok_r(line, " ", &save), *word;

	if (!key)
		return -EINVAL;
	if (!strcmp(key, "by"))
		return 0;
	if (!strcmp(key, "input"))
		return g->n_in == GOLDEN_MAX_TENSORS ? -EINVAL :
		       parse_tensor(&g->in[g->n_in++], &save, true);
	if (!strcmp(key, "output"))
		return g->n_out == GOLDEN_MAX_TENSORS ? -EINVAL :
		       parse_tensor(&g->out[g->n_out++], &save, false);
	word = strtok_r(NULL, " ", &save);
	if (!word)
		return -EINVAL;
	if (!strcmp(key, "model") && strlen(word) < sizeof(g->model))
		strcpy(g->model, word);
	else if (!strcmp(key, "sha256") && strlen(word) == 64)
		strcpy(g->sha256, word);
	else if (!strcmp(key, "request") && g->n_requests < GOLDEN_MAX_REQUESTS)
		g->seed[g->n_requests++] = strtoull(word, NULL, 10);
	else
		return -EINVAL;
	return 0;
}

static int read_values(struct golden *g, const char *path, FILE *f)
{
	size_t n;

	for (int o = 0; o < g->n_out; o++) {
		g->out[o].first = g->per_request;
		g->per_request += g->out[o].kept;
	}
	n = g->n_requests * g->per_request;
	if (!n)
		return bad(path, "no request or no output is recorded");
	g->values = calloc(n, sizeof(float));
	if (!g->values)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		uint8_t b[3];
		uint32_t bits;

		if (fread(b, 1, 3, f) != 3)
			return bad(path, "ends after %zu of %zu values", i, n);
		bits = (uint32_t)b[0] << 8 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 24;
		memcpy(&g->values[i], &bits, sizeof(bits));
		if (!isfinite(g->values[i]))
			return bad(path, "value %zu is not finite", i);
	}
	return fgetc(f) == EOF ? 0 : bad(path, "goes on after its last value");
}

int golden_read(struct golden *g, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[512];
	int number = 1, ret;

	memset(g, 0, sizeof(*g));
	if (!f) {
		ret = -errno;
		bad(path, "%s", strerror(errno));
		return ret;
	}
	if (!fgets(line, sizeof(line), f) || strcmp(line, "braid-golden 1\n")) {
		ret = bad(path, "is not a golden file of version 1");
		goto out;
	}
	for (;;) {
		number++;
		if (!fgets(line, sizeof(line), f) || !strchr(line, '\n')) {
			ret = bad(path, "line %d: the head has no end", number);
			goto out;
		}
		*strchr(line, '\n') = '\0';
		if (!strcmp(line, "end"))
			break;
		if (parse_line(g, line)) {
			ret = bad(path, "line %d is not understood", number);
			goto out;
		}
	}
	ret = read_values(g, path, f);
out:
	if (ret)
		golden_free(g);
	fclose(f);
	return ret;
}

void golden_free(struct golden *g)
{
	free(g->values);
	g->values = NULL;
}

void golden_input(const struct golden_tensor *t, uint64_t seed, void *to)
{
	const struct draw d = {
		.name = t->name,
		.type = t->int64 ? BRAID_TYPE_I64 : BRAID_TYPE_F32,
		.rank = t->rank,
		.dims = t->dims,
		.kind = t->kind,
		.bound = t->bound,
	};

	draw_tensor(&d, seed, to);
}

static const float *kept(const struct golden *g, int request, int output)
{
	return g->values + request * g->per_request + g->out[output].first;
}

double golden_distance(const struct golden *g, int request, int output, const float *got)
{
	const struct golden_tensor *t = &g->out[output];
	const uint64_t subset = prng_stream(0, t->name);
	const float *want = kept(g, request, output);
	double off = 0, norm = 0;

	for (size_t i = 0; i < t->kept; i++) {
		size_t e = t->kept == t->elems ? i : prng_below(prng_at(subset, i), t->elems);
		double d = (double)got[e] - want[i];

		if (!isfinite(got[e]))
			return INFINITY;
		off += d * d;
		norm += (double)want[i] * want[i];
	}
	return sqrt(off / norm);
}

double golden_apart(const struct golden *g, int request, int other, int output)
{
	const float *a = kept(g, request, output), *b = kept(g, other, output);
	double off = 0, norm = 0;

	for (size_t i = 0; i < g->out[output].kept; i++) {
		double d = (double)a[i] - b[i];

		off += d * d;
		norm += (double)a[i] * a[i];
	}
	return sqrt(off / norm);
}
