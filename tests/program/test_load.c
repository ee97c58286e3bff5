// SPDX-License-Identifier: MIT
/*
 * Loading: bindings of free dimensions and of inputs to constants, limits, the
 * digest that names the result, and the SHA-256 that it is made of.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/load.h"
#include "agent/program/sha256.h"
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

/* plain_sha.c */
void plain_sha_init(struct sha256 *s);
void plain_sha_add(struct sha256 *s, const void *data, size_t n);
void plain_sha_end(struct sha256 *s, uint8_t digest[32]);

static void is_sha(const char *data, size_t n, const char *want, const char *what)
{
	size_t cut = n / 3;
	struct sha256 s;
	uint8_t d[32], plain[32];
	char hex[65];

	sha256_init(&s);
	sha256_add(&s, data, cut);
	sha256_add(&s, data + cut, n - cut);
	sha256_end(&s, d);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", d[i]);
	ok(!strcmp(hex, want), "SHA-256 of %s", what);
	plain_sha_init(&s);
	plain_sha_add(&s, data, cut);
	plain_sha_add(&s, data + cut, n - cut);
	plain_sha_end(&s, plain);
	ok(!memcmp(d, plain, sizeof(d)), "and without the processor's instructions for it");
}

/* FIPS 180-4's examples, and lengths around a block. */
static void try_sha(void)
{
	char *a = malloc(1000000);

	memset(a, 'a', 1000000);
	is_sha("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "nothing");
	is_sha("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "abc");
	is_sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
	       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", "two blocks");
	is_sha(a, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
	       "a million a");
	is_sha(a, 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318", "55 a");
	is_sha(a, 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb", "64 a");
	free(a);
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
	try_sha();
	free(model);
	return tap_done();
}
