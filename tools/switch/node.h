/* SPDX-License-Identifier: MIT */
/*
 * The context-switch records of nvgpu (Jetson), read from its device node or
 * from a file that was recorded.
 */
#ifndef BRAID_TOOLS_SWITCH_NODE_H
#define BRAID_TOOLS_SWITCH_NODE_H

#include <stddef.h>

#include "bpf/ctxsw.h"

/**
 * struct node - an open node
 * @fd: of it
 * @format: of its records
 * @have: bytes of a record that is not whole yet
 * @bytes: of it
 * @file: it is a recording: it ends
 */
struct node {
	int fd;
	enum ctxsw_format format;
	size_t have;
	unsigned char bytes[CTXSW_RECORD_BYTES];
	int file;
};

/**
 * node_open() - begin to record, or open a recording
 * @n: filled
 * @path: node or file, NULL: the node that there is
 * @format: of a recording
 * @why: words on failure
 * @len: size of @why
 *
 * Return: 0 or a negative errno.
 */
int node_open(struct node *n, const char *path, enum ctxsw_format format, char *why, size_t len);

/** node_read() - as fecs_read(); -ENODATA at the end of a recording */
int node_read(struct node *n, struct ctxsw *c,
	      void (*each)(void *arg, const struct ctxsw_record *r), void *arg);

/** node_close() - stop recording */
void node_close(struct node *n);

#endif
