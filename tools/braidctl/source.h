/* SPDX-License-Identifier: MIT */
/*
 * Where the queue's figures come from and its knobs are set: braidd's control
 * socket where the queue is braidd's, the kernel where it is the kernel's. What
 * is the runner's (explain, reload, runner) is asked of braidd in any case.
 *
 * A library for braidctl and braid-bench.
 */
#ifndef BRAID_TOOLS_BRAIDCTL_SOURCE_H
#define BRAID_TOOLS_BRAIDCTL_SOURCE_H

#include <jansson.h>
#include <stdbool.h>

struct ctl;

/* Takes an event; whether there should be more. */
typedef bool source_told(void *arg, json_t *event);

/**
 * struct source - one of the two
 * @name: the transport's
 * @status: queue, agent, knobs, counters
 * @models: list of published models with their tensors
 * @tenants: list of connections
 * @owners: list of owners with their limits
 * @owner_set: set limits of an "owner" by its key, or of the owner of a
 *             "tenant" by that one's id; takes @limits, whose members are
 *             numbers by name, or "reset": true
 * @knobs: values by name, all of them text
 * @knob_set: set one; the result is as that of @knobs
 * @monitor: give @told each event that comes, first "listening". 0 when it
 *           wants no more, -1 after words
 *
 * Results are as the control socket gives them (agent/supervisor/control.c), a
 * member that a source has not is missing. NULL after words on standard error.
 */
struct source {
	const char *name;
	json_t *(*status)(const struct ctl *c);
	json_t *(*models)(const struct ctl *c);
	json_t *(*tenants)(const struct ctl *c);
	json_t *(*owners)(const struct ctl *c);
	json_t *(*owner_set)(const struct ctl *c, const char *whose, long long id, json_t *limits);
	json_t *(*knobs)(const struct ctl *c);
	json_t *(*knob_set)(const struct ctl *c, const char *knob, const char *value);
	int (*monitor)(const struct ctl *c, source_told *told, void *arg);
};

/**
 * struct ctl - whom to ask
 * @socket: braidd's control socket
 * @device: name of the queue in the kernel, "braid0"
 * @source: the queue's, found by source_find()
 * @json: print results as they are
 */
struct ctl {
	const char *socket;
	char device[32];
	const struct source *source;
	bool json;
};

extern const struct source source_control;
extern const struct source source_device;

/**
 * source_find() - whose queue is it?
 * @c: @socket may be NULL: $BRAID_CONTROL, else the default; the rest is filled in
 *
 * What braidd says counts. If no socket was named and there is no braidd, it
 * is the kernel's queue where there is one.
 */
void source_find(struct ctl *c);

/* Ask the control socket; takes @req. NULL after words on standard error. */
json_t *ctl_ask(const struct ctl *c, json_t *req);
json_t *ctl_cmd(const struct ctl *c, const char *cmd);

/* The same, but silent where nobody is there. */
json_t *ctl_try(const struct ctl *c, const char *cmd);

#endif
