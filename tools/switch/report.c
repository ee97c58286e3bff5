// SPDX-License-Identifier: MIT
/*
 * Tables: see report.h.
 */
#include "tools/switch/report.h"

#include <stdio.h>

static double number(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

static const char *duration(double ns, char *buf, size_t len)
{
	if (ns < 1e4)
		snprintf(buf, len, "%.0f ns", ns);
	else if (ns < 1e7)
		snprintf(buf, len, "%.0f us", ns / 1e3);
	else if (ns < 1e10)
		snprintf(buf, len, "%.1f ms", ns / 1e6);
	else
		snprintf(buf, len, "%.2f s", ns / 1e9);
	return buf;
}

/* A bar a power of two that has something. */
static void histogram(const char *what, const json_t *h)
{
	double most = 0;
	size_t i, k;
	json_t *v;

	json_array_foreach(h, i, v)
		if (json_integer_value(v) > most)
			most = json_integer_value(v);
	if (!most)
		return;
	printf("\n%s\n", what);
	json_array_foreach(h, i, v) {
		char a[32], b[32];
		int bar = json_integer_value(v) * 40 / most + 0.5;

		if (!json_integer_value(v))
			continue;
		printf("  %8s .. %-8s %8lld  ", duration(i ? 1ull << (i - 1) : 0, a, sizeof(a)),
		       duration(1ull << i, b, sizeof(b)), (long long)json_integer_value(v));
		for (k = 0; k < (size_t)bar; k++)
			putchar('*');
		putchar('\n');
	}
}

static const char *whose(json_int_t pid, char *buf, size_t len)
{
	if (pid == 0xffffffff)
		return "kernel";
	if (!pid)
		return "hidden";
	snprintf(buf, len, "%lld", (long long)pid);
	return buf;
}

static double part(double sum, double n)
{
	return n ? sum / n : 0;
}

void report_ctxsw(const json_t *o)
{
	char a[32], b[32], d[32], title[64];
	json_t *x;
	size_t i;

	printf("%.1f switches/s: %.0f in %.2f s, %.0f records, %.0f lost at %.0f places\n",
	       number(o, "switches_per_s"), number(o, "switches"), number(o, "seconds"),
	       number(o, "records"), number(o, "lost"), number(o, "gaps"));
	printf("from one context's end to the next one's start: mean %s of %.0f; %.0f had been asked for by the host, mean %s from there\n\n",
	       duration(part(number(o, "switch_ns"), number(o, "timed_switches")), a, sizeof(a)),
	       number(o, "timed_switches"), number(o, "requested"),
	       duration(part(number(o, "requested_ns"), number(o, "requested")), b, sizeof(b)));
	printf("%10s %10s %12s %10s %10s %12s %10s %12s\n", "context", "pid", "switches/s",
	       "resumed", "ran", "mean run", "away", "mean away");
	json_array_foreach(json_object_get(o, "contexts"), i, x)
		printf("%10.0f %10s %12.1f %10.0f %9.1f%% %12s %9.1f%% %12s\n",
		       number(x, "context"),
		       whose(json_integer_value(json_object_get(x, "pid")), d, sizeof(d)),
		       number(x, "came_per_s"), number(x, "resumed"),
		       part(number(x, "run_ns") / 1e7, number(o, "seconds")),
		       duration(part(number(x, "run_ns"), number(x, "runs")), a, sizeof(a)),
		       number(x, "away_share") * 100,
		       duration(part(number(x, "away_ns"), number(x, "aways")), b, sizeof(b)));
	json_array_foreach(json_object_get(o, "contexts"), i, x) {
		snprintf(title, sizeof(title), "context %.0f away for", number(x, "context"));
		histogram(title, json_object_get(x, "away_log2_ns"));
	}
	histogram("switches took", json_object_get(o, "switch_log2_ns"));
}

void report_witness(const json_t *o)
{
	char a[32], b[32], d[32];
	json_t *x;
	size_t i;

	printf("%10s %12s %10s %12s %12s %12s\n", "pid", "absences/s", "away", "median", "99%",
	       "longest");
	json_array_foreach(json_object_get(o, "processes"), i, x)
		printf("%10.0f %12.1f %9.1f%% %12s %12s %12s\n", number(x, "pid"),
		       number(x, "absences_per_s"), number(x, "away_share") * 100,
		       duration(number(x, "median_away_ns"), a, sizeof(a)),
		       duration(number(x, "p99_away_ns"), b, sizeof(b)),
		       duration(number(x, "longest_away_ns"), d, sizeof(d)));
	json_array_foreach(json_object_get(o, "processes"), i, x) {
		snprintf(a, sizeof(a), "pid %.0f away for", number(x, "pid"));
		histogram(a, json_object_get(x, "away_log2_ns"));
	}
}

void report_cupti(const json_t *o)
{
	const json_t *w = json_object_get(o, "witness");
	char a[32], b[32];

	printf("%10s %12s %10s %12s %10s\n", "by", "absences/s", "away", "longest", "lost");
	printf("%10s %12.1f %9.1f%% %12s %10.0f\n", "cupti", number(o, "absences_per_s"),
	       number(o, "away_share") * 100,
	       duration(number(o, "longest_away_ns"), a, sizeof(a)), number(o, "lost"));
	printf("%10s %12.1f %9.1f%% %12s %10.0f\n", "witness", number(w, "absences_per_s"),
	       number(w, "away_share") * 100,
	       duration(number(w, "longest_away_ns"), b, sizeof(b)), number(w, "not_kept"));
	histogram("away by cupti", json_object_get(o, "away_log2_ns"));
}
