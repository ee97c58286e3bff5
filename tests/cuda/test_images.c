// SPDX-License-Identifier: MIT
/*
 * Packed weights that are kept: a plan that takes them is the plan that packed
 * them, their name tells all that they depend on, and what is not them is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cuda/cuda.h"
#include "agent/program/program.h"
#include "tests/cuda/zoo_program.h"
#include "tests/tap.h"

static bool same_steps(const struct gpu_plan *a, const struct gpu_plan *b, uint32_t degree)
{
	const struct gpu_addresses at = { 1 << 20, 2 << 20, 3 << 20, 4 << 20 };
	struct gpu_launch x, y;

	if (a->n_steps != b->n_steps || a->n_kernels != b->n_kernels || a->arena_bytes != b->arena_bytes)
		return false;
	for (uint32_t i = 0; i < a->n_kernels; i++)
		if (strcmp(a->kernels[i].name, b->kernels[i].name))
			return false;
	for (uint32_t i = 0; i < a->n_steps; i++) {
		memset(&x, 0, sizeof(x));
		memset(&y, 0, sizeof(y));
		gpu_step_bind(a, i, degree, &at, &x);
		gpu_step_bind(b, i, degree, &at, &y);
		if (memcmp(&x, &y, sizeof(x)))
			return false;
	}
	return true;
}

static void plans(const char *name, enum gpu_mode mode)
{
	struct gpu_options opt = { .mode = mode, .sm = 90, .n_sms = 16 };
	struct program *p = zoo_program(name);
	struct gpu_plan *packed = NULL, *taken = NULL, *wrong = NULL;
	void *copy;

	if (!p || gpu_plan_make(p, &opt, &packed, NULL, 0)) {
		ok(false, "%s: a plan", name);
		return;
	}
	copy = malloc(packed->image_bytes);
	memcpy(copy, packed->image, packed->image_bytes);
	opt.image = copy;
	opt.image_bytes = packed->image_bytes;
	is_int(gpu_plan_make(p, &opt, &taken, NULL, 0), 0, "%s: a plan takes packed weights", name);
	ok(taken && taken->image == copy && taken->image_bytes == packed->image_bytes,
	   "%s: as they are", name);
	ok(taken && same_steps(packed, taken, 1) && same_steps(packed, taken, 5),
	   "%s: and is the one that packed them", name);
	ok(!memcmp(copy, packed->image, packed->image_bytes), "%s: nothing was written to them", name);
	opt.image_bytes -= 256;
	is_int(gpu_plan_make(p, &opt, &wrong, NULL, 0), -ESTALE, "%s: others are refused", name);
	gpu_plan_free(packed);
	gpu_plan_free(taken);
	free(copy);
	program_free(p);
}

static void names(void)
{
	struct gpu_options opt = { .sm = 90, .n_sms = 132 }, other;
	uint8_t a[CACHE_KEY_BYTES], b[CACHE_KEY_BYTES];
	struct program *p = zoo_program("tiny_mlp");

	memset(p->digest, 0, sizeof(p->digest));
	ok(!image_key(p, &opt, a), "what came out of no file has no name");
	p->digest[3] = 1;
	if (!image_key(p, &opt, a)) {
		tap_skip("names of weights", "this build has none");
		program_free(p);
		return;
	}
	ok(image_key(p, &opt, b) && !memcmp(a, b, sizeof(a)), "the same has the same name");
	p->digest[3] = 2;
	ok(image_key(p, &opt, b) && memcmp(a, b, sizeof(a)), "another file has another");
	p->digest[3] = 1;
	other = opt;
	other.n_sms = 16;
	ok(image_key(p, &other, b) && memcmp(a, b, sizeof(a)), "so has another number of multiprocessors");
	other = opt;
	other.crowd = 1056;
	ok(image_key(p, &other, b) && memcmp(a, b, sizeof(a)), "and a crowd on a larger device");
	other = opt;
	other.mode = GPU_FP32;
	ok(image_key(p, &other, b) && memcmp(a, b, sizeof(a)), "and another precision");
	program_free(p);
}

static void kept(void)
{
	const uint8_t first[CACHE_KEY_BYTES] = { 1 }, second[CACHE_KEY_BYTES] = { 2 };
	uint8_t of[CACHE_KEY_BYTES], bytes[300];
	struct gpu_plan plan = { .image = bytes, .image_bytes = sizeof(bytes) };
	char dir[] = "/tmp/braid-images-XXXXXX", rm[64];
	struct cache_blob blob;
	struct cache *c;

	if (!mkdtemp(dir)) {
		ok(false, "a folder");
		return;
	}
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 7;
	c = cache_open(dir, 1 << 20, NULL, NULL);
	is_int(image_get(c, first, of, &blob), -ENOENT, "nothing is there");
	image_put(c, first, &plan);
	is_int(image_get(c, first, of, &blob), 0, "then it is");
	ok(blob.bytes == sizeof(bytes) && !memcmp(blob.data, bytes, sizeof(bytes)) &&
	   !memcmp(of, first, sizeof(of)), "byte by byte");
	cache_release(&blob);
	cache_weights_put(c, second, first, sizeof(first));
	is_int(image_get(c, second, of, &blob), 1, "one that is as another says so");
	ok(!memcmp(of, first, sizeof(of)) && !blob.map, "and as which");
	plan.image_bytes = CACHE_KEY_BYTES;
	image_put(c, first, &plan);
	is_int(image_get(c, first, of, &blob), 0, "too short a one is not kept");
	is_int(blob.bytes, sizeof(bytes), "the one before is there still");
	cache_release(&blob);
	cache_close(c);
	snprintf(rm, sizeof(rm), "rm -rf %s", dir);
	if (system(rm))
		diag("%s is left", dir);
}

/* Everything in the directory was used long ago. */
static void make_old(const char *dir)
{
	char text[128];

	snprintf(text, sizeof(text), "find %s -type f -exec touch -d '2 days ago' {} +", dir);
	ok(!system(text), "time passes");
}

