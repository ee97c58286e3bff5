/* SPDX-License-Identifier: MIT */
/* The results as a page of Documentation/. */
#ifndef BRAID_TESTS_ONNX_TABLE_H
#define BRAID_TESTS_ONNX_TABLE_H

#include <stdio.h>

#include "tests/onnx/case.h"

struct table_row {
	char name[128];		/* of the case: its folder, below the data's own */
	struct case_result r;
};

/** table_write() - the page; rows are sorted in place by operators and name */
void table_write(FILE *f, struct table_row *rows, size_t n);

#endif
