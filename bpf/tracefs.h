/* SPDX-License-Identifier: MIT */
/*
 * Tracepoints as tracefs tells of them: whether they are there, where in a
 * record each field lies, and how a BPF program is attached to one.
 */
#ifndef BRAID_BPF_TRACEFS_H
#define BRAID_BPF_TRACEFS_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/field.h"

struct bpf_link;
struct bpf_program;

/** tracefs_find() - where it is mounted, NULL: nowhere; @given: look there only */
const char *tracefs_find(const char *given);

/**
 * tracefs_field() - where a field of a tracepoint lies
 * @tracefs: mount point
 * @event: "system/name"
 * @field: its name
 * @out: filled; size 0 when there is no such field
 *
 * Return: 0, -ENOENT: no such tracepoint, -EACCES, -EINVAL: no such field.
 */
int tracefs_field(const char *tracefs, const char *event, const char *field,
		  struct field_at *out);

/** tracefs_has() - is the tracepoint there? 0, -ENOENT, -EACCES */
int tracefs_has(const char *tracefs, const char *event);

/** tracefs_attach() - attach a loaded program; NULL on failure, errno says why */
struct bpf_link *tracefs_attach(const char *tracefs, const char *event,
				struct bpf_program *prog);

#endif