static int has(struct cache *c, bool weights, uint8_t number)
{
	const uint8_t key[CACHE_KEY_BYTES] = { number };
	struct cache_blob b;
	int ret = weights ? cache_weights_get(c, key, &b) : cache_get(c, key, &b);

	cache_release(&b);
	return !ret;
}

static void add(struct cache *c, bool weights, uint8_t number)
{
	const uint8_t key[CACHE_KEY_BYTES] = { number };
	static uint8_t bytes[90000];

	memset(bytes, number, sizeof(bytes));
	if (weights)
		cache_weights_put(c, key, bytes, sizeof(bytes));
	else
		cache_put(c, key, bytes, sizeof(bytes));
}

static unsigned int said;

static void say(void *arg, const char *text)
{
	said++;
}

/* 400,000 bytes: two weights are all that half of it takes. */
static void room(void)
{
	char dir[] = "/tmp/braid-images-XXXXXX", rm[64];
	struct cache *c = mkdtemp(dir) ? cache_open(dir, 400000, say, NULL) : NULL;

	if (!c) {
		ok(false, "a folder");
		return;
	}
	for (int i = 1; i <= 4; i++)
		add(c, true, i);
	ok(has(c, true, 1) && has(c, true, 2), "weights that are in use stay");
	ok(!has(c, true, 3) && !has(c, true, 4), "others do not take their place");
	is_int(said, 1, "which is said once");
	make_old(dir);
	cache_close(c);
	c = cache_open(dir, 400000, say, NULL);
	ok(has(c, true, 2), "one of them is used again");
	add(c, true, 3);
	ok(has(c, true, 2) && has(c, true, 3) && !has(c, true, 1), "the other one makes room");
	for (int i = 1; i <= 4; i++)
		add(c, false, i);
	ok(has(c, false, 1) && has(c, false, 2) && has(c, false, 3) && has(c, false, 4),
	   "kernels stay");
	ok(!has(c, true, 2) && !has(c, true, 3), "and weights go for them");
	cache_close(c);
	snprintf(rm, sizeof(rm), "rm -rf %s", dir);
	if (system(rm))
		diag("%s is left", dir);
}

int main(void)
{
	static const char *const models[] = { "tiny_cnn", "tiny_bert", "tiny_mlp", "lstm" };

	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		plans(models[i], GPU_FP16);
	plans("tiny_cnn", GPU_FP32);
	names();
	kept();
	room();
	return tap_done();
}
