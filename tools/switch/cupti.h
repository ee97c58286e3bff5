/* SPDX-License-Identifier: MIT */
/*
 * Context switches of the compute engine as the vendor's profiling library (CUPTI)
 * tells them, where it does: toolkits after CUDA 13.0. It tells of contexts of
 * the own process, so a witness is run in one, and both say what they saw of it.
 */
#ifndef BRAID_TOOLS_SWITCH_CUPTI_H
#define BRAID_TOOLS_SWITCH_CUPTI_H

#include <jansson.h>
#include <stddef.h>

#include "tools/switch/witness.h"

/**
 * cupti_run() - watch a context of this process
 * @o: of the witness in it
 * @path: libcupti, NULL: find it
 * @why: words on failure, with the library's status
 * @len: size of @why
 *
 * Return: a JSON object, NULL on failure.
 */
json_t *cupti_run(const struct witness_options *o, const char *path, char *why, size_t len);

#endif
