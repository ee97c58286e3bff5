// SPDX-License-Identifier: MIT
/*
 * Recorded outputs in the place of a model.
 *
 * One thread. An input that differs from the recorded one is an error of its
 * own: then preparing the input changed, and comparing outputs would mislead.
 */
#include "tools/demo/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

static int keep(struct replay *replay, const struct demo_model *m, const struct golden *g,
		const float *const *in)
{
	struct sample *grown, *s;

	grown = realloc(replay->samples, (replay->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	replay->samples = grown;
	s = &grown[replay->count++];
	*s = (struct sample){ .model = m, .golden = g };
	for (int i = 0; i < m->n_in; i++) {
		size_t bytes = tensor_elems(&m->in[i]) * sizeof(float);

		s->in[i] = malloc(bytes);
		if (!s->in[i])
			return -ENOMEM;
		memcpy(s->in[i], in[i], bytes);
	}
	return 0;
}

static int replay_run(struct infer *self, const struct demo_model *m, const char *key,
		      const float *const *in, float *const *out)
{
	struct replay *replay = (struct replay *)self;
	const struct golden *g = golden_find(replay->set, m, key);
	uint32_t crc = crc32(0, NULL, 0);

	if (!g) {
		fprintf(stderr, "%s %s: no output recorded\n", m->name, key);
		return -ENOENT;
	}
	for (int i = 0; i < m->n_in; i++)
		crc = crc32(crc, (const Bytef *)in[i], tensor_elems(&m->in[i]) * sizeof(float));
	if (crc != g->crc) {
		fprintf(stderr, "%s %s: input differs from the one that was recorded\n",
			m->name, key);
		return -EILSEQ;
	}
	for (int i = 0; i < m->n_out; i++)
		golden_expand(&g->out[i], out[i]);
	return keep(replay, m, g, in);
}

void replay_init(struct replay *replay, const struct golden_set *set)
{
	*replay = (struct replay){ .infer.run = replay_run, .set = set };
}

void replay_free(struct replay *replay)
{
	for (int i = 0; i < replay->count; i++)
		for (int j = 0; j < MODEL_MAX_TENSORS; j++)
			free(replay->samples[i].in[j]);
	free(replay->samples);
	memset(replay, 0, sizeof(*replay));
}

int replay_pick(const struct replay *replay, const struct demo_model *m,
		const struct sample **picked)
{
	const double tolerance = golden_tolerance();
	int n = 0;

	for (int i = 0; i < replay->count; i++) {
		const struct sample *s = &replay->samples[i];
		int j = 0;

		if (s->model != m)
			continue;
		while (j < n && golden_apart(s->golden, picked[j]->golden) >= 10 * tolerance)
			j++;
		if (j == n)
			picked[n++] = s;
	}
	return n;
}
