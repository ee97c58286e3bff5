/* SPDX-License-Identifier: MIT */
/*
 * nvgpu's ctxsw node: where it is, and turning its records on and off.
 */
#ifndef BRAID_BPF_CTXSW_NODE_H
#define BRAID_BPF_CTXSW_NODE_H

#include <stddef.h>

/**
 * ctxsw_node_open() - open the node and have it record
 * @path: NULL: the one that there is
 * @why: words on failure
 * @len: size of @why
 *
 * Return: a descriptor that records can be read from, without waiting, or a
 * negative errno; -ENOENT: there is none.
 */
int ctxsw_node_open(const char *path, char *why, size_t len);

/** ctxsw_node_poll() - have the driver look at what the hardware has written */
void ctxsw_node_poll(int fd);

/** ctxsw_node_drain() - read what there is, and forget it */
void ctxsw_node_drain(int fd);

/** ctxsw_node_close() - stop recording */
void ctxsw_node_close(int fd);

#endif
