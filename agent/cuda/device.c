// SPDX-License-Identifier: MIT
/*
 * The GPU: opening it, its one context, memory. See cuda.h.
 *
 * Nothing changes here between gpu_open() and gpu_close().
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cuda/cuda.h"

#define MIN_SM		80

static int attribute(const struct device *d, enum cu_attribute a)
{
	int v = 0;

	return d->cu.device_attribute(&v, a, d->dev) ? 0 : v;
}

static int learn(struct device *d, char *why, size_t len)
{
	d->sm = attribute(d, CU_ATTR_MAJOR) * 10 + attribute(d, CU_ATTR_MINOR);
	d->n_sms = attribute(d, CU_ATTR_MULTIPROCESSORS);
	d->shared_most = attribute(d, CU_ATTR_SHARED_OPTIN);
	d->integrated = attribute(d, CU_ATTR_INTEGRATED);
	d->can_register = attribute(d, CU_ATTR_HOST_REGISTER);
	d->cu.device_name(d->name, sizeof(d->name), d->dev);
	d->cu.device_memory(&d->bytes, d->dev);
	if (d->sm >= MIN_SM)
		return 0;
	snprintf(why, len, "GPU %s has compute capability %d.%d, Braid needs %d.%d", d->name,
		 d->sm / 10, d->sm % 10, MIN_SM / 10, MIN_SM % 10);
	return -ENODEV;
}

/* A context on some of the multiprocessors; the driver rounds their number up. */
static int make_green(struct device *d, unsigned int sms, char *why, size_t len)
{
	struct cu_resource whole, part, rest;
	const struct cu_api *cu = &d->cu;
	cu_desc desc = NULL;
	unsigned int n = 1;
	cu_result res;

	if (!cu->device_resource || !cu->split_sms || !cu->resource_desc || !cu->green_new ||
	    !cu->green_free || !cu->green_context) {
		snprintf(why, len, "this driver can't give out %u multiprocessors: it is older than CUDA 12.4",
			 sms);
		return -ENOTSUP;
	}
	res = cu->device_resource(d->dev, &whole, CU_RESOURCE_SM);
	if (!res && sms > whole.sm.count) {
		snprintf(why, len, "%u multiprocessors are asked for, %s has %u", sms, d->name,
			 whole.sm.count);
		return -EINVAL;
	}
	if (!res)
		res = cu->split_sms(&part, &n, &whole, &rest, 0, sms);
	if (!res)
		res = cu->resource_desc(&desc, &part, 1);
	if (!res)
		res = cu->green_new(&d->green, desc, d->dev, CU_GREEN_DEFAULT_STREAM);
	if (!res)
		res = cu->green_context(&d->ctx, d->green);
	if (res)
		return cu_fail(cu, res, "a context on some multiprocessors", why, len);
	d->n_sms = part.sm.count;
	return 0;
}

/* The driver, and the device with its facts. */
static int find(struct device *d, unsigned int number, char *why, size_t len)
{
	const struct cu_api *cu = &d->cu;
	cu_result res;
	int ret, n = 0;

	memset(d, 0, sizeof(*d));
	ret = cu_load(&d->cu, why, len);
	if (ret)
		return ret;
	cu->device_count(&n);
	if (number >= (unsigned int)n) {
		snprintf(why, len, "there is no GPU %u, the driver knows %d", number, n);
		return -ENODEV;
	}
	res = cu->device_get(&d->dev, number);
	if (res)
		return cu_fail(cu, res, "opening the GPU", why, len);
	return learn(d, why, len);
}

int cuda_usable(unsigned int number, char *why, size_t len)
{
	struct device d;

	return find(&d, number, why, len);
}

int gpu_open(struct device *d, const struct backend_config *cfg, char *why, size_t len)
{
	const struct cu_api *cu = &d->cu;
	uint64_t from = backend_now();
	cu_result res;
	int ret = find(d, cfg->device, why, len);

	if (ret)
		return ret;
	d->driver_ns = backend_now() - from;
	cu->primary_flags(d->dev, CU_CTX_BLOCKING_SYNC);
	res = cu->primary_retain(&d->ctx, d->dev);
	if (res)
		return cu_fail(cu, res, "a context on the GPU", why, len);
	d->retained = true;
	if (cfg->sms) {
		ret = make_green(d, cfg->sms, why, len);
		if (ret) {
			gpu_close(d);
			return ret;
		}
	}
	gpu_enter(d);
	d->context_ns = backend_now() - from - d->driver_ns;
	cu->ctx_priorities(&d->low_priority, &d->high_priority);
	if (cfg->no_compiler)
		snprintf(d->no_rt, sizeof(d->no_rt), "compiling is turned off");
	else
		nvrtc_load(&d->rt, cu->version, d->no_rt, sizeof(d->no_rt));
	return 0;
}

void gpu_close(struct device *d)
{
	if (!d->retained)
		return;
	d->cu.ctx_set(NULL);
	if (d->green)
		d->cu.green_free(d->green);
	d->cu.primary_release(d->dev);
	d->retained = false;
}

void gpu_enter(const struct device *d)
{
	d->cu.ctx_set(d->ctx);
}

int gpu_alloc(const struct device *d, uint64_t bytes, cu_ptr *p, char *why, size_t len)
{
	size_t left = 0, total = 0;
	cu_result res;

	res = d->cu.mem_alloc(p, bytes ? bytes : CUDA_ALIGN);
	if (!res)
		return 0;
	*p = 0;
	if (res != CU_OUT_OF_MEMORY)
		return cu_fail(&d->cu, res, "memory of the GPU", why, len);
	d->cu.mem_info(&left, &total);
	if (why)
		snprintf(why, len, "out of GPU memory: %llu MiB are needed, %llu of %llu are free",
			 (unsigned long long)(bytes >> 20) + 1, (unsigned long long)left >> 20,
			 (unsigned long long)total >> 20);
	return -ENOMEM;
}

int pinned_new(const struct device *d, size_t bytes, struct pinned *p)
{
	cu_result res;

	memset(p, 0, sizeof(*p));
	res = d->cu.host_alloc(&p->host, bytes, CU_HOST_PORTABLE | CU_HOST_DEVICEMAP);
	if (!res)
		res = d->cu.host_pointer(&p->at, p->host, 0);
	if (res) {
		pinned_free(d, p);
		return cu_errno(res);
	}
	memset(p->host, 0, bytes);
	p->bytes = bytes;
	return 0;
}

void pinned_free(const struct device *d, struct pinned *p)
{
	if (p->host)
		d->cu.host_free(p->host);
	memset(p, 0, sizeof(*p));
}
