/* SPDX-License-Identifier: MIT */
/*
 * The context-switch records of the desktop and server driver, read from the
 * resource manager's event buffer. Root only: others see their own contexts.
 */
#ifndef BRAID_TOOLS_SWITCH_FECS_H
#define BRAID_TOOLS_SWITCH_FECS_H

#include <stdint.h>

#include "bpf/ctxsw.h"
#include "tools/switch/rm.h"

struct fecs_header;

/**
 * struct fecs - an event buffer that is being read
 * @rm: connection
 * @buffer: its handle
 * @header: what the driver writes: get, put, dropped
 * @records: the ring
 * @count: of records in it
 * @get: next one to read
 * @format: of the records
 * @backing: class of its memory
 * @offset_ns: CLOCK_MONOTONIC minus the GPU's clock
 * @offset_error_ns: of that
 * @flush: flushing works: records come when they are asked for, not 30 times a second
 * @full: times that the ring was found full
 */
struct fecs {
	struct rm rm;
	uint32_t buffer;
	const volatile struct fecs_header *header;
	const volatile uint8_t *records;
	uint32_t count;
	uint32_t get;
	enum ctxsw_format format;
	uint32_t backing;
	int64_t offset_ns;
	uint64_t offset_error_ns;
	int flush;
	uint64_t full;
};

/**
 * fecs_open() - begin to record
 * @f: filled
 * @minor: of /dev/nvidiaN, -1: the first there is
 * @why: words, with the step and the driver's status
 * @len: size of @why
 *
 * Return: 0 or a negative errno; -EACCES: the driver does not let us, -EOPNOTSUPP:
 * it can't.
 */
int fecs_open(struct fecs *f, int minor, char *why, size_t len);

/**
 * fecs_read() - hand on what has come
 * @f: buffer
 * @c: takes the records
 * @each: called for each as well; may be NULL
 * @arg: for @each
 *
 * Return: how many, or a negative errno.
 */
int fecs_read(struct fecs *f, struct ctxsw *c,
	      void (*each)(void *arg, const struct ctxsw_record *r), void *arg);

/** fecs_close() - stop recording */
void fecs_close(struct fecs *f);

#endif
