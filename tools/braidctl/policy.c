// SPDX-License-Identifier: MIT
/*
 * braidctl policy and explain: how windows are run, and why.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/braidctl/ctl.h"

/* The queue gives knobs as text; a number is one in JSON. */
static json_t *typed(const json_t *v)
{
	const char *s = json_string_value(v);

	return *s && !s[strspn(s, "0123456789")] ? json_integer(atoll(s)) : json_string(s);
}

static int print_knobs(const struct ctl *c, json_t *o, const char *only)
{
	const char *name;
	json_t *v;
	int ret = 0;

	if (only && !json_object_get(o, only)) {
		fprintf(stderr, "braidctl: no knob '%s'\n", only);
		json_decref(o);
		return 1;
	}
	if (only) {
		v = json_incref(json_object_get(o, only));
		json_decref(o);
		if (c->json)
			ctl_json(c, typed(v));
		else
			puts(json_string_value(v));
		json_decref(v);
		return ret;
	}
	if (c->json)
		json_object_foreach(o, name, v)
			json_object_set_new(o, name, typed(v));
	if (ctl_json(c, o))
		return ret;
	json_object_foreach(o, name, v)
		printf("%-20s %s\n", name, json_string_value(v));
	json_decref(o);
	return ret;
}

int cmd_policy(const struct ctl *c, int argc, char **argv)
{
	json_t *o;

	if (argc >= 1 && argc <= 2 && !strcmp(argv[0], "get")) {
		o = c->source->knobs(c);
		return o ? print_knobs(c, o, argc == 2 ? argv[1] : NULL) : 1;
	}
	if (argc == 3 && !strcmp(argv[0], "set")) {
		o = c->source->knob_set(c, argv[1], argv[2]);
		return o ? print_knobs(c, o, argv[1]) : 1;
	}
	fprintf(stderr, "usage: braidctl policy get [KNOB] | set KNOB VALUE\n");
	return 2;
}

static void print_group(const json_t *g)
{
	char a[32], b[32];
	json_t *r;
	size_t i;

	printf("\n  %s, merge degree %lld, fuse degree %lld, launch %lld", ctl_str(g, "model"),
	       ctl_int(g, "merge_degree"), ctl_int(g, "fuse_degree"), ctl_int(g, "launch"));
	if (json_is_true(json_object_get(g, "done")))
		printf(", %s in %s of device time%s",
		       ctl_ns(ctl_int(g, "run_ns"), a, sizeof(a)),
		       ctl_ns(ctl_int(g, "device_ns"), b, sizeof(b)),
		       ctl_int(g, "status") ? ", FAILED" : "");
	else
		printf(", still running");
	printf("\n    %s\n    %s", ctl_str(g, "merge"), ctl_str(g, "fuse"));
	if (json_object_get(g, "ran"))
		printf("\n    %s, beside %lld others%s%s", ctl_str(g, "ran"), ctl_int(g, "beside"),
		       json_is_true(json_object_get(g, "inputs_copied")) ?
		       ", inputs copied first" : "",
		       json_is_true(json_object_get(g, "large_tiles")) ?
		       ", with tiles for a shared device" : "");
	printf("\n    requests:");
	json_array_foreach(json_object_get(g, "requests"), i, r)
		printf(" %lld/%lld", ctl_int(r, "tenant"), ctl_int(r, "request"));
	printf(" (tenant/request)\n");
}

static void count(long long n, const char *what, const char *after)
{
	const char *many = what[strlen(what) - 1] == 'h' ? "es" : "s";

	printf("%lld %s%s%s", n, what, n == 1 ? "" : many, after);
}

/* Each tenant counts its own requests: say whose this one is. */
static void print_whose(const json_t *o, long long request)
{
	json_t *g, *r;
	size_t i, k;

	json_array_foreach(json_object_get(o, "groups"), i, g)
		json_array_foreach(json_object_get(g, "requests"), k, r)
			if (ctl_int(r, "request") == request) {
				printf("request %lld of tenant %lld (another's: request %lld tenant ID)\n",
				       request, ctl_int(r, "tenant"), request);
				return;
			}
}

/* What was known of others on the GPU when the window came. */
static void print_outside(const json_t *o)
{
	const json_t *away = json_object_get(o, "away_share"), *v;
	const char *sep = "outside: ";

	if (away) {
		printf("%sthe GPU was taken away %.1f%% of the time, %.0f times a second", sep,
		       100 * json_number_value(away),
		       json_number_value(json_object_get(o, "stalls_per_s")));
		sep = "; ";
	}
	v = json_object_get(o, "others_share");
	if (v) {
		printf("%sothers ran %.1f%% of it", sep, 100 * json_number_value(v));
		sep = "; ";
	}
	v = json_object_get(o, "others_launches_per_s");
	if (v)
		printf("%sother processes launched %.0f times a second and waited %.0f%% of a CPU",
		       sep, json_number_value(v),
		       100 * json_number_value(json_object_get(o, "others_sync_wait_share")));
	printf("\n");
}

int cmd_explain(const struct ctl *c, int argc, char **argv)
{
	json_t *req = json_pack("{s:s}", "cmd", "explain"), *o, *g;
	long long request = 0, tenant = 0;
	bool ok = argc % 2 == 0;
	size_t i;

	for (int k = 0; k + 1 < argc && ok; k += 2) {
		char *end;
		long long v;

		errno = 0;
		v = strtoll(argv[k + 1], &end, 10);
		ok = *argv[k + 1] && !*end && !errno && v > 0 &&
		     (!strcmp(argv[k], "window") || !strcmp(argv[k], "request") ||
		      !strcmp(argv[k], "tenant"));
		if (ok)
			json_object_set_new(req, argv[k], json_integer(v));
		if (!strcmp(argv[k], "request"))
			request = v;
		else if (!strcmp(argv[k], "tenant"))
			tenant = v;
	}
	if (!ok) {
		fprintf(stderr, "usage: braidctl explain [window ID | request ID [tenant ID]]\n");
		json_decref(req);
		return 2;
	}
	o = ctl_ask(c, req);
	if (!o)
		return 1;
	if (ctl_json(c, o))
		return 0;
	if (request && !tenant)
		print_whose(o, request);
	printf("window %lld: ", ctl_int(o, "window"));
	count(ctl_int(o, "requests"), "request", " in ");
	count(ctl_int(o, "groups_total"), "group", " and ");
	count(ctl_int(o, "launches"), "launch", ", ");
	printf("policy %s\n", ctl_str(o, "policy"));
	printf("closed: %s\n", ctl_str(o, "closed"));
	if (json_object_get(o, "chosen"))
		printf("chosen: %s\n", ctl_str(o, "chosen"));
	if (json_object_get(o, "outside"))
		print_outside(json_object_get(o, "outside"));
	json_array_foreach(json_object_get(o, "groups"), i, g)
		print_group(g);
	if (ctl_int(o, "groups_total") > (long long)json_array_size(json_object_get(o, "groups")))
		printf("\n  (and more groups that were not kept)\n");
	json_decref(o);
	return 0;
}
