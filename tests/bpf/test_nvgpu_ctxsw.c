// SPDX-License-Identifier: MIT
/*
 * nvgpu_ctxsw beside the decoder in user space, from the same records: runs in a
 * test machine with the module nvgputest (tests/vm/nvgputest) loaded, elsewhere
 * it is skipped.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/ctxsw.h"
#include "bpf/probe.h"
#include "tests/tap.h"

#define SCRIPT	"/sys/module/nvgputest/parameters/script"

static void write_script(const char *s)
{
	int fd = open(SCRIPT, O_WRONLY | O_CLOEXEC);
	ssize_t n = strlen(s);

	ok(fd >= 0 && write(fd, s, n) == n, "records: %.60s", s);
	close(fd);
}

static long long get(json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static void decode(void *arg, const struct probe_event *e)
{
	struct ctxsw_record r;

	if (e->bytes < CTXSW_RECORD_BYTES)
		return;
	ctxsw_decode(e->data, CTXSW_V1, &r);
	ctxsw_add(arg, &r);
}

static void compare(struct probe *p, const struct ctxsw *c)
{
	json_t *f = p->kind->figures(p), *n = json_object_get(f, "not_counted"), *x;
	const struct ctxsw_sums *s = ctxsw_sums(c);
	unsigned int contexts;
	const struct ctxsw_context *k = ctxsw_contexts(c, &contexts);
	size_t i;

	is_int(get(f, "records"), s->records, "records");
	is_int(get(f, "switches"), s->switches, "switches");
	is_int(get(f, "switch_ns"), s->switch_ns, "their time");
	is_int(get(f, "resets"), s->resets, "resets");
	is_int(get(n, "lost"), s->lost, "records that are missing");
	is_int(get(n, "gaps"), s->gaps, "places where they are");
	is_int(json_array_size(json_object_get(f, "contexts")), contexts, "contexts");
	json_array_foreach(json_object_get(f, "contexts"), i, x)
		for (unsigned int j = 0; j < contexts; j++) {
			if (k[j].context != get(x, "context"))
				continue;
			is_int(get(x, "came"), k[j].came, "context %u: switches to it",
			       k[j].context);
			is_int(get(x, "run_ns"), k[j].run_ns, "context %u: time it ran",
			       k[j].context);
			is_int(get(x, "away_ns"), k[j].away_ns, "context %u: time away",
			       k[j].context);
		}
	json_decref(f);
}

int main(void)
{
	struct ctxsw *c = ctxsw_new();
	struct probe_options o = { .events = true, .event = decode, .arg = c };
	struct probe *p;
	char why[512];

	if (access(SCRIPT, W_OK))
		tap_skip_all("the module nvgputest is not loaded; it runs in test machines");
	if (!ok(!probe_start(&nvgpu_ctxsw, &o, &p, why, sizeof(why)), "the probe starts %s", why))
		return tap_done();
	ok(strstr(p->note, "no ctxsw node"), "without a node it says that it can't enable records");
	write_script("s1:1000 e1:3000 s2:3100 e2:5100 s1:5200 e1:7200 s1:8000 e1:9000");
	write_script("s2:9100 e2:9500 g7 e1:20000 s2:20100 e2:21000 s3:21500 e3:22000 s1:22100");
	write_script("r23000 s2:23500 e2:24000 s1:24100 e1:25000");
	probe_poll(p, 0);
	is_int(ctxsw_sums(c)->records, 21, "each record is an event");
	is_int(ctxsw_sums(c)->lost, 7, "seven are missing");
	ok(ctxsw_sums(c)->switches >= 7, "%llu switches",
	   (unsigned long long)ctxsw_sums(c)->switches);
	compare(p, c);
	probe_stop(p);
	ctxsw_free(c);
	return tap_done();
}
