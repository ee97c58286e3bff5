// SPDX-License-Identifier: MIT
/*
 * The witness in processes and contexts of its own: see witness.h.
 */
#include "tools/switch/witness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/cuda/witness.h"
#include "tools/switch/cuda.h"

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* What witness_json() tells, and what takes every absence to know. */
static json_t *summary(const uint64_t *out, uint64_t keep)
{
	struct witness_figures f = { 0 };
	uint64_t kept = out[2] < keep ? out[2] : keep, *sizes;
	json_t *o;

	witness_add(&f, out, keep);
	o = witness_json(&f);
	sizes = calloc(kept + 1, sizeof(*sizes));
	for (uint64_t i = 0; sizes && i < kept; i++)
		sizes[i] = out[WITNESS_HEAD + 2 * i + 1] - out[WITNESS_HEAD + 2 * i];
	if (o && sizes) {
		qsort(sizes, kept, sizeof(*sizes), by_size);
		json_object_set_new(o, "median_away_ns", json_integer(sizes[kept / 2]));
		json_object_set_new(o, "p99_away_ns", json_integer(sizes[kept * 99 / 100]));
	}
	free(sizes);
	return o;
}

struct child {
	pid_t pid;
	int from;	/* a byte: ready; then text */
	int to;		/* a byte: go */
};

static json_t *watch(struct cuda *c, const struct witness_options *o, void *fn, int go, int told,
		     char *why, size_t len)
{
	size_t bytes = 8 * WITNESS_HEAD + 16ull * o->max_gaps;
	uint64_t time_ns = o->seconds * 1e9, limit = o->threshold_ns, keep = o->max_gaps;
	uint64_t *host = malloc(bytes), dev = 0, warm_ns = 1000000;
	void *params[] = { &dev, &warm_ns, &limit, &keep };
	json_t *res = NULL;
	char byte = '.';
	int err;

	if (!host) {
		snprintf(why, len, "no memory");
		return NULL;
	}
	err = c->mem_alloc(&dev, bytes);
	if (!err)
		err = c->launch(fn, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL);
	if (!err)
		err = c->ctx_synchronize();
	/* All begin at once: contexts that are still being made would disturb. */
	if (!err && (told < 0 || (write(told, &byte, 1) == 1 && read(go, &byte, 1) == 1))) {
		params[1] = &time_ns;
		err = c->launch(fn, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL);
		if (!err)
			err = c->ctx_synchronize();
		if (!err)
			err = c->copy_back(host, dev, bytes);
		if (!err)
			res = summary(host, keep);
	}
	if (err)
		snprintf(why, len, "the witness did not run: %s", cuda_words(c, err));
	free(host);
	return res;
}

/* In a context of this process; @go and @told: when to begin, -1: at once. */
static json_t *load_and_watch(const struct witness_options *o, int go, int told, char *why,
			      size_t len)
{
	void *mod = NULL, *fn = NULL;
	struct cuda c;
	int err;

	if (cuda_open(&c, o->device, why, len))
		return NULL;
	err = c.module_load(&mod, witness_ptx);
	if (!err)
		err = c.module_function(&fn, mod, WITNESS_ENTRY);
	if (!err)
		return watch(&c, o, fn, go, told, why, len);
	snprintf(why, len, "the witness can't be loaded: %s", cuda_words(&c, err));
	return NULL;
}

json_t *witness_here(const struct witness_options *o, char *why, size_t len)
{
	return load_and_watch(o, -1, -1, why, len);
}

static void child_main(const struct witness_options *o, int go, int told)
{
	char why[256] = "it ended early", *text;
	json_t *res = load_and_watch(o, go, told, why, sizeof(why));

	if (!res) {
		/* The first byte of words tells that they are not the readiness. */
		dprintf(told, "!{\"error\":\"%s\"}", why);
		_exit(1);
	}
	json_object_set_new(res, "pid", json_integer(getpid()));
	text = json_dumps(res, JSON_COMPACT);
	if (!text || write(told, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(1);
	_exit(0);
}

static int begin(const struct witness_options *o, struct child *c)
{
	int in[2], out[2];

	if (pipe(in))
		return -errno;
	if (pipe(out)) {
		close(in[0]);
		close(in[1]);
		return -errno;
	}
	fflush(NULL);
	c->pid = fork();
	if (!c->pid) {
		close(in[1]);
		close(out[0]);
		child_main(o, in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	c->to = in[1];
	c->from = out[0];
	return c->pid < 0 ? -errno : 0;
}

static json_t *answer(struct child *c)
{
	char text[8192];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(text) - 1 && (got = read(c->from, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	text[n] = 0;
	return json_loads(*text == '!' ? text + 1 : text, 0, NULL);
}

json_t *witness_run(const struct witness_options *o, char *why, size_t len)
{
	struct child *children = calloc(o->processes, sizeof(*children));
	json_t *list = json_array(), *res;
	unsigned int n = 0, ready = 0;
	char byte;

	snprintf(why, len, "no process could be started");
	while (children && n < o->processes && !begin(o, &children[n]))
		n++;
	for (unsigned int i = 0; i < n; i++)
		ready += read(children[i].from, &byte, 1) == 1 && byte == '.';
	for (unsigned int i = 0; i < n; i++)
		if (write(children[i].to, ".", 1) != 1)
			continue;
	for (unsigned int i = 0; i < n; i++) {
		res = answer(&children[i]);
		waitpid(children[i].pid, NULL, 0);
		close(children[i].to);
		close(children[i].from);
		if (!res)
			res = json_pack("{s:s}", "error", "the process ended without words");
		if (json_object_get(res, "error"))
			snprintf(why, len, "%s",
				 json_string_value(json_object_get(res, "error")));
		json_array_append_new(list, res);
	}
	free(children);
	if (!n || ready < n) {
		json_decref(list);
		return NULL;
	}
	return json_pack("{s:I,s:o}", "threshold_ns", (json_int_t)o->threshold_ns, "processes",
			 list);
}
