// SPDX-License-Identifier: MIT
/*
 * braidctl stalls: what sharing costs, live. Figures of the probes are sums since
 * they began; what is shown is the difference of two looks.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/braidctl/helper.h"
#include "tools/braidctl/measure.h"

static volatile sig_atomic_t ended;

static void end(int sig)
{
	ended = 1;
}

/* The same entry in an earlier list: that with the same values of three members. */
static json_t *before(json_t *list, const json_t *o, const char *a, const char *b, const char *c)
{
	json_t *x;
	size_t i;

	json_array_foreach(list, i, x)
		if (ctl_int(x, a) == ctl_int(o, a) && ctl_int(x, b) == ctl_int(o, b) &&
		    ctl_int(x, c) == ctl_int(o, c))
			return x;
	return NULL;
}

static long long grown(const json_t *o, const json_t *old, const char *name)
{
	long long d = ctl_int(o, name) - ctl_int(old, name);

	return d > 0 ? d : 0;	/* an entry that was cleared begins anew */
}

/* Upper end of the bucket that the @part of what was added lies in; -1: none. */
static long long quantile(const json_t *o, const json_t *old, const char *name, double part)
{
	json_t *h = json_object_get(o, name), *was = json_object_get(old, name), *v;
	long long sum = 0, seen = 0;
	size_t i;

	json_array_foreach(h, i, v)
		sum += json_integer_value(v) - json_integer_value(json_array_get(was, i));
	if (sum <= 0)
		return -1;
	json_array_foreach(h, i, v) {
		seen += json_integer_value(v) - json_integer_value(json_array_get(was, i));
		if (seen >= sum * part)
			return 1ll << i;
	}
	return -1;
}

static long long mean(long long sum, long long n)
{
	return n ? sum / n : 0;
}

static json_t *tenants(json_t *now, json_t *then, double s, const struct measure_names *names)
{
	json_t *list = json_object_get(now, "requests"), *out = json_array(), *o;
	char model[128];
	size_t i;

	json_array_foreach(list, i, o) {
		json_t *old = before(json_object_get(then, "requests"), o, "tenant", "model",
				     "queue");
		json_t *t = measure_tenant(names, ctl_int(o, "tenant"));
		long long n = grown(o, old, "completed"), f = grown(o, old, "fetched");
		long long ran = grown(o, old, "ran");

		if (!n && !f && !grown(o, old, "submitted"))
			continue;
		json_array_append_new(out, json_pack(
			"{s:I,s:I,s:s,s:f,s:f,s:I,s:I,s:I,s:I,s:f}",
			"tenant", (json_int_t)ctl_int(o, "tenant"), "pid",
			(json_int_t)ctl_int(t, "pid"), "model",
			measure_model(names, ctl_int(o, "model"), model, sizeof(model)),
			"completed_per_s", n / s, "failed_per_s", grown(o, old, "failed") / s,
			"queued_ns", (json_int_t)mean(grown(o, old, "queued_ns"), f),
			"run_ns", (json_int_t)mean(grown(o, old, "run_ns"), n),
			"total_ns", (json_int_t)mean(grown(o, old, "total_ns"), n),
			"total_p99_below_ns",
			(json_int_t)quantile(o, old, "total_log2_ns", 0.99),
			"merge_degree", ran ? (double)grown(o, old, "merge_sum") / ran : 0));
	}
	return out;
}

static json_t *processes(json_t *now, json_t *then, double s)
{
	json_t *list = json_object_get(now, "processes"), *out = json_array(), *o;
	size_t i;

	json_array_foreach(list, i, o) {
		json_t *old = before(json_object_get(then, "processes"), o, "pid", "since_ns",
				     "cgroup");
		long long wait = grown(o, old, "sync_wait_ns") + grown(o, old, "blocking_copy_ns");
		long long n = grown(o, old, "kernels") + grown(o, old, "graphs") +
			      grown(o, old, "copies") + grown(o, old, "syncs") +
			      grown(o, old, "blocking_copies");

		if (!n)
			continue;
		json_array_append_new(out, json_pack(
			"{s:I,s:s,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:I}", "pid",
			(json_int_t)ctl_int(o, "pid"), "comm", ctl_str(o, "comm"), "cgroup",
			(json_int_t)ctl_int(o, "cgroup"),
			"kernels_per_s", grown(o, old, "kernels") / s,
			"graphs_per_s", grown(o, old, "graphs") / s,
			"blocking_calls_per_s",
			(grown(o, old, "syncs") + grown(o, old, "blocking_copies")) / s,
			"sync_wait_share", wait / 1e9 / s,
			"contended_share", grown(o, old, "contended_ns") / 1e9 / s,
			"foreign_launches_per_s", grown(o, old, "foreign_launches") / s,
			"longest_ns", (json_int_t)ctl_int(o, "longest_ns")));
	}
	return out;
}

