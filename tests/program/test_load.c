// SPDX-License-Identifier: MIT
/*
 * Loading: bindings of free dimensions and of inputs to constants, limits, the
 * digest that names the result, and the SHA-256 that it is made of.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/load.h"
#include "tests/program/graph.h"
#include "tests/tap.h"
#include "tools/zoo/models.h"

static char *model;
static size_t model_bytes;

static void write_model(uint64_t seed)
{
	struct zoo_options opt = { .seed = seed, .batch = ZOO_FREE, .size = 32, .opset = 17 };
	struct zoo *z = zoo_new("tiny_mlp", &opt);
	FILE *f;

	free(model);
	zoo_find("tiny_mlp")->build(z);
	f = open_memstream(&model, &model_bytes);
	zoo_write(z, f);
	fclose(f);
	zoo_free(z);
}

static int load(const struct load_config *cfg, struct program **p, char *why)
{
	return program_load_mem(model, model_bytes, "tiny_mlp", cfg, p, why, 300);
}

/* Load, hope for the best, keep the digest and the input's shape. */
static bool digest(const struct load_config *cfg, uint8_t d[32], struct prog_tensor *input)
{
	struct program *p;
	char why[300];

	if (load(cfg, &p, why)) {
		diag("%s", why);
		return false;
	}
	memcpy(d, p->digest, 32);
	if (input)
		*input = p->tensors[p->inputs[0].tensor];
	program_free(p);
	return true;
}

static void try_bindings(const char *name, int64_t features)
{
	struct load_shape shape = { .input = name, .rank = 2, .dims = { 3, features } };
	struct load_const fixed = { .input = name, .value = 2 };
	struct load_config cfg = { .passes = true };
	struct program *p;
	char why[300];

	is_int(load(&cfg, &p, why), -EINVAL, "a free dimension must be bound");
	ok(strstr(why, name) && strstr(why, "dimension 0"), "and is named: %s", why);
	cfg.shapes = &shape;
	cfg.n_shapes = 1;
	ok(!load(&cfg, &p, why) && p->tensors[p->inputs[0].tensor].dims[0] == 3, "bound to 3");
	ok(p->macs % 3 == 0 && p->macs > 0, "work for 3 rows: %llu", (unsigned long long)p->macs);
	program_free(p);
	shape.dims[1]++;
	is_int(load(&cfg, &p, why), -EINVAL, "against what the file fixes: %s", why);
	shape.dims[1]--;
	shape.rank = 3;
	shape.dims[2] = 1;
	is_int(load(&cfg, &p, why), -EINVAL, "of another rank: %s", why);
	shape.rank = 2;
	shape.dims[0] = 0;
	is_int(load(&cfg, &p, why), -EOPNOTSUPP, "to nothing: %s", why);
	shape.dims[0] = INT64_MAX / 2;
	is_int(load(&cfg, &p, why), -EINVAL, "to far too much: %s", why);
	shape.dims[0] = 1;
	shape.input = "nobody";
	is_int(load(&cfg, &p, why), -EINVAL, "of an input that is not there: %s", why);

	cfg.n_shapes = 0;
	cfg.batch = 5;
	ok(!load(&cfg, &p, why) && p->tensors[p->inputs[0].tensor].dims[0] == 5,
	   "a batch for the first dimension");
	program_free(p);
	cfg.max_bytes = 256;
	is_int(load(&cfg, &p, why), -EINVAL, "more memory than allowed: %s", why);
	cfg.max_bytes = 0;

	cfg.consts = &fixed;
	cfg.n_consts = 1;
	ok(!load(&cfg, &p, why) && p->n_inputs == 0 && p->n_ops == 1,
	   "with its input fixed the whole model is one constant, copied");
	program_free(p);
}

static void try_digest(const char *name, int64_t features)
{
	struct load_shape shape = { .input = name, .rank = 2, .dims = { 2, features } };
	struct load_config by_batch = { .passes = true, .batch = 2 };
	struct load_config by_shape = { .passes = true, .shapes = &shape, .n_shapes = 1 };
	struct load_config other = { .passes = true, .batch = 3 };
	uint8_t a[32], b[32];

	ok(digest(&by_batch, a, NULL) && digest(&by_shape, b, NULL) && !memcmp(a, b, 32),
	   "the digest is the same for the same binding, however it is given");
	ok(digest(&other, b, NULL) && memcmp(a, b, 32), "another for another binding");
	write_model(2);
	ok(digest(&by_batch, b, NULL) && memcmp(a, b, 32), "another for other weights");
	write_model(1);
	ok(digest(&by_batch, b, NULL) && !memcmp(a, b, 32), "and the first one again");
}

int main(void)
{
	struct load_config cfg = { .passes = true, .batch = 1 };
	struct prog_tensor input;
	struct program *p;
	char why[300], name[64];
	uint8_t d[32];

	write_model(1);
	if (load(&cfg, &p, why))
		return ok(0, "the model loads: %s", why);
	snprintf(name, sizeof(name), "%s", p->inputs[0].name);
	program_free(p);
	digest(&cfg, d, &input);
	try_bindings(name, input.dims[1]);
	try_digest(name, input.dims[1]);
	free(model);
	return tap_done();
}
