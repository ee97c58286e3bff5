// SPDX-License-Identifier: MIT
/*
 * All of ONNX's own backend cases: each passes, or is refused by name. What
 * the families of models that we are for use must pass; so must 300 of the
 * node cases. The page in Documentation/ must be what comes out here.
 *
 *   test_onnx_nodes             TAP
 *   test_onnx_nodes --table     the page
 *   test_onnx_nodes CASE...     these cases alone, in words (node/test_add)
 *
 * The data is libonnx-testdata's; BRAID_ONNX_TESTDATA names another folder.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/onnx/case.h"
#include "tests/onnx/families.h"
#include "tests/onnx/table.h"
#include "tests/tap.h"

#define PAGE		"Documentation/onnx-operators.md"
#define LEAST_PASSED	300	/* of the cases in folder node */
#define MAX_CASES	4096

static const char *const folders[] = { "node", "simple", "pytorch-operator", "pytorch-converted" };

static const char *const words[] = {
	[CASE_PASSED] = "passed", [CASE_REFUSED] = "refused", [CASE_FAILED] = "FAILED",
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct table_row *)a)->name, ((const struct table_row *)b)->name);
}

static size_t find_cases(const char *data, struct table_row *rows)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		char path[512];
		struct dirent *d;
		DIR *dir;

		snprintf(path, sizeof(path), "%s/%s", data, folders[i]);
		dir = opendir(path);
		if (!dir)
			continue;
		while ((d = readdir(dir)) && n < MAX_CASES)
			if (!strncmp(d->d_name, "test_", 5))
				snprintf(rows[n++].name, sizeof(rows->name), "%s/%.100s", folders[i],
					 d->d_name);
		closedir(dir);
	}
	qsort(rows, n, sizeof(*rows), by_name);
	return n;
}

static void run_case(const char *data, struct table_row *row)
{
	static const struct case_how how = { .rule = CASE_BY_ELEMENT };
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", data, row->name);
	case_run(path, &how, &row->r);
}

static void check_families(const struct table_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *why = family_exception(rows[i].name);

		if (!family_case(rows[i].r.ops) || rows[i].r.verdict != CASE_REFUSED)
			continue;
		if (!why) {
			ok(false, "%s: operators of our families are not refused", rows[i].name);
			diag("%s", rows[i].r.why);
		}
	}
	for (unsigned int k = 0; k < family_exceptions(); k++) {
		const char *name = family_exception_name(k);
		size_t i;

		for (i = 0; i < n; i++)
			if (!strcmp(rows[i].name, name))
				break;
		if (i < n && rows[i].r.verdict == CASE_PASSED)
			ok(false, "%s passes and is no exception any more", name);
	}
}

/* Is the page what these results give? Only for the data that it was made from. */
static void check_page(struct table_row *rows, size_t n)
{
	char *want = NULL, *have = NULL, line[64];
	size_t want_len = 0, have_len = 0;
	FILE *f = fopen(PAGE, "r"), *m;
	int c;

	if (!f) {
		ok(false, "%s is there (make docs-onnx)", PAGE);
		return;
	}
	m = open_memstream(&have, &have_len);
	while (m && (c = fgetc(f)) != EOF)
		fputc(c, m);
	fclose(f);
	if (m)
		fclose(m);
	m = open_memstream(&want, &want_len);
	if (m) {
		table_write(m, rows, n);
		fclose(m);
	}
	snprintf(line, sizeof(line), "\nCases: %zu. ", n);
	if (!have || !want)
		ok(false, "memory for %s", PAGE);
	else if (!strstr(have, line))
		tap_skip(PAGE " is up to date", "it was made from other test data");
	else
		ok(!strcmp(have, want), "%s is up to date (make docs-onnx)", PAGE);
	free(have);
	free(want);
}

int main(int argc, char **argv)
{
	const char *data = getenv("BRAID_ONNX_TESTDATA");
	bool page = argc == 2 && !strcmp(argv[1], "--table");
	size_t n, passed = 0, refused = 0, of_node = 0;
	struct table_row *rows;

	if (!data)
		data = "/usr/share/libonnx-testdata/data";
	rows = calloc(MAX_CASES, sizeof(*rows));
	if (!rows)
		return 1;
	if (argc > 1 && !page) {
		for (int i = 1; i < argc; i++) {
			snprintf(rows->name, sizeof(rows->name), "%s", argv[i]);
			run_case(data, rows);
			printf("%s: %s [%s] %s%s%s\n", rows->name, words[rows->r.verdict],
			       rows->r.ops, rows->r.why, rows->r.bound[0] ? " bound: " : "",
			       rows->r.bound);
		}
		free(rows);
		return 0;
	}
	n = find_cases(data, rows);
	if (!n) {
		if (!page)
			tap_skip_all("libonnx-testdata is not installed");
		fprintf(stderr, "%s: no test data\n", data);
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		const struct case_result *r = &rows[i].r;

		run_case(data, &rows[i]);
		passed += r->verdict == CASE_PASSED;
		refused += r->verdict == CASE_REFUSED;
		of_node += r->verdict == CASE_PASSED && !strncmp(rows[i].name, "node/", 5);
		if (page)
			continue;
		if (!ok(r->verdict != CASE_FAILED, "%s: %s", rows[i].name, words[r->verdict]))
			diag("[%s] %s", r->ops, r->why);
	}
	if (page) {
		table_write(stdout, rows, n);
		free(rows);
		return 0;
	}
	check_families(rows, n);
	ok(of_node >= LEAST_PASSED, "%zu node cases pass, at least %d are asked for", of_node,
	   LEAST_PASSED);
	diag("%zu cases: %zu passed, %zu refused", n, passed, refused);
	check_page(rows, n);
	free(rows);
	return tap_done();
}
