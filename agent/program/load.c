// SPDX-License-Identifier: MIT
/*
 * The one entry from an ONNX file to a program. Owns the file's bytes and the
 * parsed messages for as long as the builder borrows from them.
 */
#include "agent/program/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/onnx/import.h"
#include "agent/onnx/wire.h"
#include "agent/program/build.h"
#include "agent/program/sha256.h"
#include "onnx.pb-c.h"

#define MAX_FILE_BYTES	INT32_MAX	/* protobuf's own bound on a message */

/* A small file must not ask for gigabytes: each weight may be remade a few times. */
#define CONST_BYTES	(512ull << 20)
#define CONST_FACTOR	8

/* Names in a message come from a hostile file and end up in logs. */
static void say(char *why, size_t len, const char *name, const char *words)
{
	if (!why || !len)
		return;
	snprintf(why, len, "%s: %s", name, words);
	for (char *p = why; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

/* What was bound, in an order and form of its own: the model's inputs, then constants. */
static void add_binding(struct sha256_ctx *s, const struct program *p, const struct load_config *cfg)
{
	for (uint32_t i = 0; i < p->n_inputs; i++) {
		const struct prog_tensor *t = &p->tensors[p->inputs[i].tensor];

		sha256_add(s, p->inputs[i].name, strlen(p->inputs[i].name) + 1);
		sha256_add(s, t->dims, t->rank * sizeof(t->dims[0]));
	}
	for (uint32_t i = 0; i < cfg->n_consts; i++) {
		sha256_add(s, cfg->consts[i].input, strlen(cfg->consts[i].input) + 1);
		sha256_add(s, &cfg->consts[i].value, sizeof(cfg->consts[i].value));
	}
}

static Onnx__ModelProto *parse(const void *data, size_t bytes, char *why, size_t len,
			       const char *name, int *err)
{
	Onnx__ModelProto *m;

	*err = -EINVAL;
	switch (wire_check(&onnx__model_proto__descriptor, data, bytes)) {
	case 0:
		break;
	case -ELOOP:
		say(why, len, name, "messages are nested too deep");
		return NULL;
	case -E2BIG:
		say(why, len, name, "far too many messages for a model");
		return NULL;
	default:
		say(why, len, name, "not an ONNX model, or cut off");
		return NULL;
	}
	m = onnx__model_proto__unpack(NULL, bytes, data);
	if (!m)
		say(why, len, name, "not an ONNX model, or out of memory");
	return m;
}

/* @owned is freed as soon as it was parsed: weights need not be there twice. */
static int load(const void *data, size_t bytes, void *owned, const char *name,
		const struct load_config *cfg, struct program **out, char *why, size_t len)
{
	static const struct load_config defaults = { .passes = true };
	Onnx__ModelProto *m;
	struct sha256_ctx sha;
	struct build *b;
	int ret = 0;

	*out = NULL;
	if (why && len)
		why[0] = '\0';
	if (!cfg)
		cfg = &defaults;
	sha256_init(&sha);
	sha256_add(&sha, data, bytes);
	m = parse(data, bytes, why, len, name, &ret);
	free(owned);
	if (!m)
		return ret;
	b = build_new();
	if (!b) {
		say(why, len, name, "out of memory");
		ret = -ENOMEM;
		goto out;
	}
	if (cfg->max_bytes)
		b->max_bytes = cfg->max_bytes;
	b->max_const_bytes = CONST_BYTES + CONST_FACTOR * bytes;
	if (b->max_const_bytes > b->max_bytes)
		b->max_const_bytes = b->max_bytes;
	onnx_import(b, m, cfg);
	if (cfg->passes)
		build_passes(b);
	ret = build_finish(b, out);
	if (ret) {
		say(why, len, name, b->why);
	} else {
		add_binding(&sha, *out, cfg);
		sha256_end(&sha, (*out)->digest);
	}
out:
	build_free(b);
	onnx__model_proto__free_unpacked(m, NULL);
	return ret;
}

int program_load_mem(const void *data, size_t bytes, const char *name,
		     const struct load_config *cfg, struct program **out,
		     char *why, size_t len)
{
	return load(data, bytes, NULL, name, cfg, out, why, len);
}

static int read_file(const char *path, void **data, size_t *bytes, const char **words)
{
	struct stat st;
	size_t at = 0;
	ssize_t n;
	int fd, ret = -EIO;

	*data = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		ret = -errno;
		*words = strerror(errno);
		return ret == -ENOENT || ret == -EACCES ? ret : -EIO;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		*words = "not a regular file";
		goto out;
	}
	if (st.st_size > MAX_FILE_BYTES) {
		*words = "larger than 2 GiB";
		ret = -EINVAL;
		goto out;
	}
	*bytes = st.st_size;
	*data = malloc(*bytes + 1);
	if (!*data) {
		*words = "out of memory";
		ret = -ENOMEM;
		goto out;
	}
	while (at < *bytes) {
		n = read(fd, (char *)*data + at, *bytes - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*words = n ? strerror(errno) : "it shrank while it was read";
			free(*data);
			*data = NULL;
			goto out;
		}
		at += n;
	}
	ret = 0;
out:
	close(fd);
	return ret;
}

int program_load(const char *path, const struct load_config *cfg,
		 struct program **out, char *why, size_t len)
{
	const char *words = "";
	size_t bytes = 0;
	void *data;
	int ret;

	*out = NULL;
	ret = read_file(path, &data, &bytes, &words);
	if (ret) {
		say(why, len, path, words);
		return ret;
	}
	return load(data, bytes, data, path, cfg, out, why, len);
}
