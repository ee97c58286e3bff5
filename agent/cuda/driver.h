/* SPDX-License-Identifier: MIT */
/*
 * NVIDIA's driver API as far as Braid uses it, loaded at run time.
 *
 * No header of the CUDA toolkit is needed to build, and no library of NVIDIA's
 * to start: the few types, numbers and functions are declared here from the
 * public API documentation, and libcuda.so.1 is looked for when the backend is
 * opened. So one binary runs with and without a GPU.
 *
 * The table is filled once and only read afterwards; any thread may use it.
 */
#ifndef BRAID_AGENT_CUDA_DRIVER_H
#define BRAID_AGENT_CUDA_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CU_MIN_VERSION		12000	/* graph nodes of the second kind */

/* Results that are told apart; all others are just errors. */
#define CU_SUCCESS		0
#define CU_OUT_OF_MEMORY	2
#define CU_ILLEGAL_ADDRESS	700
#define CU_ASSERT		710
#define CU_HARDWARE_STACK_ERROR	714	/* up to the last they are of what a kernel did */
#define CU_LAUNCH_FAILED	719
#define CU_NO_DEVICE		100
#define CU_INVALID_IMAGE	200
#define CU_NO_BINARY_FOR_GPU	209
#define CU_NOT_FOUND		500
#define CU_NOT_READY		600
#define CU_ALREADY_REGISTERED	712

enum cu_attribute {
	CU_ATTR_MULTIPROCESSORS = 16,
	CU_ATTR_INTEGRATED = 18,
	CU_ATTR_L2_BYTES = 38,
	CU_ATTR_MAJOR = 75,
	CU_ATTR_MINOR = 76,
	CU_ATTR_HOST_POINTER = 91,	/* registered memory has the host's address */
	CU_ATTR_SHARED_OPTIN = 97,
	CU_ATTR_HOST_REGISTER = 99,
};

#define CU_FUNC_LOCAL_BYTES	3
#define CU_FUNC_REGISTERS	4
#define CU_FUNC_MAX_DYNAMIC	8

#define CU_HOST_PORTABLE	1u
#define CU_HOST_DEVICEMAP	2u
#define CU_STREAM_NON_BLOCKING	1u
#define CU_CTX_BLOCKING_SYNC	4u
#define CU_GREEN_DEFAULT_STREAM	1u
#define CU_RESOURCE_SM		1u
#define CU_WRITE_PLAIN		0u
#define CU_WAIT_EQUAL		1u

/* A kernel's arguments as one buffer: "extra" is a list of these and values. */
#define CU_ARGS_END		((void *)0)
#define CU_ARGS_POINTER		((void *)1)
#define CU_ARGS_SIZE		((void *)2)

typedef int cu_result;
typedef int cu_device;
typedef uint64_t cu_ptr;		/* an address of the device */
typedef struct cu_context_opaque *cu_context;
typedef struct cu_green_opaque *cu_green;
typedef struct cu_stream_opaque *cu_stream;
typedef struct cu_event_opaque *cu_event;
typedef struct cu_module_opaque *cu_module;
typedef struct cu_function_opaque *cu_function;
typedef struct cu_graph_opaque *cu_graph;
typedef struct cu_node_opaque *cu_node;
typedef struct cu_exec_opaque *cu_exec;
typedef struct cu_desc_opaque *cu_desc;

/* Parameters of a kernel node, in the layout of CUDA 12. */
struct cu_kernel_node {
	cu_function func;
	unsigned int grid[3], block[3], shared_bytes;
	void **params, **extra;
	void *kernel;
	cu_context ctx;
};

/* A partition of the device; only the number of multiprocessors is read. */
struct cu_resource {
	unsigned int type;
	unsigned char padding[92];
	union {
		struct {
			unsigned int count, min_count, alignment;
		} sm;
		unsigned char room[48];
	};
};

/**
 * struct cu_api - functions of the driver
 *
 * Named as the driver names them, without the prefix and the version. Those
 * from @device_resource on are NULL with a driver that does not have them.
 */
struct cu_api {
	void *lib;
	int version;

