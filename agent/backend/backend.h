/* SPDX-License-Identifier: MIT */
/*
 * What a backend is to the runner: it loads programs, maps buffers, takes
 * launches and reports groups as they finish. The runner knows no GPU, the
 * backend no queue.
 *
 * All calls come from one thread (the runner's loop) unless said otherwise.
 * A backend never allocates, compiles or logs between launch() and reap().
 */
#ifndef BRAID_AGENT_BACKEND_BACKEND_H
#define BRAID_AGENT_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct program;
struct backend;
struct backend_model;
struct backend_buf;

/**
 * struct backend_config - how to open a backend
 * @threads: worker threads (cpu), 0 for one a core
 * @lanes: launches that may run at once, 0 for the backend's default
 * @max_degree: requests a group may merge at most
 * @reaps_at_once: the caller calls reap() after every launch(), so what has
 *                 ended by then need not show on event_fd
 */
struct backend_config {
	unsigned int threads;
	unsigned int lanes;
	unsigned int max_degree;
	bool reaps_at_once;
};

/**
 * struct backend_io - where one tensor of one request is
 * @buf: mapped buffer
 * @offset: byte offset in it, checked by the queue and again at launch()
 */
struct backend_io {
	struct backend_buf *buf;
	uint64_t offset;
};

/**
 * struct backend_group - requests of one model, run as one (merge)
 * @model: what to run
 * @degree: how many requests, 1 to max_degree
 * @io: degree rows of n_inputs + n_outputs entries, inputs first; the caller's,
 *      must stay until the group is reaped
 * @priv: the caller's
 * @status: set before the group is reaped: 0 or a negative errno
 * @start_ns: when its first tile started, CLOCK_MONOTONIC
 * @end_ns: when its last tile ended
 * @device_ns: time spent on it by the device, summed over workers
 * @left: the backend's own, from launch() to reap()
 */
struct backend_group {
	struct backend_model *model;
	uint32_t degree;
	const struct backend_io *io;
	void *priv;

	int status;
	uint64_t start_ns, end_ns, device_ns;
	uint32_t left;
};

/**
 * struct backend_launch - groups that run side by side (fuse)
 * @groups: the groups; different models, or the same one again
 * @n_groups: 1 is a plain launch
 * @priv: the caller's
 *
 * The caller's memory; must stay until every group of it has been reaped.
 */
struct backend_launch {
	struct backend_group *groups;
	uint32_t n_groups;
	void *priv;
};

/**
 * struct backend_ops - the vtable
 * @name: "cpu", "cuda"
 * @open: start it; -ENODEV where there is no such device, words in @why
 * @close: wait for what runs, free everything
 * @supports: can this program run here? 0, or -EOPNOTSUPP with operator, node
 *            and reason in @why
 * @model_load: pack weights, reserve arenas (slow; may allocate and compile;
 *              may be called from a loader thread while launches run).
 *              The program must outlive the model.
 * @model_unload: no launch of it may be in flight
 * @buf_map: map a tenant's buffer (memfd or the device's fd; fd stays the caller's)
 * @buf_unmap: no launch that uses it may be in flight
 * @credits: how many requests of this model could be launched now
 * @launch: take a launch; it runs when a lane is free, in order of launch.
 *          Offsets that do not fit their buffer: -EINVAL, nothing is run
 * @reap: finished groups, oldest first, up to @max; returns how many. A
 *        group's outputs are visible to every process when it is returned
 * @event_fd: readable when reap() has something to return
 */
struct backend_ops {
	const char *name;
	int (*open)(const struct backend_config *cfg, struct backend **be, char *why, size_t len);
	void (*close)(struct backend *be);
	int (*supports)(const struct program *p, char *why, size_t len);
	int (*model_load)(struct backend *be, const struct program *p,
			  struct backend_model **model, char *why, size_t len);
	void (*model_unload)(struct backend *be, struct backend_model *model);
	int (*buf_map)(struct backend *be, int fd, uint64_t bytes, struct backend_buf **buf);
	void (*buf_unmap)(struct backend *be, struct backend_buf *buf);
	uint32_t (*credits)(struct backend *be, const struct backend_model *model);
	int (*launch)(struct backend *be, struct backend_launch *launch);
	unsigned int (*reap)(struct backend *be, struct backend_group **done, unsigned int max);
	int (*event_fd)(struct backend *be);
};

extern const struct backend_ops cpu_backend_ops;

#endif
