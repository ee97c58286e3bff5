// SPDX-License-Identifier: MIT
/*
 * The witness: see witness.h. Its kernel is PTX, which the driver compiles for
 * whatever GPU it finds; no compiler is needed at run time.
 */
#include "tools/switch/witness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/switch/cuda.h"

#define BUCKETS	40u

/*
 * out[0] first reading, out[1] last one, out[2] number of absences, out[3]
 * readings; then pairs: last reading before, first one after.
 */
static const char ptx[] =
	".version 6.4\n"
	".target sm_70\n"
	".address_size 64\n"
	".visible .entry witness(.param .u64 p_out, .param .u64 p_time, .param .u64 p_limit,\n"
	"			 .param .u64 p_keep)\n"
	"{\n"
	"	.reg .u64 %out, %time, %limit, %keep, %first, %prev, %now, %d, %n, %loops, %at;\n"
	"	.reg .pred %p;\n"
	"	ld.param.u64 %out, [p_out];\n"
	"	ld.param.u64 %time, [p_time];\n"
	"	ld.param.u64 %limit, [p_limit];\n"
	"	ld.param.u64 %keep, [p_keep];\n"
	"	cvta.to.global.u64 %out, %out;\n"
	"	mov.u64 %n, 0;\n"
	"	mov.u64 %loops, 0;\n"
	"	mov.u64 %first, %globaltimer;\n"
	"	mov.u64 %prev, %first;\n"
	"again:\n"
	"	mov.u64 %now, %globaltimer;\n"
	"	add.u64 %loops, %loops, 1;\n"
	"	sub.u64 %d, %now, %prev;\n"
	"	setp.le.u64 %p, %d, %limit;\n"
	"	@%p bra next;\n"
	"	setp.ge.u64 %p, %n, %keep;\n"
	"	@%p bra count;\n"
	"	shl.b64 %at, %n, 4;\n"
	"	add.u64 %at, %at, %out;\n"
	"	st.global.u64 [%at+32], %prev;\n"
	"	st.global.u64 [%at+40], %now;\n"
	"count:\n"
	"	add.u64 %n, %n, 1;\n"
	"next:\n"
	"	mov.u64 %prev, %now;\n"
	"	sub.u64 %d, %now, %first;\n"
	"	setp.lt.u64 %p, %d, %time;\n"
	"	@%p bra again;\n"
	"	st.global.u64 [%out], %first;\n"
	"	st.global.u64 [%out+8], %now;\n"
	"	st.global.u64 [%out+16], %n;\n"
	"	st.global.u64 [%out+24], %loops;\n"
	"	ret;\n"
	"}\n";

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

json_t *witness_summary(const uint64_t *gaps, uint64_t n, uint64_t kept, uint64_t first_ns,
			uint64_t last_ns)
{
	uint64_t histogram[BUCKETS] = { 0 }, away = 0, *sizes;
	double seconds = (last_ns - first_ns) / 1e9;
	json_t *h = json_array(), *o;

	if (kept > n)
		kept = n;
	sizes = calloc(kept + 1, sizeof(*sizes));
	if (!sizes || !(seconds > 0)) {
		free(sizes);
		json_decref(h);
		return NULL;
	}
	for (uint64_t i = 0; i < kept; i++) {
		unsigned int b;

		sizes[i] = gaps[2 * i + 1] - gaps[2 * i];
		away += sizes[i];
		b = sizes[i] ? 64 - __builtin_clzll(sizes[i]) : 0;
		histogram[b < BUCKETS ? b : BUCKETS - 1]++;
	}
	qsort(sizes, kept, sizeof(*sizes), by_size);
	for (unsigned int b = 0; b < BUCKETS; b++)
		json_array_append_new(h, json_integer(histogram[b]));
	/* Times are known of the absences that were kept; if there were more, say so. */
	o = json_pack("{s:f,s:I,s:f,s:I,s:I,s:f,s:I,s:I,s:I,s:o}", "seconds", seconds,
		      "absences", (json_int_t)n, "absences_per_s", n / seconds,
		      "not_kept", (json_int_t)(n - kept), "away_ns", (json_int_t)away,
		      "away_share", away / 1e9 / seconds,
		      "median_away_ns", (json_int_t)(kept ? sizes[kept / 2] : 0),
		      "p99_away_ns", (json_int_t)(kept ? sizes[kept * 99 / 100] : 0),
		      "longest_away_ns", (json_int_t)(kept ? sizes[kept - 1] : 0),
		      "away_log2_ns", h);
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
	size_t bytes = 32 + 16ull * o->max_gaps;
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
	if (!err && write(told, &byte, 1) == 1 && read(go, &byte, 1) == 1) {
		params[1] = &time_ns;
		err = c->launch(fn, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL);
		if (!err)
			err = c->ctx_synchronize();
		if (!err)
			err = c->copy_back(host, dev, bytes);
		if (!err)
			res = witness_summary(host + 4, host[2], keep, host[0], host[1]);
		if (res)
			json_object_set_new(res, "ns_a_reading",
					    json_real((double)(host[1] - host[0]) / host[3]));
	}
	if (err)
		snprintf(why, len, "the witness did not run: %s", cuda_words(c, err));
	free(host);
	return res;
}

static void child_main(const struct witness_options *o, int go, int told)
{
	char why[256] = "it ended early", *text;
	void *mod = NULL, *fn = NULL;
	json_t *res = NULL;
	struct cuda c;
	int err;

	if (!cuda_open(&c, o->device, why, sizeof(why))) {
		err = c.module_load(&mod, ptx);
		if (!err)
			err = c.module_function(&fn, mod, "witness");
		if (err)
			snprintf(why, sizeof(why), "the witness can't be loaded: %s",
				 cuda_words(&c, err));
		else
			res = watch(&c, o, fn, go, told, why, sizeof(why));
	}
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
