/* SPDX-License-Identifier: MIT */
/*
 * The few calls of NVIDIA's resource manager (the desktop and server driver's
 * ioctl interface on /dev/nvidiactl) that reading its event buffer takes.
 *
 * Layouts and numbers are those of the open kernel modules' headers (nvos.h,
 * nv-ioctl.h, cl90cd.h, ctrl2080gr.h); they have not changed from 525 to 580.
 * Every call gives a status of the resource manager: 0, or an error that
 * rm_status() knows the name of.
 */
#ifndef BRAID_TOOLS_SWITCH_RM_H
#define BRAID_TOOLS_SWITCH_RM_H

#include <stddef.h>
#include <stdint.h>

/* Not a status: the call did not get as far as the resource manager; errno says why. */
#define RM_ERRNO	0xffffffffu

/**
 * struct rm - a connection
 * @ctl: /dev/nvidiactl
 * @gpu: /dev/nvidiaN
 * @minor: N
 * @client: handles of the objects
 * @device: ...
 * @subdevice: ...
 * @last: handle given out last
 */
struct rm {
	int ctl;
	int gpu;
	unsigned int minor;
	uint32_t client;
	uint32_t device;
	uint32_t subdevice;
	uint32_t last;
};

/** rm_status() - the name of a status, and what it is likely to mean here */
const char *rm_status(uint32_t status);

/**
 * rm_open() - a client with a device and a subdevice
 * @rm: filled
 * @minor: of /dev/nvidiaN, -1: the first there is
 * @step: what failed, in words
 *
 * Return: 0 or a status.
 */
uint32_t rm_open(struct rm *rm, int minor, const char **step);

/** rm_close() - everything that was made through it is gone; all zero is fine */
void rm_close(struct rm *rm);

/** rm_alloc() - an object of a class under a parent; @handle: set */
uint32_t rm_alloc(struct rm *rm, uint32_t parent, uint32_t class, void *params, uint32_t bytes,
		  uint32_t *handle);

/** rm_free() - free an object */
void rm_free(struct rm *rm, uint32_t parent, uint32_t handle);

/** rm_control() - a command to an object */
uint32_t rm_control(struct rm *rm, uint32_t object, uint32_t cmd, void *params, uint32_t bytes);

/**
 * rm_map() - map an object of memory to be read
 * @rm: connection
 * @parent: what it was made under
 * @memory: handle
 * @bytes: how much
 * @out: where
 *
 * Return: 0 or a status; RM_ERRNO when mmap(2) failed.
 */
uint32_t rm_map(struct rm *rm, uint32_t parent, uint32_t memory, size_t bytes,
		const volatile void **out);

/**
 * rm_clock() - the GPU's clock and the CPU's at one moment
 * @rm: connection
 * @gpu_ns: the GPU's
 * @cpu_ns: CLOCK_MONOTONIC
 * @error_ns: they may be so far apart
 *
 * The best of several tries. Return: 0 or a status.
 */
uint32_t rm_clock(struct rm *rm, uint64_t *gpu_ns, uint64_t *cpu_ns, uint64_t *error_ns);

#endif
