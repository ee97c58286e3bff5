// SPDX-License-Identifier: MIT
/*
 * One request after the other through Braid, as a simple tenant does it.
 *
 * One thread. Inputs of later models follow from answers of earlier ones, so
 * they may differ in a pixel from those recorded; an answer is compared where
 * the input is the recorded one, and counted.
 */
#include "tools/demo/live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

/* A minute: far more than any of these models takes on a slow machine. */
#define TIMEOUT_MS 60000

int live_patience(int ms)
{
	const char *factor = getenv("BRAID_DEMO_PATIENCE");
	int n = factor ? atoi(factor) : 1;

	return ms * (n < 1 ? 1 : n > 100 ? 100 : n);
}

static int live_run(struct infer *self, const struct demo_model *m, const char *key,
		    const float *const *in, float *const *out)
{
	struct live *live = (struct live *)self;
	const struct golden *g = golden_find(live->set, m, key);
	uint32_t crc = crc32(0, NULL, 0);
	double distance;
	int err;

	err = braid_infer(live->braid, live->models[m - demo_models], (const void *const *)in,
			  (void *const *)out, live_patience(TIMEOUT_MS));
	if (err) {
		fprintf(stderr, "%s %s: %s\n", m->name, key, braid_error());
		return err;
	}
	live->requests++;
	for (int i = 0; i < m->n_in; i++)
		crc = crc32(crc, (const Bytef *)in[i], tensor_elems(&m->in[i]) * sizeof(float));
	if (!g || g->crc != crc)
		return 0;
	live->compared++;
	distance = golden_distance(g, (const float *const *)out);
	if (!(distance <= live->worst))
		live->worst = distance;
	if (!(distance <= golden_tolerance())) {
		fprintf(stderr, "%s %s: differs from the reference by %.2g (relative L2)\n",
			m->name, key, distance);
		live->wrong++;
	}
	return 0;
}

static int same_tensor(const struct demo_model *m, const char *what, int i,
		       const struct model_tensor *want, const struct braid_tensor *got)
{
	size_t bytes = tensor_elems(want) * sizeof(float);

	if (!strncmp(got->name, want->name, sizeof(got->name) - 1) &&
	    got->type == BRAID_TYPE_F32 && got->bytes == bytes)
		return 0;
	fprintf(stderr,
		"model %s: %s %d is \"%s\" of type %u and %llu bytes, expected \"%s\", float32, %zu bytes\n",
		m->name, what, i, got->name, got->type, (unsigned long long)got->bytes,
		want->name, bytes);
	return -EPROTO;
}

int live_model(struct braid *braid, const struct demo_model *m, struct braid_model **out)
{
	struct braid_model *found;
	int err;

	err = braid_model_find(braid, m->name, &found);
	if (err) {
		fprintf(stderr, "model %s: %s\n", m->name, braid_error());
		return err;
	}
	if (braid_model_inputs(found) != m->n_in || braid_model_outputs(found) != m->n_out) {
		fprintf(stderr, "model %s: %u inputs and %u outputs, expected %d and %d\n",
			m->name, braid_model_inputs(found), braid_model_outputs(found),
			m->n_in, m->n_out);
		err = -EPROTO;
	}
	for (int i = 0; i < m->n_in && !err; i++)
		err = same_tensor(m, "input", i, &m->in[i], braid_model_input(found, i));
	for (int i = 0; i < m->n_out && !err; i++)
		err = same_tensor(m, "output", i, &m->out[i], braid_model_output(found, i));
	if (err)
		braid_model_put(braid, found);
	else
		*out = found;
	return err;
}

int live_open(struct live *live, const char *socket, const struct golden_set *set)
{
	int err;

	*live = (struct live){ .infer.run = live_run, .set = set };
	err = braid_open(socket, &live->braid);
	if (err) {
		fprintf(stderr, "braidd at %s: %s\n", socket ? socket : "its default socket",
			braid_error());
		return err;
	}
	for (int i = 0; i < MODEL_COUNT && !err; i++)
		err = live_model(live->braid, &demo_models[i], &live->models[i]);
	if (err)
		live_close(live);
	return err;
}

void live_close(struct live *live)
{
	braid_close(live->braid);
	memset(live, 0, sizeof(*live));
}
