// SPDX-License-Identifier: MIT
/*
 * Context-switch records: the bytes of both formats, and what follows from a
 * sequence of them, with gaps, wraps and resets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/ctxsw.h"
#include "tests/tap.h"

/* As they lie in memory: tag, vm, sequence number, context, pid, time. */
static const uint8_t v1[CTXSW_RECORD_BYTES] = {
	0x05, 0x02, 0xfe, 0xff, 0x34, 0x12, 0x00, 0x00,
	0xd2, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x15, 0xcd, 0x5b, 0x07, 0x00, 0x00, 0x00, 0x01,
};
static const uint8_t v2[CTXSW_RECORD_BYTES] = {
	0x07, 0x00, 0x01, 0x00, 0x78, 0x56, 0x00, 0x80,
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x03, 0x04,
	0x40, 0x42, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static void formats(void)
{
	uint8_t back[CTXSW_RECORD_BYTES];
	struct ctxsw_record r;

	ctxsw_decode(v1, CTXSW_V1, &r);
	is_int(r.tag, CTXSW_CONTEXT_START, "v1: tag");
	is_int(r.vm, 2, "v1: virtual machine");
	is_int(r.seq, 0xfffe, "v1: sequence number");
	is_int(r.context, 0x1234, "v1: context");
	is_int(r.pid, 1234, "v1: pid");
	is_int(r.instance, 0xff, "v1: no GPU instance");
	is_int(r.ts_ns, 0x01000000075bcd15, "v1: time");
	ctxsw_encode(&r, CTXSW_V1, back);
	ok(!memcmp(back, v1, sizeof(back)), "v1: and back");
	ctxsw_decode(v2, CTXSW_V2, &r);
	is_int(r.tag, CTXSW_SIMPLE_END, "v2: tag");
	is_int(r.context, 0x80005678, "v2: context");
	is_int(r.pid, CTXSW_UNKNOWN, "v2: the kernel's");
	is_int(r.instance, 3, "v2: GPU instance");
	is_int(r.ts_ns, 1000000, "v2: time");
}

static uint16_t seq;

static void add(struct ctxsw *c, uint8_t tag, uint32_t context, uint32_t pid, uint64_t us)
{
	struct ctxsw_record r = { .tag = tag, .context = context, .pid = pid,
				  .ts_ns = us * 1000, .seq = seq++ };
	uint8_t bytes[CTXSW_RECORD_BYTES];

	/* By way of the bytes, as a reader gets them. */
	ctxsw_encode(&r, CTXSW_V2, bytes);
	ctxsw_decode(bytes, CTXSW_V2, &r);
	ctxsw_add(c, &r);
}

static const struct ctxsw_context *context(const struct ctxsw *c, uint32_t id)
{
	unsigned int n;
	const struct ctxsw_context *x = ctxsw_contexts(c, &n);

	for (unsigned int i = 0; i < n; i++)
		if (x[i].context == id)
			return &x[i];
	abort();
}

/* Two contexts, 2 ms each in turn, 100 us from one to the other; 50 rounds. */
static void alternating(enum ctxsw_tag starts, enum ctxsw_tag ends)
{
	struct ctxsw *c = ctxsw_new();
	const struct ctxsw_sums *s = ctxsw_sums(c);
	uint64_t us = 1000;

	seq = 65500;	/* it wraps on the way */
	for (int i = 0; i < 100; i++) {
		uint32_t who = i % 2;

		add(c, starts, 10 + who, 100 + who, us);
		add(c, ends, 10 + who, 100 + who, us + 2000);
		us += 2100;
	}
	is_int(s->lost, 0, "a sequence number that wraps is no gap");
	is_int(s->switches, 99, "each start but the first is a switch");
	is_int(s->timed_switches, 99, "all of them are timed");
	is_int(s->switch_ns, 99 * 100000, "and take 100 us");
	is_int(context(c, 10)->came, 49, "the first one came back 49 times");
	is_int(context(c, 11)->came, 50, "the other one came 50 times");
	is_int(context(c, 10)->run_ns, 50 * 2000000ull, "it ran half of the time");
	is_int(context(c, 10)->aways, 49, "it was away in between");
	is_int(context(c, 10)->away_ns, 49 * 2200000ull, "for the other's turn and two switches");
	is_int(context(c, 10)->max_away_ns, 2200000, "never longer");
	is_int(context(c, 10)->away[22], 49, "all in the bucket of 2.1 to 4.2 ms");
	is_int(s->last_ns - s->first_ns, 99 * 2100000ull + 2000000, "the time from first to last");
	ctxsw_free(c);
}

static void idle(void)
{
	struct ctxsw *c = ctxsw_new();
	const struct ctxsw_sums *s = ctxsw_sums(c);

	seq = 0;
	for (int i = 0; i < 10; i++) {
		add(c, CTXSW_SIMPLE_START, 1, 7, 1000 + i * 500);
		add(c, CTXSW_SIMPLE_END, 1, 7, 1100 + i * 500);
	}
	is_int(s->switches, 0, "one that comes and goes alone is not switched");
	is_int(context(c, 1)->resumed, 9, "it resumes");
	is_int(context(c, 1)->away_ns, 0, "and is idle, not away");
	is_int(context(c, 1)->run_ns, 10 * 100000, "it ran when it ran");
	ctxsw_free(c);
}

static void gaps(void)
{
	struct ctxsw *c = ctxsw_new();
	const struct ctxsw_sums *s = ctxsw_sums(c);

	seq = 0;
	add(c, CTXSW_SIMPLE_START, 1, 7, 1000);
	add(c, CTXSW_SIMPLE_END, 1, 7, 2000);
	add(c, CTXSW_SIMPLE_START, 2, 8, 2100);
	seq += 5;	/* the end of 2, a turn of 1, a start of 2 are lost */
	add(c, CTXSW_SIMPLE_END, 2, 8, 9000);
	add(c, CTXSW_SIMPLE_START, 1, 7, 9100);
	add(c, CTXSW_SIMPLE_END, 1, 7, 9500);
	is_int(s->lost, 5, "five records are missing");
	is_int(s->gaps, 1, "at one place");
	is_int(s->records, 6, "six were seen");
	is_int(s->switches, 2, "switches that are certain");
	is_int(context(c, 2)->run_ns, 0, "a run across the gap is not guessed");
	is_int(context(c, 1)->aways, 0, "nor an absence");
	is_int(context(c, 1)->run_ns, 1400000, "runs on either side count");
	is_int(s->switch_ns, 200000, "and so do the two switches");
	ctxsw_lost(c, 1000);
	is_int(s->lost, 1005, "what the driver says it dropped is added");
	add(c, CTXSW_SIMPLE_START, 2, 8, 10000);
	is_int(s->switches, 2, "after that, a start is no known switch");
	ctxsw_free(c);
}

static void requested(void)
{
	struct ctxsw *c = ctxsw_new();
	const struct ctxsw_sums *s = ctxsw_sums(c);

	seq = 0;
	add(c, CTXSW_CONTEXT_START, 1, 7, 1000);
	add(c, CTXSW_REQUEST, 1, 7, 1500);
	add(c, CTXSW_ACK_CILP, 1, 7, 1600);
	add(c, CTXSW_SAVE_END, 1, 7, 1700);
	add(c, CTXSW_RESTORE_START, 2, 8, 1710);
	add(c, CTXSW_CONTEXT_START, 2, 8, 1800);
	is_int(s->switches, 1, "in full detail, a switch is one switch");
	is_int(s->requested, 1, "that the host had asked for");
	is_int(s->requested_ns, 300000, "300 us before it was done");
	is_int(s->switch_ns, 100000, "of which 100 us after the end of the other");
	add(c, CTXSW_ENGINE_RESET, 0, 0, 1900);
	add(c, CTXSW_CONTEXT_START, 1, 7, 2000);
	is_int(s->resets, 1, "a reset is counted");
	is_int(s->switches, 1, "what follows a reset is no known switch");
	is_int(context(c, 2)->run_ns, 0, "what it cut off did not end");
	add(c, CTXSW_SAVE_END, 1, 7, 1950);
	is_int(s->backwards, 1, "time that goes back is counted");
	is_int(context(c, 1)->run_ns, 700000, "and is no run");
	add(c, CTXSW_BAD_TIME, 1, 7, 0);
	is_int(s->last_ns, 2000000, "a record without time has none");
	ctxsw_free(c);
}

static void many(void)
{
	struct ctxsw *c = ctxsw_new();
	const struct ctxsw_sums *s = ctxsw_sums(c);
	json_t *o;

	seq = 0;
	for (int i = 0; i < 1500; i++)
		add(c, CTXSW_SIMPLE_START, i, i / 3, 1000 + i);
	is_int(s->records, 1500, "1500 contexts");
	is_int(s->contexts_full, 1500 - 1024, "those without room are counted");
	o = ctxsw_json(c, 2);
	is_int(json_array_size(json_object_get(o, "contexts")), 1024, "figures of those with room");
	is_int(json_array_size(json_object_get(o, "processes")), 342, "and of their processes");
	ok(json_real_value(json_object_get(o, "switches_per_s")) == s->switches / 2.0,
	   "a rate over the time that was watched");
	json_decref(o);
	ctxsw_free(c);
}

int main(void)
{
	formats();
	alternating(CTXSW_SIMPLE_START, CTXSW_SIMPLE_END);
	alternating(CTXSW_CONTEXT_START, CTXSW_SAVE_END);
	idle();
	gaps();
	requested();
	many();
	return tap_done();
}
