// SPDX-License-Identifier: MIT
/*
 * The zoo's models through importer and CPU backend against ONNX Runtime's
 * recorded outputs: each request alone, all merged into one run, and merged
 * with two requests' outputs swapped, which the comparison must notice.
 *
 * Before anything is compared, the recorded outputs of different requests are
 * shown to differ by ten times the tolerance: a merge that mixes requests up
 * cannot pass.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/program/sha256.h"
#include "tests/golden.h"
#include "tests/tap.h"
#include "tools/run/direct.h"
#include "tools/zoo/models.h"

#define TOLERANCE	1e-4
#define DEGREE		4
#define THREADS		2

static struct zoo_options defaults(void)
{
	return (struct zoo_options){
		.seed = ZOO_DEFAULT_SEED, .batch = 1, .opset = ZOO_DEFAULT_OPSET,
	};
}

static void hex_digest(const char *data, size_t n, char hex[65])
{
	uint8_t digest[32];
	struct sha256_ctx s;

	sha256_init(&s);
	sha256_add(&s, data, n);
	sha256_end(&s, digest);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* Write the model to a new temporary file and tell its digest. */
static int generate(const struct zoo_entry *e, const struct zoo_options *opt, char *path,
		    char hex[65])
{
	struct zoo *z = zoo_new(e->name, opt);
	char *data = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&data, &bytes);
	int fd = mkstemp(path), ret = -EIO;

	e->build(z);
	if (f && fd >= 0 && !zoo_write(z, f) && !fclose(f)) {
		hex_digest(data, bytes, hex);
		f = fdopen(fd, "w");
		if (f && fwrite(data, 1, bytes, f) == bytes && !fclose(f))
			ret = 0;
	}
	free(data);
	zoo_free(z);
	return ret;
}

static void draw(struct direct *d, const struct golden *g, uint32_t slot, int request)
{
	for (int i = 0; i < g->n_in; i++)
		golden_input(&g->in[i], g->seed[request], direct_input(d, slot, i));
}

/* The largest distance over the outputs of what slot @slot holds from @request's. */
static double distance(struct direct *d, const struct golden *g, uint32_t slot, int request)
{
	double worst = 0;

	for (int o = 0; o < g->n_out; o++) {
		double off = golden_distance(g, request, o, direct_output(d, slot, o));

		if (!(off <= worst))
			worst = off;
	}
	return worst;
}

static void wipe(struct direct *d, const struct golden *g)
{
	for (uint32_t r = 0; r < DEGREE; r++)
		for (int o = 0; o < g->n_out; o++)
			memset(direct_output(d, r, o), 0xff, g->out[o].bytes);
}

static bool same_face(const struct program *p, const struct golden *g)
{
	bool same = p->n_inputs == g->n_in && p->n_outputs == g->n_out;

	for (int i = 0; same && i < g->n_in; i++) {
		const struct prog_tensor *t = &p->tensors[p->inputs[i].tensor];

		same = !strcmp(p->inputs[i].name, g->in[i].name) && t->elems == g->in[i].elems &&
		       t->elems * prog_type_size(t->type) == g->in[i].bytes;
	}
	for (int o = 0; same && o < g->n_out; o++) {
		const struct prog_tensor *t = &p->tensors[p->outputs[o].tensor];

		same = !strcmp(p->outputs[o].name, g->out[o].name) &&
		       t->elems == g->out[o].elems &&
		       t->elems * prog_type_size(t->type) == g->out[o].bytes;
	}
	return same;
}

static bool all_apart(const struct golden *g)
{
	for (int i = 0; i < g->n_requests; i++)
		for (int j = 0; j < g->n_requests; j++)
			for (int o = 0; o < g->n_out && i != j; o++)
				if (!(golden_apart(g, i, j, o) >= 10 * TOLERANCE))
					return false;
	return true;
}

static void compare(struct direct *d, const struct golden *g, const char *what)
{
	static const uint32_t swapped[DEGREE] = { 1, 0, 2, 3 };
	double worst = 0, off;
	int ret = 0;

	wipe(d, g);
	for (int r = 0; r < DEGREE && !ret; r++) {
		draw(d, g, 0, r);
		ret = direct_run(d, 1, NULL, NULL);
		off = distance(d, g, 0, r);
		worst = off <= worst ? worst : off;
	}
	ok(!ret && worst <= TOLERANCE, "%s alone: off by %.2g", what, worst);

	wipe(d, g);
	for (int r = 0; r < DEGREE; r++)
		draw(d, g, r, r);
	ret = direct_run(d, DEGREE, NULL, NULL);
	worst = 0;
	for (int r = 0; r < DEGREE; r++) {
		off = distance(d, g, r, r);
		worst = off <= worst ? worst : off;
	}
	ok(!ret && worst <= TOLERANCE, "%s merged: off by %.2g", what, worst);

	wipe(d, g);
	ret = direct_run(d, DEGREE, swapped, NULL);
	ok(!ret && distance(d, g, 0, 0) > TOLERANCE && distance(d, g, 1, 1) > TOLERANCE,
	   "%s with requests 0 and 1 swapped: noticed", what);
	ok(!ret && distance(d, g, 0, 1) <= TOLERANCE && distance(d, g, 3, 3) <= TOLERANCE,
	   "%s with requests 0 and 1 swapped: the others are right", what);
}

/* @variant: in words, NULL for the very file that was recorded. */
static void test_model(const char *name, const struct zoo_options *opt, const char *variant,
		       bool passes)
{
	const struct direct_config cfg = {
		.load = { .batch = 1, .passes = passes },
		.threads = THREADS, .max_degree = DEGREE,
	};
	char path[] = "/tmp/braid-zoo-XXXXXX", golden[128], what[128], hex[65] = "", why[512] = "";
	struct direct *d = NULL;
	struct golden g;

	snprintf(what, sizeof(what), "%s%s%s", name, variant ? ", " : "", variant ? variant : "");
	snprintf(golden, sizeof(golden), "tests/goldens/%s.golden", name);
	if (!ok(!golden_read(&g, golden) && g.n_requests >= DEGREE, "%s: golden", what))
		return;
	if (!ok(!generate(zoo_find(name), opt, path, hex), "%s: generated", what))
		goto out;
	if (!variant)
		ok(!strcmp(hex, g.sha256), "%s: the file that was recorded", what);
	ok(all_apart(&g), "%s: requests differ by ten times the tolerance", what);
	if (!ok(!direct_open(path, &cfg, &d, why, sizeof(why)), "%s: loaded %s", what, why))
		goto out;
	if (ok(same_face(direct_program(d), &g), "%s: inputs and outputs as recorded", what))
		compare(d, &g, what);
	direct_close(d);
out:
	unlink(path);
	golden_free(&g);
}

int main(void)
{
	struct zoo_options opt = defaults();

	for (size_t i = 0; i < zoo_n_models; i++)
		test_model(zoo_models[i].name, &opt, NULL, true);
	test_model("efficientnet_b0", &opt, "no passes", false);
	test_model("tiny_bert", &opt, "no passes", false);
	opt.fold = true;
	test_model("mobilenet_v2", &opt, "folded by the generator", true);
	opt = defaults();
	opt.opset = 13;
	test_model("bert_6x384", &opt, "opset 13", true);
	opt = defaults();
	opt.batch = ZOO_FREE;
	test_model("tiny_cnn", &opt, "free batch bound to 1", true);
	test_model("gru", &opt, "free batch bound to 1", true);
	return tap_done();
}
