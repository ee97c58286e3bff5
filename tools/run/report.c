// SPDX-License-Identifier: MIT
/* Tables and JSON of braid-run. No state. */
#include "tools/run/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <jansson.h>

#define TOP_OPS	20	/* of the text profile; JSON has all */

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The lower median: a time that was measured. */
static uint64_t median(const struct report *r)
{
	qsort(r->ns, r->n, sizeof(*r->ns), by_value);
	return r->ns[(r->n - 1) / 2];
}

static void count_kinds(const struct program *p, unsigned int counts[PROG_KINDS])
{
	for (uint32_t i = 0; i < p->n_ops; i++)
		counts[p->ops[i].kind]++;
}

static long peak_kib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

static int flushed(void)
{
	return fflush(stdout) || ferror(stdout) ? -EIO : 0;
}

static void print_dims(const struct program *p, const struct prog_io *io)
{
	const struct prog_tensor *t = &p->tensors[io->tensor];

	printf(" %s[", io->name);
	for (uint32_t i = 0; i < t->rank; i++)
		printf("%s%" PRId64, i ? "x" : "", t->dims[i]);
	putchar(']');
}

struct op_time {
	uint64_t ns;
	uint32_t op;
};

static int slowest_first(const void *a, const void *b)
{
	const struct op_time *x = a, *y = b;

	return (y->ns > x->ns) - (y->ns < x->ns);
}

static void print_profile(const struct report *r)
{
	const struct program *p = r->prog;
	struct op_time *t = calloc(p->n_ops + 1, sizeof(*t));
	uint64_t kinds[PROG_KINDS] = { 0 }, all = 0;

	if (!t)
		return;
	for (uint32_t i = 0; i < p->n_ops; i++) {
		t[i] = (struct op_time){ r->op_ns[i], i };
		kinds[p->ops[i].kind] += r->op_ns[i];
		all += r->op_ns[i];
	}
	qsort(t, p->n_ops, sizeof(*t), slowest_first);
	printf("\nprofile on one thread, %.3f ms in operations\n", all / 1e6);
	for (int k = 0; k < PROG_KINDS; k++)
		if (kinds[k])
			printf("  %-18s %9.3f ms %5.1f%%\n", prog_kind_name(k), kinds[k] / 1e6,
			       100.0 * kinds[k] / all);
	printf("slowest operations\n");
	for (uint32_t i = 0; i < p->n_ops && i < TOP_OPS; i++) {
		const struct prog_op *op = &p->ops[t[i].op];

		printf("  %4u %-18s %9.3f ms %5.1f%%  %s\n", t[i].op, prog_kind_name(op->kind),
		       t[i].ns / 1e6, 100.0 * t[i].ns / all, op->node ? op->node : "");
	}
	free(t);
}

int report_text(const struct report *r)
{
	const struct program *p = r->prog;
	unsigned int counts[PROG_KINDS] = { 0 };
	const uint64_t mid = median(r);

	count_kinds(p, counts);
	printf("%s\n", r->path);
	printf("  inputs      ");
	for (uint32_t i = 0; i < p->n_inputs; i++)
		print_dims(p, &p->inputs[i]);
	printf("\n  outputs     ");
	for (uint32_t i = 0; i < p->n_outputs; i++)
		print_dims(p, &p->outputs[i]);
	printf("\n  load         %.1f ms import, %.1f ms prepare\n", r->times.import / 1e6,
	       r->times.prepare / 1e6);
	printf("  memory       %.1f MiB constants, %.1f MiB arena a request, %.1f MiB peak\n",
	       p->const_bytes / 1048576.0, p->arena_bytes / 1048576.0, peak_kib() / 1024.0);
	printf("  operations   %u:", p->n_ops);
	for (int k = 0; k < PROG_KINDS; k++)
		if (counts[k])
			printf(" %s %u", prog_kind_name(k), counts[k]);
	printf("\n  arithmetic   %.1f million multiply-accumulates a request\n", p->macs / 1e6);
	printf("  time         %.3f ms min, %.3f ms median of %u runs; %u thread%s, degree %u\n",
	       r->ns[0] / 1e6, mid / 1e6, r->n, r->threads, r->threads == 1 ? "" : "s",
	       r->degree);
	printf("  rate         %.1f requests/s, %.2f GMAC/s\n", 1e9 * r->degree / mid,
	       (double)p->macs * r->degree / mid);
	if (r->op_ns)
		print_profile(r);
	return flushed();
}

static json_t *profile_json(const struct report *r)
{
	json_t *ops = json_array();

	for (uint32_t i = 0; i < r->prog->n_ops; i++) {
		const struct prog_op *op = &r->prog->ops[i];

		json_array_append_new(ops, json_pack("{s:i, s:s, s:s, s:I}", "op", (int)i, "kind",
						     prog_kind_name(op->kind), "node",
						     op->node ? op->node : "", "ns",
						     (json_int_t)r->op_ns[i]));
	}
	return ops;
}

int report_json(const struct report *r)
{
	const struct program *p = r->prog;
	unsigned int counts[PROG_KINDS] = { 0 };
	json_t *kinds = json_object(), *doc;
	const uint64_t mid = median(r);
	int ret;

	count_kinds(p, counts);
	for (int k = 0; k < PROG_KINDS; k++)
		if (counts[k])
			json_object_set_new(kinds, prog_kind_name(k), json_integer(counts[k]));
	doc = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:o, s:i, s:i, s:i, s:I, s:I}",
			"model", r->path,
			"import_ns", (json_int_t)r->times.import,
			"prepare_ns", (json_int_t)r->times.prepare,
			"const_bytes", (json_int_t)p->const_bytes,
			"arena_bytes", (json_int_t)p->arena_bytes,
			"peak_kib", (json_int_t)peak_kib(),
			"macs", (json_int_t)p->macs,
			"ops", (int)p->n_ops, "kinds", kinds,
			"threads", (int)r->threads, "degree", (int)r->degree, "runs", (int)r->n,
			"min_ns", (json_int_t)r->ns[0], "median_ns", (json_int_t)mid);
	if (!doc)
		return -ENOMEM;
	if (r->op_ns)
		json_object_set_new(doc, "profile", profile_json(r));
	ret = json_dumpf(doc, stdout, JSON_INDENT(2)) ? -EIO : 0;
	putchar('\n');
	json_decref(doc);
	return ret ? ret : flushed();
}
