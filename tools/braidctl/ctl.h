/* SPDX-License-Identifier: MIT */
/*
 * braidctl: control and sight. Each command asks the source of the queue's
 * figures (source.h) or braidd itself, and prints a table, or with --json what
 * it got.
 */
#ifndef BRAID_TOOLS_BRAIDCTL_CTL_H
#define BRAID_TOOLS_BRAIDCTL_CTL_H

#include <jansson.h>
#include <stdbool.h>

#include "tools/braidctl/source.h"

/* Print as JSON if that was asked for: then true. Drops @result. */
bool ctl_json(const struct ctl *c, json_t *result);

/* Words that nobody reads are a mistake: 2 after saying so, else 0. */
int ctl_too_many(int argc, char **argv, int max);

/* Members of an object; 0 and "" where there are none. */
long long ctl_int(const json_t *o, const char *name);
const char *ctl_str(const json_t *o, const char *name);

/* A duration in the unit that suits it. */
const char *ctl_ns(long long ns, char *buf, unsigned long len);
const char *ctl_bytes(long long n, char *buf, unsigned long len);

int cmd_status(const struct ctl *c, int argc, char **argv);
int cmd_models(const struct ctl *c, int argc, char **argv);
int cmd_tenants(const struct ctl *c, int argc, char **argv);
int cmd_owner(const struct ctl *c, int argc, char **argv);
int cmd_monitor(const struct ctl *c, int argc, char **argv);
int cmd_policy(const struct ctl *c, int argc, char **argv);
int cmd_explain(const struct ctl *c, int argc, char **argv);
int cmd_reload(const struct ctl *c, int argc, char **argv);
int cmd_stalls(const struct ctl *c, int argc, char **argv);
int cmd_trace(const struct ctl *c, int argc, char **argv);
int cmd_doctor(const struct ctl *c, int argc, char **argv);
int cmd_runner(const struct ctl *c, int argc, char **argv);

#endif