static json_t *rings(json_t *now, json_t *then, double s)
{
	json_t *list = json_object_get(now, "rings"), *out = json_array(), *o, *x;
	size_t i, k;

	json_array_foreach(list, i, o) {
		json_t *old = NULL;

		json_array_foreach(json_object_get(then, "rings"), k, x)
			if (!strcmp(ctl_str(x, "ring"), ctl_str(o, "ring")) &&
			    !strcmp(ctl_str(x, "dev"), ctl_str(o, "dev")))
				old = x;
		json_array_append_new(out, json_pack(
			"{s:s,s:s,s:f,s:f,s:f,s:f,s:I}", "ring", ctl_str(o, "ring"), "dev",
			ctl_str(o, "dev"), "jobs_per_s", grown(o, old, "jobs") / s,
			"switches_per_s", grown(o, old, "switches") / s,
			"stalls_per_s", grown(o, old, "stalls") / s,
			"busy_share", grown(o, old, "busy_ns") / 1e9 / s, "stall_ns",
			(json_int_t)mean(grown(o, old, "stall_ns"), grown(o, old, "stalls"))));
	}
	return out;
}

/* Of braid-switch; its figures are sums as well. */
static json_t *contexts(json_t *now, json_t *then)
{
	double s = json_number_value(json_object_get(now, "seconds")) -
		   json_number_value(json_object_get(then, "seconds"));
	json_t *out = json_array(), *o;
	size_t i;

	if (!(s > 0)) {
		json_decref(out);
		return NULL;
	}
	json_array_foreach(json_object_get(now, "contexts"), i, o) {
		json_t *old = before(json_object_get(then, "contexts"), o, "context", "pid",
				     "pid");

		json_array_append_new(out, json_pack(
			"{s:I,s:I,s:f,s:f,s:f,s:I}", "context",
			(json_int_t)ctl_int(o, "context"), "pid", (json_int_t)ctl_int(o, "pid"),
			"switches_per_s", grown(o, old, "came") / s,
			"run_share", grown(o, old, "run_ns") / 1e9 / s,
			"away_share", grown(o, old, "away_ns") / 1e9 / s, "away_ns",
			(json_int_t)mean(grown(o, old, "away_ns"), grown(o, old, "aways"))));
	}
	return json_pack("{s:s,s:f,s:I,s:I,s:o}", "source", ctl_str(now, "source"),
			 "switches_per_s", grown(now, then, "switches") / s, "switch_ns",
			 (json_int_t)mean(grown(now, then, "switch_ns"),
					  grown(now, then, "timed_switches")),
			 "lost", (json_int_t)grown(now, then, "lost"), "contexts", out);
}

/* Everything that could not be counted, of all probes, where it is not 0. */
static json_t *left_out(json_t *now, json_t *then)
{
	json_t *out = json_object(), *p, *n, *v;
	const char *probe, *name;
	char key[96];

	json_object_foreach(now, probe, p) {
		json_t *was = json_object_get(json_object_get(then, probe), "not_counted");

		n = json_object_get(p, "not_counted");
		json_object_foreach(n, name, v) {
			if (!grown(n, was, name))
				continue;
			snprintf(key, sizeof(key), "%s.%s", probe, name);
			json_object_set_new(out, key, json_integer(grown(n, was, name)));
		}
	}
	return out;
}

