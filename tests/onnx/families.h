/* SPDX-License-Identifier: MIT */
/* Which cases must pass, whatever else is refused. */
#ifndef BRAID_TESTS_ONNX_FAMILIES_H
#define BRAID_TESTS_ONNX_FAMILIES_H

#include <stdbool.h>

/** family_case() - are all operators (blanks between) such as our families use? */
bool family_case(const char *ops);

/** family_exception() - why this case may be refused all the same, NULL: it may not */
const char *family_exception(const char *name);

/** family_exceptions() - number of exceptions; @i gives one's name */
unsigned int family_exceptions(void);
const char *family_exception_name(unsigned int i);

#endif
