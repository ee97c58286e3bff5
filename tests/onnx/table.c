// SPDX-License-Identifier: MIT
/*
 * Writes Documentation/onnx-operators.md from the results of all cases, so
 * that the page says what was run and nothing else.
 */
#include "tests/onnx/table.h"

#include <stdlib.h>
#include <string.h>

static int by_op(const void *a, const void *b)
{
	const struct table_row *x = a, *y = b;
	bool mx = strchr(x->r.ops, ' '), my = strchr(y->r.ops, ' ');
	int d;

	if (mx != my)
		return mx - my;
	d = mx ? 0 : strcmp(x->r.ops, y->r.ops);
	return d ? d : strcmp(x->name, y->name);
}

/* The reason without what the row says already: operator, opset, node. */
static const char *reason(const struct table_row *row)
{
	const char *s = strstr(row->r.why, "node '");
	const char *end = s ? strstr(s, "': ") : NULL;

	if (end)
		return end + 3;
	s = strstr(row->r.why, "model.onnx: ");
	return s ? s + strlen("model.onnx: ") : row->r.why;
}

static void put(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '|')
			fputc('\\', f);
		fputc(*s, f);
	}
}

static void put_case(FILE *f, const struct table_row *row, bool ops)
{
	fprintf(f, "| ");
	put(f, row->name);
	fprintf(f, " | %d | ", row->r.opset);
	if (ops) {
		put(f, row->r.ops);
		fprintf(f, " | ");
	}
	if (row->r.verdict == CASE_PASSED) {
		fprintf(f, "passed");
		if (row->r.bound[0]) {
			fprintf(f, ", fixed at load: ");
			put(f, row->r.bound);
		}
	} else {
		fprintf(f, row->r.verdict == CASE_REFUSED ? "refused: " : "FAILED: ");
		put(f, reason(row));
	}
	fprintf(f, " |\n");
}

void table_write(FILE *f, struct table_row *rows, size_t n)
{
	size_t passed = 0, refused = 0, i;

	qsort(rows, n, sizeof(*rows), by_op);
	for (i = 0; i < n; i++) {
		passed += rows[i].r.verdict == CASE_PASSED;
		refused += rows[i].r.verdict == CASE_REFUSED;
	}
	fprintf(f,
		"<!-- SPDX-License-Identifier: MIT -->\n"
		"<!-- Written by `make docs-onnx`; do not edit. -->\n\n"
		"# ONNX operators\n\n"
		"What the CPU backend makes of the test cases that come with ONNX (package\n"
		"libonnx-testdata: folders node, simple, pytorch-operator, pytorch-converted).\n"
		"Each case runs in a process of its own, with the optimising passes and without, and\n"
		"passes if every output has the right type and shape and every element is right:\n"
		"integers exactly, floats within the tolerance of ONNX's own runner (relative %g,\n"
		"absolute %g). All others are refused when the model is loaded, with words that name\n"
		"the operator or the input.\n\n"
		"Shapes are bound at load. Where a case hands over axes, sizes or the like as inputs,\n"
		"these are fixed to the case's values at load; the table names them.\n\n"
		"Cases: %zu. Passed: %zu. Refused: %zu. Failed: %zu.\n\n",
		CASE_RTOL, CASE_ATOL, n, passed, refused, n - passed - refused);

	fprintf(f, "## By operator\n\n| operator | passed | refused |\n|---|---|---|\n");
	for (i = 0; i < n && !strchr(rows[i].r.ops, ' ');) {
		size_t p = 0, r = 0, from = i;

		for (; i < n && !strcmp(rows[i].r.ops, rows[from].r.ops); i++) {
			p += rows[i].r.verdict == CASE_PASSED;
			r += rows[i].r.verdict == CASE_REFUSED;
		}
		fprintf(f, "| %s | %zu | %zu |\n", rows[from].r.ops, p, r);
	}

	fprintf(f, "\n## Cases of one operator\n");
	for (i = 0; i < n && !strchr(rows[i].r.ops, ' '); i++) {
		if (!i || strcmp(rows[i].r.ops, rows[i - 1].r.ops))
			fprintf(f, "\n### %s\n\n| case | opset | result |\n|---|---|---|\n",
				rows[i].r.ops);
		put_case(f, &rows[i], false);
	}
	fprintf(f, "\n## Cases of several operators\n\n"
		"| case | opset | operators | result |\n|---|---|---|---|\n");
	for (; i < n; i++)
		put_case(f, &rows[i], true);
}
