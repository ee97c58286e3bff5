// SPDX-License-Identifier: MIT
/*
 * braidctl status, models, runner, reload: what there is and how much.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/braidctl/ctl.h"

static double mean(const json_t *counters, const char *sum)
{
	long long n = ctl_int(counters, "committed");

	return n ? (double)ctl_int(counters, sum) / n : 0;
}

int cmd_status(const struct ctl *c, int argc, char **argv)
{
	static const char *const shown[] = { "submitted", "done", "failed", "expired",
					     "cancelled", "withdrawn", "killed", "dropped",
					     "requeued", "windows" };
	json_t *o, *k, *v;
	const char *name;
	char a[32];

	if (ctl_too_many(argc, argv, 0))
		return 2;
	o = c->source->status(c);
	if (!o)
		return 1;
	if (ctl_json(c, o))
		return 0;
	printf("agent       %s, generation %lld, backend %s, runner pid %lld, started %lld times\n",
	       json_is_true(json_object_get(o, "agent_up")) ? "up" : "DOWN",
	       ctl_int(o, "generation"), ctl_str(o, "backend"), ctl_int(o, "runner_pid"),
	       ctl_int(o, "runner_starts"));
	printf("up          %s%s\n", ctl_ns(ctl_int(o, "uptime_ns"), a, sizeof(a)),
	       json_is_true(json_object_get(o, "draining")) ? ", draining" : "");
	printf("now         %lld tenants, %lld models, %lld queued, %lld suspects, %lld running\n",
	       ctl_int(o, "tenants"), ctl_int(o, "models"), ctl_int(o, "queued"),
	       ctl_int(o, "suspects"), ctl_int(o, "fetched"));
	k = json_object_get(o, "counters");
	printf("requests   ");
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (i < 2 || ctl_int(k, shown[i]))
			printf(" %lld %s", ctl_int(k, shown[i]), shown[i]);
	printf("\nmean        merge degree %.2f, fuse degree %.2f\n", mean(k, "merge_sum"),
	       mean(k, "fuse_sum"));
	printf("windows    ");
	json_object_foreach(json_object_get(k, "window_closes"), name, v)
		printf(" %s %lld", name, json_integer_value(v));
	printf("\nknobs      ");
	json_object_foreach(json_object_get(o, "knobs"), name, v)
		printf(" %s=%s", name, json_string_value(v));
	putchar('\n');
	json_decref(o);
	return 0;
}

static const char *type_name(long long t)
{
	static const char *const names[] = { "?", "f32", "u8", "i8", "u16", "i16", "i32", "i64",
					     "?", "bool", "f16", "f64", "u32", "u64", "?", "?",
					     "bf16" };

	return t >= 0 && t < 17 ? names[t] : "?";
}

/* Types by name, as a program that reads this would want them. */
static void name_types(json_t *list)
{
	size_t i;
	json_t *t;

	json_array_foreach(list, i, t)
		json_object_set_new(t, "type", json_string(type_name(ctl_int(t, "type"))));
}

static void print_tensors(const char *what, const json_t *list)
{
	size_t i, k;
	json_t *t, *d;

	json_array_foreach(list, i, t) {
		printf("  %-7s %s %s[", what, ctl_str(t, "name"), ctl_str(t, "type"));
		json_array_foreach(json_object_get(t, "dims"), k, d)
			printf("%s%lld", k ? "x" : "", (long long)json_integer_value(d));
		printf("] %lld bytes\n", ctl_int(t, "bytes"));
	}
}

/* All, or one; how many there were. */
static int print_refused(const json_t *o, const char *only)
{
	json_t *r;
	size_t i;
	int n = 0;

	json_array_foreach(json_object_get(o, "refused"), i, r) {
		if (only && strcmp(only, ctl_str(r, "model")))
			continue;
		printf("refused %s: %s\n", ctl_str(r, "model"), ctl_str(r, "why"));
		n++;
	}
	return n;
}

