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
 * @threads: worker threads (cpu), or that compile (cuda); 0 for the default
 * @lanes: launches that may run at once, 0 for the backend's default
 * @max_degree: requests a group may merge at most
 * @reaps_at_once: the caller calls reap() after every launch(), so what has
 *                 ended by then need not show on event_fd
 * @polls: the caller calls reap() again and again while busy(), so nothing
 *         need show on event_fd meanwhile, and reads from it itself when something
 *         does
 * @device: which GPU, the first is 0
 * @sms: multiprocessors to use (a green context), 0 for all
 * @beside: launches of other processes that run beside this one's, so that it
 *          runs as in a crowd (programs that share a GPU by MPS)
 * @crowd: how many run at once in a crowd, where each runs as one among several,
 *         with tiles for that and inputs copied; 0 for the backend's choice
 * @no_compiler: never compile; what was built ahead and what is kept must do
 * @cache_dir: where to keep what took long to make, NULL or "" for nowhere
 * @cache_bytes: how much of it
 * @witness: watch whether the device is switched to others meanwhile
 * @say: a line for people, from any thread; may be NULL
 * @lost: the device is lost, and only the end of the process gets it back;
 *        from any thread; may be NULL. Nothing that runs will ever be reaped.
 *        @by_launch: something that was launched did it, and nothing runs any more
 * @arg: for @say and @lost
 */
struct backend_config {
	unsigned int threads;
	unsigned int lanes;
	unsigned int max_degree;
	bool reaps_at_once;
	bool polls;
	unsigned int device, sms;
	unsigned int beside, crowd;
	bool no_compiler;
	const char *cache_dir;
	uint64_t cache_bytes;
	bool witness;
	void (*say)(void *arg, const char *text);
	void (*lost)(void *arg, const char *why, bool by_launch);
	void *arg;
};

/**
 * struct backend_took - where the time went that a model took to load, ns
 * @plan: lowering it, packing weights
 * @kernels: having code for its kernels, from a cache or a compiler
 * @weights: copying them
 * @lanes: memory for launches, and graphs
 * @precision: what it was made in, 16 or 32; 0: the backend has one only
 */
struct backend_took {
	uint64_t plan, kernels, weights, lanes;
	unsigned int precision;
};

/**
 * struct backend_model_config - how to load a model
 * @precision: 16 or 32 bits, as far as the backend has them; 0: as suits the model
 * @took: filled in where the backend has such steps; may be NULL
 */
struct backend_model_config {
	unsigned int precision;
	struct backend_took *took;
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

/* Ways to run the groups of a launch. What a backend cannot it does the first way. */
enum backend_form {
	BACKEND_LANES,		/* each group on a lane of its own */
	BACKEND_BRANCHES,	/* one graph, a branch a group */
	BACKEND_SIDE_BY_SIDE,	/* one kernel a step of all groups */
	BACKEND_FORMS
};

/* Faults that tests have a launch commit. */
enum backend_sabotage {
	BACKEND_NO_SABOTAGE,
	BACKEND_FAULT,		/* touches memory that is nobody's */
	BACKEND_HANG,		/* never ends */
};

/**
 * struct backend_group - requests of one model, run as one (merge)
 * @model: what to run
 * @degree: how many requests, one that degree() allows
 * @io: degree rows of n_inputs + n_outputs entries, inputs first; the caller's,
 *      must stay until the group is reaped
 * @priv: the caller's
 * @status: set before the group is reaped: 0 or a negative errno
 * @start_ns: when its first tile started, CLOCK_MONOTONIC
 * @end_ns: when its last tile ended
 * @device_ns: time spent on it by the device, summed over workers; where
 *             launches share the device, its share of it
 * @others: launches that ran when it was launched
 * @staged: its inputs were copied to the device first
 * @crowd: with tiles for one of several launches
 * @left: the backend's own, from launch() to reap()
 */
struct backend_group {
	struct backend_model *model;
	uint32_t degree;
	const struct backend_io *io;
	void *priv;

