/* SPDX-License-Identifier: MIT */
/*
 * Figures of context switches for people: tables from the JSON that each source
 * gives.
 */
#ifndef BRAID_TOOLS_SWITCH_REPORT_H
#define BRAID_TOOLS_SWITCH_REPORT_H

#include <jansson.h>

/** report_ctxsw() - of ctxsw_json() */
void report_ctxsw(const json_t *o);

/** report_witness() - of witness_run() */
void report_witness(const json_t *o);

/** report_cupti() - of cupti_run() */
void report_cupti(const json_t *o);

#endif
