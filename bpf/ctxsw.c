// SPDX-License-Identifier: MIT
/*
 * From records of context switches to figures: see ctxsw.h. Plain state, no
 * clock, no input or output.
 */
#include "bpf/ctxsw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONTEXTS	1024u

struct ctxsw {
	struct ctxsw_sums sum;
	struct ctxsw_context contexts[MAX_CONTEXTS];
	unsigned int n;
	struct ctxsw_context *last;	/* the one that ran last, or runs */
	uint64_t requested;		/* when a switch was asked for, 0: not */
	uint16_t seq;			/* expected next */
	bool begun;
};

static uint64_t get(const uint8_t *p, unsigned int bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static void put(uint8_t *p, uint64_t v, unsigned int bytes)
{
	while (bytes--) {
		*p++ = v;
		v >>= 8;
	}
}

void ctxsw_decode(const uint8_t *bytes, enum ctxsw_format format, struct ctxsw_record *out)
{
	*out = (struct ctxsw_record){
		.tag = bytes[0],
		.vm = bytes[1],
		.seq = get(bytes + 2, 2),
		.context = get(bytes + 4, 4),
		.pid = get(bytes + 8, 4),
		.instance = format == CTXSW_V2 ? bytes[14] : 0xff,
		.ts_ns = get(bytes + 16, 8),
	};
}

void ctxsw_encode(const struct ctxsw_record *r, enum ctxsw_format format, uint8_t *bytes)
{
	memset(bytes, 0, CTXSW_RECORD_BYTES);
	bytes[0] = r->tag;
	bytes[1] = r->vm;
	put(bytes + 2, r->seq, 2);
	put(bytes + 4, r->context, 4);
	put(bytes + 8, r->pid, 4);
	if (format == CTXSW_V2)
		bytes[14] = bytes[15] = r->instance;
	put(bytes + 16, r->ts_ns, 8);
}

struct ctxsw *ctxsw_new(void)
{
	return calloc(1, sizeof(struct ctxsw));
}

void ctxsw_free(struct ctxsw *c)
{
	free(c);
}

/* What was under way can't be told any more. */
static void forget(struct ctxsw *c)
{
	for (unsigned int i = 0; i < c->n; i++) {
		c->contexts[i].running = false;
		c->contexts[i].ended = 0;
	}
	c->last = NULL;
	c->requested = 0;
}

static struct ctxsw_context *find(struct ctxsw *c, const struct ctxsw_record *r)
{
	struct ctxsw_context *x;

	for (unsigned int i = 0; i < c->n; i++)
		if (c->contexts[i].context == r->context && c->contexts[i].pid == r->pid)
			return &c->contexts[i];
	if (c->n == MAX_CONTEXTS)
		return NULL;
	x = &c->contexts[c->n++];
	x->context = r->context;
	x->pid = r->pid;
	return x;
}

static unsigned int bucket(uint64_t v)
{
	unsigned int b = v ? 64 - __builtin_clzll(v) : 0;

	return b < CTXSW_BUCKETS ? b : CTXSW_BUCKETS - 1;
}

static void start(struct ctxsw *c, struct ctxsw_context *x, uint64_t now)
{
	struct ctxsw_context *left = c->last;

	if (left && left != x) {
		c->sum.switches++;
		x->came++;
		if (left->ended && now >= left->ended) {
			uint64_t ns = now - left->ended;

			c->sum.timed_switches++;
			c->sum.switch_ns += ns;
			c->sum.switch_times[bucket(ns)]++;
		}
		if (c->requested && now >= c->requested) {
			c->sum.requested++;
			c->sum.requested_ns += now - c->requested;
		}
		for (unsigned int i = 0; i < c->n; i++)
			c->contexts[i].others = true;
	} else if (left) {
		x->resumed++;
	}
	if (x->ended && x->others && now >= x->ended) {
		uint64_t ns = now - x->ended;

		x->aways++;
		x->away_ns += ns;
		x->away[bucket(ns)]++;
		if (ns > x->max_away_ns)
			x->max_away_ns = ns;
	}
	x->others = false;
	x->running = true;
	x->started = now;
	c->requested = 0;
	c->last = x;
}

static void end(struct ctxsw *c, struct ctxsw_context *x, uint64_t now)
{
	if (x->running && now >= x->started) {
		x->runs++;
		x->run_ns += now - x->started;
	}
	x->running = false;
	x->others = false;
	x->ended = now;
	c->last = x;
}

void ctxsw_add(struct ctxsw *c, const struct ctxsw_record *r)
{
	uint16_t missing = r->seq - c->seq;
	struct ctxsw_context *x;

	c->sum.records++;
	if (c->begun && missing) {
		c->sum.gaps++;
		c->sum.lost += missing;
		forget(c);
	}
	c->begun = true;
	c->seq = r->seq + 1;
	if (r->tag == CTXSW_ENGINE_RESET) {
		c->sum.resets++;
		forget(c);
		return;
	}
	if (r->tag == CTXSW_BAD_TIME)
		return;
	if (!c->sum.first_ns)
		c->sum.first_ns = r->ts_ns;
	if (r->ts_ns < c->sum.last_ns)
		c->sum.backwards++;
	else
		c->sum.last_ns = r->ts_ns;
	switch (r->tag) {
	case CTXSW_REQUEST:
		c->requested = r->ts_ns;
		break;
	case CTXSW_CONTEXT_START:
	case CTXSW_SIMPLE_START:
	case CTXSW_SAVE_END:
	case CTXSW_SIMPLE_END:
		x = find(c, r);
		if (!x) {
			c->sum.contexts_full++;
			c->last = NULL;
		} else if (r->tag == CTXSW_CONTEXT_START || r->tag == CTXSW_SIMPLE_START) {
			start(c, x, r->ts_ns);
		} else {
			end(c, x, r->ts_ns);
		}
		break;
	default:
		break;
	}
}

void ctxsw_lost(struct ctxsw *c, uint64_t n)
{
	if (!n)
		return;
	c->sum.lost += n;
	c->sum.gaps++;
	forget(c);
}

const struct ctxsw_sums *ctxsw_sums(const struct ctxsw *c)
{
	return &c->sum;
}

const struct ctxsw_context *ctxsw_contexts(const struct ctxsw *c, unsigned int *n)
{
	*n = c->n;
	return c->contexts;
}

static json_t *histogram(const uint64_t *h)
{
	json_t *a = json_array();

	for (unsigned int i = 0; i < CTXSW_BUCKETS; i++)
		json_array_append_new(a, json_integer(h[i]));
	return a;
}

static double rate(uint64_t n, double seconds)
{
	return seconds > 0 ? n / seconds : 0;
}

static json_t *context_json(const struct ctxsw_context *x, double seconds)
{
	return json_pack("{s:I,s:I,s:I,s:f,s:I,s:I,s:I,s:I,s:I,s:f,s:I,s:o}",
			 "context", (json_int_t)x->context, "pid", (json_int_t)x->pid,
			 "came", (json_int_t)x->came, "came_per_s", rate(x->came, seconds),
			 "resumed", (json_int_t)x->resumed, "runs", (json_int_t)x->runs,
			 "run_ns", (json_int_t)x->run_ns, "aways", (json_int_t)x->aways,
			 "away_ns", (json_int_t)x->away_ns,
			 "away_share", rate(x->away_ns, seconds) / 1e9,
			 "longest_away_ns", (json_int_t)x->max_away_ns,
			 "away_log2_ns", histogram(x->away));
}

/* A process's contexts put together; its time away has no meaning as a sum. */
static json_t *processes(const struct ctxsw *c, double seconds)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < c->n; i++) {
		uint64_t came = 0, run = 0;
		unsigned int n = 0;
		bool first = true;

		for (unsigned int k = 0; k < c->n; k++) {
			if (c->contexts[k].pid != c->contexts[i].pid)
				continue;
			first &= k >= i;
			n++;
			came += c->contexts[k].came;
			run += c->contexts[k].run_ns;
		}
		if (first)
			json_array_append_new(list, json_pack("{s:I,s:i,s:I,s:f,s:I}",
				"pid", (json_int_t)c->contexts[i].pid, "contexts", (int)n,
				"came", (json_int_t)came, "came_per_s", rate(came, seconds),
				"run_ns", (json_int_t)run));
	}
	return list;
}

json_t *ctxsw_json(const struct ctxsw *c, double seconds)
{
	const struct ctxsw_sums *s = &c->sum;
	json_t *list = json_array();

	if (!seconds)
		seconds = (s->last_ns - s->first_ns) / 1e9;
	for (unsigned int i = 0; i < c->n; i++)
		json_array_append_new(list, context_json(&c->contexts[i], seconds));
	return json_pack("{s:f,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:I,s:I,s:o,s:I,s:I,s:I,s:o,s:o}",
			 "seconds", seconds, "records", (json_int_t)s->records,
			 "lost", (json_int_t)s->lost, "gaps", (json_int_t)s->gaps,
			 "backwards", (json_int_t)s->backwards, "resets", (json_int_t)s->resets,
			 "switches", (json_int_t)s->switches,
			 "switches_per_s", rate(s->switches, seconds),
			 "timed_switches", (json_int_t)s->timed_switches,
			 "switch_ns", (json_int_t)s->switch_ns,
			 "switch_log2_ns", histogram(s->switch_times),
			 "requested", (json_int_t)s->requested,
			 "requested_ns", (json_int_t)s->requested_ns,
			 "contexts_full", (json_int_t)s->contexts_full,
			 "contexts", list, "processes", processes(c, seconds));
}