static json_t *differ(json_t *now, json_t *then, json_t *sw, const struct measure_names *names)
{
	double s = (ctl_int(now, "monotonic_ns") - ctl_int(then, "monotonic_ns")) / 1e9;
	json_t *o;

	if (!(s > 0))
		s = 1;
	o = json_pack("{s:f,s:o,s:o,s:o,s:o}", "seconds", s, "tenants",
		      tenants(json_object_get(now, "queue_latency"),
			      json_object_get(then, "queue_latency"), s, names),
		      "processes", processes(json_object_get(now, "host_stall"),
					     json_object_get(then, "host_stall"), s),
		      "rings", rings(json_object_get(now, "drm_switch"),
				     json_object_get(then, "drm_switch"), s),
		      "not_counted", left_out(now, then));
	if (sw)
		json_object_set(o, "switches", sw);
	return o;
}

static double number(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

/* A queue looks at the clock once for all that it does at a time: what is less is not known. */
#define QUEUED_LEAST	1000

static const char *queued(long long ns, char *buf, size_t len)
{
	return ns < QUEUED_LEAST ? "< 1 us" : ctl_ns(ns, buf, len);
}

static void print_tenants(const json_t *list)
{
	char a[32], b[32], c[32], d[32];
	json_t *o;
	size_t i;

	if (!json_array_size(list))
		return;
	printf("%7s %8s  %-24s %10s %10s %10s %10s %11s %6s\n", "tenant", "pid", "model", "done/s",
	       "queued", "run", "total", "99% below", "merge");
	json_array_foreach(list, i, o) {
		long long p99 = ctl_int(o, "total_p99_below_ns");

		printf("%7lld %8lld  %-24s %10.1f %10s %10s %10s %11s %6.2f\n",
		       ctl_int(o, "tenant"), ctl_int(o, "pid"), ctl_str(o, "model"),
		       number(o, "completed_per_s"),
		       queued(ctl_int(o, "queued_ns"), a, sizeof(a)),
		       ctl_ns(ctl_int(o, "run_ns"), b, sizeof(b)),
		       ctl_ns(ctl_int(o, "total_ns"), c, sizeof(c)),
		       p99 < 0 ? "" : ctl_ns(p99, d, sizeof(d)), number(o, "merge_degree"));
	}
}

static void print_processes(const json_t *list)
{
	char a[32];
	json_t *o;
	size_t i;

	if (!json_array_size(list))
		return;
	printf("%8s %-16s %10s %10s %10s %10s %10s %10s\n", "pid", "process", "kernels/s",
	       "graphs/s", "waits/s", "sync wait", "contended", "longest");
	json_array_foreach(list, i, o)
		printf("%8lld %-16s %10.1f %10.1f %10.1f %9.1f%% %9.1f%% %10s\n",
		       ctl_int(o, "pid"), ctl_str(o, "comm"), number(o, "kernels_per_s"),
		       number(o, "graphs_per_s"), number(o, "blocking_calls_per_s"),
		       number(o, "sync_wait_share") * 100, number(o, "contended_share") * 100,
		       ctl_ns(ctl_int(o, "longest_ns"), a, sizeof(a)));
}

static void print_rings(const json_t *list)
{
	char a[32];
	json_t *o;
	size_t i;

	if (!json_array_size(list))
		return;
	printf("%-24s %10s %10s %10s %10s %10s\n", "ring", "jobs/s", "switches/s", "stalls/s",
	       "mean stall", "busy");
	json_array_foreach(list, i, o)
		printf("%-24s %10.1f %10.1f %10.1f %10s %9.1f%%\n", ctl_str(o, "ring"),
		       number(o, "jobs_per_s"), number(o, "switches_per_s"),
		       number(o, "stalls_per_s"), ctl_ns(ctl_int(o, "stall_ns"), a, sizeof(a)),
		       number(o, "busy_share") * 100);
}

static void print_switches(const json_t *o)
{
	char a[32];
	json_t *x;
	size_t i;

	if (!o)
		return;
	printf("context switches (%s): %.1f a second, %s each", ctl_str(o, "source"),
	       number(o, "switches_per_s"), ctl_ns(ctl_int(o, "switch_ns"), a, sizeof(a)));
	printf(ctl_int(o, "lost") ? ", %lld records lost\n" : "\n", ctl_int(o, "lost"));
	if (!json_array_size(json_object_get(o, "contexts")))
		return;
	printf("%8s %8s %12s %8s %8s %10s\n", "context", "pid", "switches/s", "ran", "away",
	       "mean away");
	json_array_foreach(json_object_get(o, "contexts"), i, x)
		printf("%8lld %8lld %12.1f %7.1f%% %7.1f%% %10s\n", ctl_int(x, "context"),
		       ctl_int(x, "pid"), number(x, "switches_per_s"),
		       number(x, "run_share") * 100, number(x, "away_share") * 100,
		       ctl_ns(ctl_int(x, "away_ns"), a, sizeof(a)));
}

static void print(const json_t *o)
{
	static const char *const parts[] = { "tenants", "processes", "rings" };
	bool nothing = !json_object_get(o, "switches");
	const char *name;
	json_t *v;

	for (int i = 0; i < 3; i++)
		nothing &= !json_array_size(json_object_get(o, parts[i]));
	printf("-- %.1f s%s\n", number(o, "seconds"), nothing ? ": nothing happened" : "");
	print_tenants(json_object_get(o, "tenants"));
	print_processes(json_object_get(o, "processes"));
	print_rings(json_object_get(o, "rings"));
	print_switches(json_object_get(o, "switches"));
	json_object_foreach(json_object_get(o, "not_counted"), name, v)
		printf("not counted: %s %lld\n", name, (long long)json_integer_value(v));
}

static int start(struct helper *probe, const char *interval)
{
	const char *pinned[] = { "braid-probe", "show", "--pin", MEASURE_PINS, "--seconds",
				 "1e8", "--interval", interval, NULL };
	const char *own[] = { "braid-probe", "run", "--pin", "none", "--interval", interval,
			      NULL };
	int ret = helper_start(probe, access(MEASURE_PINS, X_OK) ? own : pinned);

	if (ret == -ENOENT)
		fprintf(stderr, "braidctl: there is no braid-probe: it was left out of this build, or is not installed\n");
	else if (ret)
		fprintf(stderr, "braidctl: braid-probe: %s\n", strerror(-ret));
	return ret;
}

static void look(const struct ctl *c, struct helper *probe, struct helper *sw, long count)
{
	json_t *then = NULL, *now, *sw_then = NULL, *sw_now = NULL, *o, *line;
	struct measure_names names;

	while (!ended && count && (now = helper_line(probe, -1))) {
		while (sw->pid && (line = helper_line(sw, 0))) {
			json_decref(sw_now);
			sw_now = line;
		}
		if (then) {
			json_t *diff = sw_now && sw_then ? contexts(sw_now, sw_then) : NULL;

			measure_names(c, &names);
			o = differ(now, then, diff, &names);
			measure_forget(&names);
			json_decref(diff);
			if (c->json) {
				json_dumpf(o, stdout, JSON_COMPACT);
				putchar('\n');
			} else {
				print(o);
			}
			json_decref(o);
			if (fflush(stdout))
				ended = 1;
			count -= count > 0;
		}
		json_decref(then);
		then = now;
		json_decref(sw_then);
		sw_then = json_incref(sw_now);
	}
	json_decref(then);
	json_decref(sw_then);
	json_decref(sw_now);
}

int cmd_stalls(const struct ctl *c, int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = end };
	struct helper probe, sw = { .fd = -1, .words = -1 };
	const char *source = measure_switches();
	double interval = 1, count = -1;
	char text[32], words[512];
	int ret = 0;

	if (ctl_too_many(argc, argv, 2))
		return 2;
	if ((argc > 0 && !measure_number(argv[0], "an interval in seconds", &interval)) ||
	    (argc > 1 && !measure_number(argv[1], "a number of looks", &count)))
		return 2;
	snprintf(text, sizeof(text), "%g", interval);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if (start(&probe, text))
		return 1;
	if (source) {
		const char *args[] = { "braid-switch", source, "--seconds", "86400",
				       "--interval", text, NULL };

		helper_start(&sw, args);
	}
	look(c, &probe, &sw, count);
	if (!ended && probe.ended) {
		helper_words(&probe, words, sizeof(words));
		fprintf(stderr, "braidctl: %s\n", *words ? words : "braid-probe has ended");
		ret = 1;
	}
	helper_stop(&sw);
	helper_stop(&probe);
	return ret;
}