	int status;
	uint64_t start_ns, end_ns, device_ns;
	uint32_t others;
	bool staged, crowd;
	uint32_t left;
};

/**
 * struct backend_launch - groups that run side by side (fuse)
 * @groups: the groups; different models, or the same one again
 * @n_groups: 1 is a plain launch
 * @form: how to run them
 * @ran: set by launch(): how they are run; not @form where that is not ready
 * @sabotage: of tests
 * @started: groups that have been started; 0 at first, then the backend's
 * @priv: the caller's
 *
 * The caller's memory; must stay until every group of it has been reaped.
 */
struct backend_launch {
	struct backend_group *groups;
	uint32_t n_groups;
	enum backend_form form, ran;
	enum backend_sabotage sabotage;
	uint32_t started;
	void *priv;
};

/**
 * struct backend_absence - what a witness on the device has seen, since the start
 * @watched_ns: by the device's clock
 * @away_ns: of it, not there
 * @absences: how many
 */
struct backend_absence {
	uint64_t watched_ns, away_ns, absences;
};

/**
 * struct backend_ops - the vtable
 * @name: "cpu", "cuda"
 * @forms: ways to run several groups that it has, a bit each
 * @open: start it; -ENODEV where there is no such device, words in @why
 * @close: wait for what runs, free everything
 * @supports: can this program run here? 0, or -EOPNOTSUPP with operator, node
 *            and reason in @why
 * @model_load: pack weights, reserve arenas (slow; may allocate and compile;
 *              may be called from a loader thread while launches run).
 *              The program must outlive the model. @cfg may be NULL
 * @model_unload: no launch of it may be in flight
 * @buf_map: map a tenant's buffer (memfd or the device's fd; fd stays the caller's);
 *           @tenant is whose, so that none can keep the device busy with that
 * @buf_unmap: no launch that uses it may be in flight. True: it is unmapped;
 *             false: it will be, and buf_unmapped() tells when
 * @buf_unmapped: @priv of a buffer that is unmapped now, NULL: none; NULL where
 *                buf_unmap() is always done at once
 * @degree: largest number of requests, at most @n, that can be run as one
 * @credits: how many requests of this model could be launched now, @merge: in
 *           groups as large as can be, or each by itself
 * @largest: what a group launched now may merge at most, of what max_degree allows;
 *           NULL: all of that
 * @limit: from now on so many launches at once, 0 for as many as there are
 *         lanes; NULL where it makes no difference
 * @launch: take a launch; it runs when a lane is free, in order of launch.
 *          Offsets that do not fit their buffer: -EINVAL, nothing is run.
 *          -EAGAIN: no room for all of it now, launch it again: what was
 *          started is remembered
 * @reap: finished groups, oldest first, up to @max; returns how many. A
 *        group's outputs are visible to every process when it is returned
 * @busy: something runs; may be called often
 * @event_fd: readable when reap() or buf_unmapped() has something to return
 * @settled: everything loaded is as fast as it will be; NULL: it always is
 * @about: figures of its own for people; a json_t, NULL where it has none
 * @absence: what its witness has seen; false: it has none, or sees nothing yet;
 *           from any thread; NULL: it never has one
 */
struct backend_ops {
	const char *name;
	uint32_t forms;
	int (*open)(const struct backend_config *cfg, struct backend **be, char *why, size_t len);
	void (*close)(struct backend *be);
	int (*supports)(const struct program *p, char *why, size_t len);
	int (*model_load)(struct backend *be, const struct program *p,
			  const struct backend_model_config *cfg,
			  struct backend_model **model, char *why, size_t len);
	void (*model_unload)(struct backend *be, struct backend_model *model);
	int (*buf_map)(struct backend *be, int fd, uint64_t bytes, uint64_t tenant,
		       struct backend_buf **buf);
	bool (*buf_unmap)(struct backend *be, struct backend_buf *buf, void *priv);
	void *(*buf_unmapped)(struct backend *be);
	uint32_t (*degree)(const struct backend_model *model, uint32_t n);
	uint32_t (*credits)(struct backend *be, struct backend_model *model, bool merge);
	uint32_t (*largest)(const struct backend_model *model);
	void (*limit)(struct backend *be, uint32_t lanes);
	int (*launch)(struct backend *be, struct backend_launch *launch);
	unsigned int (*reap)(struct backend *be, struct backend_group **done, unsigned int max);
	bool (*busy)(const struct backend *be);
	int (*event_fd)(struct backend *be);
	bool (*settled)(struct backend *be);
	struct json_t *(*about)(struct backend *be);
	bool (*absence)(struct backend *be, struct backend_absence *out);
};

extern const struct backend_ops cpu_backend_ops;
extern const struct backend_ops cuda_backend_ops;

/**
 * cuda_usable() - could the CUDA backend be opened, as far as a look tells
 * @number: of the GPU
 * @why: words if not
 * @len: size of @why
 *
 * Loads the driver, which stays, and makes no context. Return: 0 or a negative errno.
 */
int cuda_usable(unsigned int number, char *why, size_t len);

/* agent/backend/memory.c: what backends do alike with tenants' memory. */

/**
 * tenant_map() - map a tenant's buffer
 * @fd: memfd, which must be sealed against shrinking, or the device's
 * @bytes: how much of it
 * @base: set to where it lies
 *
 * A page that is cut off a file under a mapping kills who touches it.
 * Return: 0 or a negative errno.
 */
int tenant_map(int fd, uint64_t bytes, uint8_t **base);

/**
 * tenant_fits() - does a tensor lie in its buffer as a whole, on its alignment
 * @p: the program
 * @tensor: which tensor
 * @io: where
 * @bytes: of the buffer
 */
bool tenant_fits(const struct program *p, uint32_t tensor, const struct backend_io *io,
		 uint64_t bytes);

#endif
