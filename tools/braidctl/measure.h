/* SPDX-License-Identifier: MIT */
/*
 * What stalls, trace and doctor share: which helpers there are to ask, and the
 * names of tenants and models.
 */
#ifndef BRAID_TOOLS_BRAIDCTL_MEASURE_H
#define BRAID_TOOLS_BRAIDCTL_MEASURE_H

#include <jansson.h>
#include <stdbool.h>

#include "tools/braidctl/ctl.h"

#define MEASURE_PINS	"/sys/fs/bpf/braid"

/** measure_switches() - the command of braid-switch for this machine's GPU, NULL: none */
const char *measure_switches(void);

/**
 * struct measure_names - who is who; both may be NULL
 * @tenants: as the source's
 * @models: as the source's
 */
struct measure_names {
	json_t *tenants;
	json_t *models;
};

/** measure_names() - ask the queue, silently where there is none */
void measure_names(const struct ctl *c, struct measure_names *n);

/** measure_forget() - drop them */
void measure_forget(struct measure_names *n);

/** measure_model() - a model's name, or its number in @buf */
const char *measure_model(const struct measure_names *n, long long id, char *buf, size_t len);

/** measure_tenant() - what the queue says of a tenant, NULL: nothing */
json_t *measure_tenant(const struct measure_names *n, long long id);

/** measure_number() - a positive number of seconds; words and false otherwise */
bool measure_number(const char *text, const char *what, double *to);

#endif
