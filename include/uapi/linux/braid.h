/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_BRAID_H
#define _UAPI_LINUX_BRAID_H

#include <linux/types.h>

/**
 * enum braid_type - element types of tensors; the numbers are ONNX's
 *                   (TensorProto.DataType)
 */
enum braid_type {
	BRAID_TYPE_F32 = 1,
	BRAID_TYPE_U8 = 2,
	BRAID_TYPE_I8 = 3,
	BRAID_TYPE_U16 = 4,
	BRAID_TYPE_I16 = 5,
	BRAID_TYPE_I32 = 6,
	BRAID_TYPE_I64 = 7,
	BRAID_TYPE_BOOL = 9,
	BRAID_TYPE_F16 = 10,
	BRAID_TYPE_F64 = 11,
	BRAID_TYPE_U32 = 12,
	BRAID_TYPE_U64 = 13,
	BRAID_TYPE_BF16 = 16,
};

#endif
