/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where a field lies in a tracepoint's record. The loader finds out, the BPF
 * program has it as a constant.
 */
#ifndef BRAID_BPF_FIELD_H
#define BRAID_BPF_FIELD_H

#include <linux/types.h>

/**
 * struct field_at - a field
 * @offset: from the record's start
 * @size: in bytes, 1 to 8; 0: this kernel does not have it
 */
struct field_at {
	__u16 offset;
	__u16 size;
};

#endif
