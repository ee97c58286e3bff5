/* SPDX-License-Identifier: MIT */
/*
 * One case of ONNX's backend tests: a model, inputs, and what they must give.
 */
#ifndef BRAID_TESTS_ONNX_CASE_H
#define BRAID_TESTS_ONNX_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The tolerance of ONNX's own test runner (onnx/backend/test/runner). */
#define CASE_RTOL	1e-3
#define CASE_ATOL	1e-7

/* What whole models must keep to, relative L2 distance of an output. */
#define CASE_L2		1e-4

#define CASE_MAX_OPS	64	/* different operators in a case */

enum case_rule {
	CASE_BY_ELEMENT,	/* CASE_RTOL and CASE_ATOL */
	CASE_BY_L2,		/* CASE_L2, for floats */
	CASE_BY_L2_DISTURBED,	/* the same, the first element of the first input changed */
};

struct program;

/**
 * struct case_how - how a case is run and judged
 * @rule: see there
 * @l2: bound of CASE_BY_L2, 0: CASE_L2
 * @eval: what runs the program, as cpu_eval() does; NULL: that
 * @here: in this process: @eval has what a child would not inherit
 */
struct case_how {
	enum case_rule rule;
	double l2;
	int (*eval)(const struct program *p, const void *const *in, void *const *out,
		    char *why, size_t len);
	bool here;
};

enum case_verdict {
	CASE_PASSED,
	CASE_REFUSED,	/* with words that name the operator or the input */
	CASE_FAILED,	/* anything else: wrong answer, crash, nameless refusal */
};

/**
 * struct case_result - what became of a case
 * @verdict: see there
 * @opset: version of the default domain's operators
 * @bound: names of inputs that were fixed at load, since shapes hang on them
 * @ops: names of the operators in it, sorted, each once, blanks between
 * @why: reason, where it did not pass
 *
 * Plain memory: it goes through a pipe from the process that runs the case.
 */
struct case_result {
	enum case_verdict verdict;
	int opset;
	char bound[128];
	char ops[512];
	char why[640];
};

/**
 * case_run() - run a case, in a child process unless told
 * @dir: its folder: model.onnx and test_data_set_*
 * @how: how close floats must come; integers must be equal
 * @r: set here; a child that dies or hangs is a failure of the case
 *
 * Runs with the optimising passes and without; both must pass, or both refuse.
 */
void case_run(const char *dir, const struct case_how *how, struct case_result *r);

#endif
