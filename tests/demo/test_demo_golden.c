// SPDX-License-Identifier: MIT
/*
 * The demo's recorded outputs: they belong to the inputs that this build
 * prepares, they tell right from wrong, and a damaged file is refused.
 *
 * Needs no model and no agent. Runs from the top folder.
 */
#include "tests/tap.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "tools/demo/replay.h"
#include "tools/demo/scene.h"

#define DATA "tools/demo/data"

static struct golden_set set;
static struct scene scene;

static void test_replay(struct replay *replay)
{
	struct findings found;

	is_int(scene_run(&scene, &replay->infer, &found), 0,
	       "every input is the one that was recorded");
	is_int(replay->count, set.count, "every record is used");
	is_int(found.pages[0].count, 7, "seven lines on the page");
	is_int(found.pages[1].count, 7, "seven lines on the turned page");
	ok(!found.pages[0].upside_down, "the page stands upright");
	ok(found.pages[1].upside_down, "the turned page stands on its head");
	for (int i = 0; i < SCENE_SOUNDS; i++) {
		const struct speech *s = found.sounds[i].speech;

		is_int(found.sounds[i].count, 1, "recording %d: one stretch of speech", i + 1);
		ok(s->end - s->start > 2 * VAD_RATE, "recording %d: over two seconds of it", i + 1);
	}
}

/* Every answer is right for its own request and wrong for any other. */
static void test_told_apart(const struct replay *replay, const struct demo_model *m)
{
	const struct sample **picked = calloc(replay->count, sizeof(*picked));
	float *out[MODEL_MAX_TENSORS];
	int n, own = 0, other = 0;

	if (!picked)
		exit(1);
	n = replay_pick(replay, m, picked);
	ok(n >= 2, "%s: %d answers that can be told apart", m->name, n);
	for (int i = 0; i < m->n_out; i++) {
		out[i] = malloc(tensor_elems(&m->out[i]) * sizeof(float));
		if (!out[i])
			exit(1);
	}
	for (int i = 0; i < n; i++) {
		for (int j = 0; j < m->n_out; j++)
			golden_expand(&picked[i]->golden->out[j], out[j]);
		for (int j = 0; j < n; j++) {
			double d = golden_distance(picked[j]->golden, (const float *const *)out);

			if (i == j)
				own += d == 0 && !golden_other_class(picked[i]->golden, m,
								     (const float *const *)out);
			else
				other += d >= 5 * GOLDEN_TOLERANCE;
		}
	}
	is_int(own, n, "%s: every answer equals itself, in its classes too", m->name);
	is_int(other, n * (n - 1), "%s: every swapped answer is noticed", m->name);
	for (int i = 0; i < m->n_out; i++)
		free(out[i]);
	free(picked);
}

static void test_distance(void)
{
	const struct demo_model *m = &demo_models[MODEL_DET];
	const struct golden *g = golden_find(&set, m, "page");
	int elems = tensor_elems(m->out);
	float *out = malloc(elems * sizeof(*out));
	const float *got[] = { out };

	if (!g || !out)
		exit(1);
	golden_expand(&g->out[0], out);
	for (int i = 0; i < elems; i++)
		out[i] *= 1 + 0.5 * GOLDEN_TOLERANCE;
	ok(golden_distance(g, got) <= GOLDEN_TOLERANCE, "half the tolerance away is equal");
	for (int i = 0; i < elems; i++)
		out[i] *= 1 + 1.5 * GOLDEN_TOLERANCE;
	ok(golden_distance(g, got) > GOLDEN_TOLERANCE, "twice the tolerance away is not");
	golden_expand(&g->out[0], out);
	out[elems / 2] = NAN;
	ok(!(golden_distance(g, got) <= GOLDEN_TOLERANCE), "one NaN is not equal");
	free(out);
}

static void test_other_class(void)
{
	const struct demo_model *m = &demo_models[MODEL_CLS];
	const float *got[1];
	float out[2], other[2];
	int i = 0;

	while (i < set.count && strcmp(set.records[i].model, m->name))
		i++;
	if (i == set.count)
		exit(1);
	golden_expand(&set.records[i].out[0], out);
	other[0] = out[1];
	other[1] = out[0];
	got[0] = out;
	is_int(golden_other_class(&set.records[i], m, got), 0, "the same class");
	got[0] = other;
	is_int(golden_other_class(&set.records[i], m, got), 1, "another one is noticed");
}

static void test_changed_input(void)
{
	struct findings found;
	struct replay replay;
	int err;

	scene.pages[0].pixels[scene.pages[0].width * 30] ^= 0x10;
	replay_init(&replay, &set);
	diag("one line about another input is expected:");
	err = scene_run(&scene, &replay.infer, &found);
	ok(err, "a changed pixel is told from a wrong answer");
	replay_free(&replay);
}

static long slurp(const char *path, unsigned char *to, long room)
{
	gzFile f = gzopen(path, "rb");
	long n;

	if (!f)
		return -1;
	n = gzread(f, to, room);
	gzclose(f);
	return n;
}

static int read_changed(const char *path, const unsigned char *data, long n)
{
	struct golden_set bad;
	gzFile f = gzopen(path, "wb1");
	int err;

	if (!f || gzwrite(f, data, n) != n || gzclose(f))
		exit(1);
	err = golden_read(&bad, path);
	golden_free(&bad);
	return err;
}

static void test_damaged(void)
{
	/* Offsets: magic 0, count 8, model 12, key 52, crc 92, outputs 96, rows 100, ... */
	static const struct {
		const char *what;
		long at;
	} fields[] = {
		{ "magic", 0 }, { "count", 9 }, { "model", 12 }, { "unterminated model", 51 },
		{ "outputs", 96 }, { "rows", 100 }, { "columns", 104 }, { "kept", 110 },
	};
	char path[] = "/tmp/braid-test-golden-XXXXXX";
	long room = 8 << 20, n;
	unsigned char *data = malloc(room);
	int fd = mkstemp(path);

	if (!data || fd < 0)
		exit(1);
	close(fd);
	n = slurp(DATA "/goldens.gz", data, room);
	ok(n > 100000 && n < room, "the file of recorded outputs can be read");
	is_int(read_changed(path, data, n), 0, "written again it is the same");
	diag("lines about damaged files are expected:");
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		data[fields[i].at] ^= 0x5a;
		ok(read_changed(path, data, n), "damaged %s is refused", fields[i].what);
		data[fields[i].at] ^= 0x5a;
	}
	for (long cut = 1; cut < n; cut = cut * 7 + 3)
		ok(read_changed(path, data, n - cut), "%ld bytes less is refused", cut);
	ok(read_changed(path, data, n - 1), "one byte less is refused");
	data[n] = 0;
	ok(read_changed(path, data, n + 1), "one byte more is refused");
	unlink(path);
	free(data);
}

int main(void)
{
	struct replay replay;

	if (scene_open(&scene, DATA, NULL) || golden_read(&set, DATA "/goldens.gz")) {
		ok(false, "the demo's data can be read");
		return tap_done();
	}
	replay_init(&replay, &set);
	test_replay(&replay);
	for (int i = 0; i < MODEL_COUNT; i++)
		test_told_apart(&replay, &demo_models[i]);
	replay_free(&replay);
	test_distance();
	test_other_class();
	test_damaged();
	test_changed_input();
	golden_free(&set);
	scene_close(&scene);
	return tap_done();
}