	cu_result (*init)(unsigned int flags);
	cu_result (*driver_version)(int *version);
	cu_result (*error_name)(cu_result res, const char **name);
	cu_result (*error_string)(cu_result res, const char **text);
	cu_result (*device_count)(int *n);
	cu_result (*device_get)(cu_device *dev, int number);
	cu_result (*device_name)(char *name, int len, cu_device dev);
	cu_result (*device_attribute)(int *value, int attribute, cu_device dev);
	cu_result (*device_memory)(size_t *bytes, cu_device dev);
	cu_result (*primary_flags)(cu_device dev, unsigned int flags);
	cu_result (*primary_retain)(cu_context *ctx, cu_device dev);
	cu_result (*primary_release)(cu_device dev);
	cu_result (*ctx_set)(cu_context ctx);
	cu_result (*ctx_priorities)(int *least, int *greatest);
	cu_result (*ctx_synchronize)(void);
	cu_result (*mem_info)(size_t *left, size_t *total);
	cu_result (*mem_alloc)(cu_ptr *p, size_t bytes);
	cu_result (*mem_free)(cu_ptr p);
	cu_result (*host_alloc)(void **p, size_t bytes, unsigned int flags);
	cu_result (*host_free)(void *p);
	cu_result (*host_pointer)(cu_ptr *p, void *host, unsigned int flags);
	cu_result (*host_register)(void *p, size_t bytes, unsigned int flags);
	cu_result (*host_unregister)(void *p);
	cu_result (*copy_to)(cu_ptr to, const void *from, size_t bytes);
	cu_result (*copy_from)(void *to, cu_ptr from, size_t bytes);
	cu_result (*copy_to_async)(cu_ptr to, const void *from, size_t bytes, cu_stream s);
	cu_result (*set_d32)(cu_ptr to, unsigned int value, size_t n);
	cu_result (*stream_new)(cu_stream *s, unsigned int flags, int priority);
	cu_result (*stream_free)(cu_stream s);
	cu_result (*stream_query)(cu_stream s);
	cu_result (*stream_synchronize)(cu_stream s);
	cu_result (*stream_write)(cu_stream s, cu_ptr at, uint32_t value, unsigned int flags);
	cu_result (*stream_wait)(cu_stream s, cu_ptr at, uint32_t value, unsigned int flags);
	cu_result (*module_load)(cu_module *m, const void *image);
	cu_result (*module_free)(cu_module m);
	cu_result (*module_function)(cu_function *f, cu_module m, const char *name);
	cu_result (*func_set)(cu_function f, int attribute, int value);
	cu_result (*func_get)(int *value, int attribute, cu_function f);
	cu_result (*launch)(cu_function f, unsigned int gx, unsigned int gy, unsigned int gz,
			    unsigned int bx, unsigned int by, unsigned int bz,
			    unsigned int shared, cu_stream s, void **params, void **extra);
	cu_result (*graph_new)(cu_graph *g, unsigned int flags);
	cu_result (*graph_free)(cu_graph g);
	cu_result (*graph_kernel)(cu_node *n, cu_graph g, const cu_node *deps, size_t n_deps,
				  const struct cu_kernel_node *p);
	cu_result (*graph_instantiate)(cu_exec *e, cu_graph g, unsigned long long flags);
	cu_result (*graph_upload)(cu_exec e, cu_stream s);
	cu_result (*graph_launch)(cu_exec e, cu_stream s);
	cu_result (*exec_free)(cu_exec e);

	cu_result (*device_resource)(cu_device dev, struct cu_resource *r, unsigned int type);
	cu_result (*split_sms)(struct cu_resource *parts, unsigned int *n,
			       const struct cu_resource *whole, struct cu_resource *rest,
			       unsigned int flags, unsigned int count);
	cu_result (*resource_desc)(cu_desc *d, struct cu_resource *r, unsigned int n);
	cu_result (*green_new)(cu_green *g, cu_desc d, cu_device dev, unsigned int flags);
	cu_result (*green_free)(cu_green g);
	cu_result (*green_context)(cu_context *ctx, cu_green g);
};

/**
 * cu_load() - load the driver and start it
 * @cu: filled in
 * @why: words on failure
 * @len: size of @why
 *
 * Return: 0; -ENODEV: no driver, or one without a device; -ENOTSUP: it is too
 * old; -EIO: it is there and does not start.
 */
int cu_load(struct cu_api *cu, char *why, size_t len);

/** cu_unload() - for cu_load()'s failure paths; a driver that ran is kept */
void cu_unload(struct cu_api *cu);

/**
 * cu_errno() - a driver's result as an errno
 *
 * Return: 0, -ENOMEM, -EAGAIN for CU_NOT_READY, -EIO for all else.
 */
int cu_errno(cu_result res);

/** cu_words() - a driver's result for people; never NULL */
const char *cu_words(const struct cu_api *cu, cu_result res);

/**
 * cu_fail() - put a failure into words
 * @cu: the driver
 * @res: what it returned, not CU_SUCCESS
 * @what: what was tried
 * @why: words
 * @len: size of @why
 *
 * Return: cu_errno(@res).
 */
int cu_fail(const struct cu_api *cu, cu_result res, const char *what, char *why, size_t len);

#endif