static int show_refused(const struct ctl *c, const char *only)
{
	json_t *o = ctl_try(c, "runner");
	int n = print_refused(o, only);

	json_decref(o);
	return n;
}

int cmd_models(const struct ctl *c, int argc, char **argv)
{
	json_t *list, *m;
	bool found = !argc;
	char a[32];
	size_t i;

	if (ctl_too_many(argc, argv, 1))
		return 2;
	list = c->source->models(c);
	if (!list)
		return 1;
	for (i = json_array_size(list); argc && i-- > 0;)
		if (strcmp(ctl_str(json_array_get(list, i), "name"), argv[0]))
			json_array_remove(list, i);
	found |= json_array_size(list) > 0;
	json_array_foreach(list, i, m) {
		name_types(json_object_get(m, "inputs"));
		name_types(json_object_get(m, "outputs"));
	}
	if (!found && (c->json || !show_refused(c, argv[0])))
		fprintf(stderr, "braidctl: no model '%s'\n", argv[0]);
	if (ctl_json(c, list))
		return !found;
	if (found)
		printf("%4s  %-24s %12s %7s %8s  %s\n", "id", "name", "device time", "queued",
		       "running", "digest");
	json_array_foreach(list, i, m) {
		printf("%4lld  %-24s %12s %7lld %8lld  %.12s\n", ctl_int(m, "id"),
		       ctl_str(m, "name"), ctl_ns(ctl_int(m, "device_ns"), a, sizeof(a)),
		       ctl_int(m, "queued"), ctl_int(m, "fetched"), ctl_str(m, "digest"));
		if (argc) {
			print_tensors("input", json_object_get(m, "inputs"));
			print_tensors("output", json_object_get(m, "outputs"));
		}
	}
	if (!argc)
		show_refused(c, NULL);
	json_decref(list);
	return !found;
}

int cmd_runner(const struct ctl *c, int argc, char **argv)
{
	json_t *o, *m;
	char a[32], b[32], d[32];
	size_t i;

	if (ctl_too_many(argc, argv, 0))
		return 2;
	o = ctl_cmd(c, "runner");
	if (!o)
		return 1;
	if (ctl_json(c, o))
		return 0;
	printf("pid %lld, backend %s, %lld windows, %lld groups, %lld requests, %lld results refused, at most %s resident\n",
	       ctl_int(o, "pid"), ctl_str(o, "backend"), ctl_int(o, "windows"),
	       ctl_int(o, "groups"), ctl_int(o, "jobs"), ctl_int(o, "results_refused"),
	       ctl_bytes(ctl_int(o, "max_rss_kib") << 10, a, sizeof(a)));
	printf("%4s  %-24s %6s %12s %12s %10s %10s %12s\n", "id", "name", "ops", "weights",
	       "scratch", "groups", "requests", "mean device");
	json_array_foreach(json_object_get(o, "models"), i, m)
		printf("%4lld  %-24s %6lld %12s %12s %10lld %10lld %12s\n", ctl_int(m, "id"),
		       ctl_str(m, "name"), ctl_int(m, "ops"),
		       ctl_bytes(ctl_int(m, "const_bytes"), a, sizeof(a)),
		       ctl_bytes(ctl_int(m, "arena_bytes"), b, sizeof(b)), ctl_int(m, "groups"),
		       ctl_int(m, "requests"), ctl_ns(ctl_int(m, "mean_device_ns"), d, sizeof(d)));
	json_decref(o);
	return 0;
}

int cmd_reload(const struct ctl *c, int argc, char **argv)
{
	json_t *o = ctl_cmd(c, "reload"), *refused = json_object_get(o, "refused");
	int ret = !o || json_array_size(refused);

	if (!o || ctl_json(c, o))
		return ret;
	printf("loaded %lld, withdrawn %lld, unchanged %lld, refused %zu\n", ctl_int(o, "loaded"),
	       ctl_int(o, "withdrawn"), ctl_int(o, "unchanged"), json_array_size(refused));
	print_refused(o, NULL);
	json_decref(o);
	return ret;
}
