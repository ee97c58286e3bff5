// SPDX-License-Identifier: MIT
/*
 * Files that are no whole models: cut off, flipped, nested without end, or no
 * files of models at all. None may crash; each is refused in words or loads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/load.h"
#include "tests/program/graph.h"
#include "tests/tap.h"
#include "tools/zoo/models.h"

/* Write tag and length in front of the @n bytes at @at; returns where they start. */
static uint8_t *wrap(uint8_t *at, size_t n, uint8_t tag)
{
	uint8_t head[8];
	size_t h = 0;

	head[h++] = tag;
	while (n > 127) {
		head[h++] = (n & 127) | 128;
		n >>= 7;
	}
	head[h++] = n;
	return memcpy(at - h, head, h);
}

/* Graph in attribute in node in graph ...: deeper than any stack. */
static void try_nesting(void)
{
	static const uint8_t tags[] = { 0x32, 0x2a, 0x0a };	/* g, attribute, node */
	size_t cap = 1 << 20;
	uint8_t *bytes = malloc(cap), *end = bytes + cap, *at = end;
	struct program *p;
	char why[200];
	int ret;

	while (at > bytes + 64)
		for (int i = 0; i < 3; i++)
			at = wrap(at, end - at, tags[i]);
	at = wrap(at, end - at, 0x3a);		/* the model's graph */
	ret = program_load_mem(at, end - at, "deep", NULL, &p, why, sizeof(why));
	ok(ret == -EINVAL && strstr(why, "nested too deep"), "a megabyte of nested messages: %s",
	   why);
	free(bytes);
}

/* A whole model of the zoo, cut and flipped. */
static void try_damage(const char *name)
{
	struct zoo_options opt = { .seed = 1, .batch = 1, .size = 32, .opset = 17 };
	struct load_config cfg = { .passes = true, .max_bytes = 1 << 26 };
	int loaded = 0, refused = 0, silent = 0;
	struct rnd r = { 7 };
	struct program *p;
	char *bytes, why[300], *copy;
	struct zoo *z;
	size_t n;
	FILE *f;

	z = zoo_new(name, &opt);
	zoo_find(name)->build(z);
	f = open_memstream(&bytes, &n);
	zoo_write(z, f);
	fclose(f);
	zoo_free(z);
	copy = malloc(n);

	for (size_t at = 0; at < n; at += n / 500 + 1) {
		/* A copy of that size, so that a byte too far is seen. */
		copy = realloc(copy, at + 1);
		memcpy(copy, bytes, at);
		if (program_load_mem(copy, at, "cut", &cfg, &p, why, sizeof(why))) {
			refused++;
			silent += !why[0];
		} else {
			loaded++;
			program_free(p);
		}
	}
	ok(refused > 400 && !silent, "%s cut off: %d lengths refused in words, %d load", name,
	   refused, loaded);

	copy = realloc(copy, n);
	loaded = refused = 0;
	for (int i = 0; i < 1500; i++) {
		memcpy(copy, bytes, n);
		for (uint32_t k = 0; k <= rnd_below(&r, 4); k++) {
			/* Mostly where structure is: weights do not mind. */
			size_t at = rnd_below(&r, 2) ? rnd_below(&r, n) : rnd_below(&r, n / 8);

			copy[at] ^= 1 << rnd_below(&r, 8);
		}
		if (program_load_mem(copy, n, "flipped", &cfg, &p, why, sizeof(why))) {
			refused++;
			silent += !why[0];
		} else {
			loaded++;
			program_free(p);
		}
	}
	ok(loaded && refused && !silent, "%s with flipped bits: %d refused in words, %d load", name,
	   refused, loaded);
	free(copy);
	free(bytes);
}

static void try_files(void)
{
	struct program *p;
	char why[300];

	is_int(program_load("build/no-such-file.onnx", NULL, &p, why, sizeof(why)), -ENOENT,
	       "a file that is not there");
	ok(strstr(why, "no-such-file.onnx"), "is named: %s", why);
	is_int(program_load("tests", NULL, &p, why, sizeof(why)), -EIO, "a folder");
	is_int(program_load("/dev/zero", NULL, &p, why, sizeof(why)), -EIO, "a device");
	is_int(program_load("Makefile", NULL, &p, why, sizeof(why)), -EINVAL, "a text");
	is_int(program_load("/dev/null", NULL, &p, NULL, 0), -EIO, "no buffer for words");
	is_int(program_load_mem("", 0, "empty", NULL, &p, why, sizeof(why)), -EINVAL,
	       "no bytes at all");
}

int main(void)
{
	try_nesting();
	try_files();
	try_damage("tiny_cnn");
	return tap_done();
}
