// SPDX-License-Identifier: MIT
/*
 * What was measured, as a table and as JSON.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/bench.h"

/* Figures over all tenants of a run. */
struct summary {
	struct hist all, phases[PHASES];
	uint64_t done, failed, late, in_time, merge_sum, fuse_sum, device_ns;
	double worst_p99;
	unsigned int worst;
	double jain;
};

/*
 * Jain's index of device time (Jain, Chiu, Hawe 1984): 1 when every tenant had
 * the same, 1/n when one had it all. Shares are in device time, so is this.
 */
static void sum_up(const struct options *o, const struct run *r, struct summary *s)
{
	double sum = 0, squares = 0;

	memset(s, 0, sizeof(*s));
	for (unsigned int i = 0; i < o->n_tenants; i++) {
		const struct result *t = &r->results[i];
		double p99 = hist_quantile(&t->latency, 0.99);

		hist_merge(&s->all, &t->latency);
		for (int k = 0; k < PHASES; k++)
			hist_merge(&s->phases[k], &t->phases[k]);
		s->done += t->done;
		s->failed += t->failed;
		s->late += t->late;
		s->in_time += t->in_time;
		s->merge_sum += t->merge_sum;
		s->fuse_sum += t->fuse_sum;
		s->device_ns += t->device_ns;
		sum += t->device_ns;
		squares += (double)t->device_ns * t->device_ns;
		if (p99 > s->worst_p99) {
			s->worst_p99 = p99;
			s->worst = i;
		}
	}
	s->jain = squares > 0 ? sum * sum / (o->n_tenants * squares) : 0;
}

static double ms(uint64_t ns)
{
	return ns / 1e6;
}

void report_table(const struct options *o, const struct run *runs, unsigned int n)
{
	struct summary *s = malloc(sizeof(*s));

	if (!s)
		return;
	printf("%u tenants, %s loop, %.1f s measured after %.1f s, seed %llu\n", o->n_tenants,
	       o->mode == MODE_OPEN ? "open" : "closed", o->seconds, o->warmup,
	       (unsigned long long)o->seed);
	printf("%-12s %9s %8s %8s %8s %8s %10s %6s %6s %6s %7s\n", "policy", "req/s", "p50 ms",
	       "p95 ms", "p99 ms", "p99.9 ms", "worst p99", "Jain", "merge", "fuse", "failed");
	for (unsigned int i = 0; i < n; i++) {
		sum_up(o, &runs[i], s);
		printf("%-12s %9.1f %8.2f %8.2f %8.2f %8.2f %10.2f %6.3f %6.2f %6.2f %7llu",
		       runs[i].policy, s->in_time / runs[i].seconds,
		       ms(hist_quantile(&s->all, 0.5)), ms(hist_quantile(&s->all, 0.95)),
		       ms(hist_quantile(&s->all, 0.99)), ms(hist_quantile(&s->all, 0.999)),
		       ms(s->worst_p99), s->jain, s->done ? (double)s->merge_sum / s->done : 0,
		       s->done ? (double)s->fuse_sum / s->done : 0,
		       (unsigned long long)s->failed);
		if (o->deadline_ms > 0)
			printf("  goodput %.1f/s within %.1f ms",
			       (s->in_time - s->late) / runs[i].seconds, o->deadline_ms);
		putchar('\n');
	}
	free(s);
}

static json_t *latency_json(const struct hist *h)
{
	return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f}", "p50_ms", ms(hist_quantile(h, 0.5)),
			 "p95_ms", ms(hist_quantile(h, 0.95)), "p99_ms",
			 ms(hist_quantile(h, 0.99)), "p999_ms", ms(hist_quantile(h, 0.999)),
			 "max_ms", ms(h->max), "mean_ms",
			 h->count ? h->sum / 1e6 / h->count : 0.0);
}

static json_t *phases_json(const struct hist *phases)
{
	static const char *const names[PHASES] = { "sent", "queued", "agent", "told" };
	json_t *o = json_object();

	for (int i = 0; i < PHASES; i++)
		json_object_set_new(o, names[i], latency_json(&phases[i]));
	return o;
}

static json_t *tenants_json(const struct options *o, const struct run *r)
{
	json_t *list = json_array();
	unsigned int k = 0;

	for (unsigned int l = 0; l < o->n_loads; l++)
		for (unsigned int i = 0; i < o->loads[l].tenants; i++, k++)
			json_array_append_new(list,
				json_pack("{s:s,s:i,s:I,s:I,s:I,s:o}", "model", o->loads[l].model,
					  "outstanding", (int)o->loads[l].outstanding,
					  "done", (json_int_t)r->results[k].done,
					  "failed", (json_int_t)r->results[k].failed,
					  "device_ns", (json_int_t)r->results[k].device_ns,
					  "latency", latency_json(&r->results[k].latency)));
	return list;
}

static json_t *run_json(const struct options *o, const struct run *r, struct summary *s)
{
	json_t *run;
	double n;

	sum_up(o, r, s);
	n = s->done ? s->done : 1;
	run = json_pack("{s:s,s:f,s:f,s:I,s:I,s:I,s:f,s:f,s:f,s:i,s:f,s:o,s:o}",
			"policy", r->policy, "seconds", r->seconds, "requests_per_second",
			s->in_time / r->seconds, "done", (json_int_t)s->done, "in_time",
			(json_int_t)s->in_time, "failed", (json_int_t)s->failed,
			"merge_degree_mean", s->merge_sum / n, "fuse_degree_mean",
			s->fuse_sum / n, "worst_tenant_p99_ms", s->worst_p99 / 1e6,
			"worst_tenant", (int)s->worst, "jain", s->jain, "latency",
			latency_json(&s->all), "tenants", tenants_json(o, r));
	if (o->as == AS_BRAID)
		json_object_set_new(run, "phases", phases_json(s->phases));
	/* Without a deadline nothing is late, and goodput says nothing. */
	if (o->deadline_ms > 0)
		json_object_update_new(run, json_pack("{s:I,s:f}", "late",
						      (json_int_t)s->late, "goodput_per_second",
						      (s->in_time - s->late) / r->seconds));
	return run;
}

int report_json(const struct options *o, const struct run *runs, unsigned int n)
{
	struct summary *s = malloc(sizeof(*s));
	json_t *doc, *list = json_array();
	int ret = 0;

	if (!s)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++)
		json_array_append_new(list, run_json(o, &runs[i], s));
	doc = json_pack("{s:s,s:s,s:s,s:f,s:f,s:f,s:i,s:I,s:o}", "as", o->label ? o->label : as_words(o->as), "mode",
			o->mode == MODE_OPEN ? "open" : "closed", "arrivals",
			o->arrivals == ARRIVALS_POISSON ? "poisson" : "lognormal", "sigma",
			o->sigma, "warmup_s", o->warmup, "deadline_ms", o->deadline_ms, "tenants",
			(int)o->n_tenants, "seed", (json_int_t)o->seed, "runs", list);
	if (o->spin_us >= 0)
		json_object_set_new(doc, "spin_us", json_integer(o->spin_us));
	if (!strcmp(o->json, "-"))
		ret = json_dumpf(doc, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	else
		ret = json_dump_file(doc, o->json, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	if (ret)
		fprintf(stderr, "braid-bench: %s: can't be written\n", o->json);
	json_decref(doc);
	free(s);
	return ret ? -EIO : 0;
}
