/* SPDX-License-Identifier: MIT */
/*
 * The CUDA backend's own parts, and which thread may touch what.
 *
 *   device.c   driver, context, streams; what the device is
 *   kernels.c  kernels by name, from the cache, compiled in the background
 *   buffer.c   tenants' buffers: mapped, registered, given back
 *   model.c    a model's weights and slots
 *   graph.c    a step list as a CUDA graph
 *   compose.c  graphs of several models: branches, side by side
 *   lane.c     launches in flight, from their start to their end
 *   chores.c   the thread for what must not hold up launches
 *   watcher.c  the thread that looks whether the GPU is ours, if asked to
 *   backend.c  the vtable
 *
 * Four kinds of threads. The *caller* (the runner's loop) launches and reaps
 * and owns all that is in flight: lanes, slots' states, counters. A *loader*
 * makes models and touches only what it makes until it hands it over. The
 * *chores* thread registers memory, replaces graphs and frees what is no
 * longer used. *Compilers* turn sources into code. What is passed between
 * them goes through chores.c's list or an atomic pointer, never through a
 * lock that the caller could wait for while another thread calls the driver.
 *
 * A lane is a stream. A slot is a model's memory for one launch (arena,
 * scratch, table of addresses, flag) with a graph a degree; which stream it is
 * launched in is chosen when it is launched.
 */
#ifndef BRAID_AGENT_CUDA_CUDA_H
#define BRAID_AGENT_CUDA_CUDA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/backend/backend.h"
#include "agent/cuda/cache.h"
#include "agent/cuda/driver.h"
#include "agent/cuda/nvrtc.h"
#include "agent/cuda/plan.h"

#define CUDA_MAX_LANES		64u
#define CUDA_MAX_SLOTS		34u	/* of a model */
#define CUDA_MAX_IO		64u	/* BRAID_MAX_TENSORS */
#define CUDA_ALIGN		256u	/* of what kernels are given */
#define CUDA_IO_ALIGN		16u	/* of a tenant's tensor, else it is staged */
#define CUDA_MAX_PARTS		8u	/* groups in one graph */

struct chore;
struct chores;
struct kernels;
struct compose;
struct reaper;
struct watcher;

/* ---- device.c ---- */

/**
 * struct device - the GPU and the one context on it
 * @cu: driver
 * @rt: compiler; rt.lib is NULL without one, @no_rt says why
 * @ctx: the context, set in every thread that calls the driver
 * @sm: architecture, 90 for sm_90
 * @n_sms: multiprocessors that may be used
 * @shared_most: shared memory that a block can be given, bytes
 * @integrated: host and device have one memory
 * @driver_ns, @context_ns: how long the driver's start took, and the context's
 * @can_register: others' memory can be made known to the device
 * @low_priority, @high_priority: of streams
 */
struct device {
	struct cu_api cu;
	struct nvrtc_api rt;
	char no_rt[192];
	cu_device dev;
	cu_context ctx;
	cu_green green;
	char name[96];
	int sm, n_sms, shared_most, low_priority, high_priority;
	bool integrated, can_register, retained;
	uint64_t driver_ns, context_ns;
	size_t bytes;
};

int gpu_open(struct device *d, const struct backend_config *cfg, char *why, size_t len);
void gpu_close(struct device *d);

/** gpu_enter() - make the context this thread's */
void gpu_enter(const struct device *d);

/** gpu_alloc() - memory of the device; 0 or a negative errno, words in @why */
int gpu_alloc(const struct device *d, uint64_t bytes, cu_ptr *p, char *why, size_t len);

/**
 * struct pinned - host memory that the device reaches
 * @host: where it is for the host, @at: for the device
 */
struct pinned {
	void *host;
	cu_ptr at;
	size_t bytes;
};

int pinned_new(const struct device *d, size_t bytes, struct pinned *p);
void pinned_free(const struct device *d, struct pinned *p);

/* ---- kernels.c ---- */

/**
 * struct kernel - one entry, shared by all models whose plans have it
 * @name: tells it from all others
 * @code: the entry as it is now: NULL, the generic one, or the specialised one
 * @best: @code is as good as it will get
 */
struct kernel {
	struct kernel *next;
	char *name, *source, *generic;
	bool specialised;
	_Atomic(cu_function) code;
	atomic_bool best;
	bool queued, failed;
	cu_module module;
	unsigned int users;
	struct kernel *next_job;
};

int kernels_new(struct device *d, struct cache *cache, struct chores *chores,
		struct chore *better, unsigned int threads,
		void (*say)(void *arg, const char *text), void *arg, struct kernels **out);
/** kernels_stop() - let the compilers finish what they are at, then end them */
void kernels_stop(struct kernels *ks);
void kernels_free(struct kernels *ks);

/**
 * kernels_get() - the kernel of a plan, able to run
 * @ks: the store
 * @k: as the plan has it
 * @out: set; kernels_put() it
 * @why: words on failure
 * @len: size of @why
 *
 * From the cache if it is there, else the generic one serves, else it is
 * compiled here and now. Slow; not for the caller's thread.
 */
int kernels_get(struct kernels *ks, const struct gpu_kernel *k, struct kernel **out, char *why,
		size_t len);
/**
 * kernels_want() - the same, but what must be compiled is left to the compilers
 *
 * It has no @code until then; where it has none and is @best, it can't be had.
 */
int kernels_want(struct kernels *ks, const struct gpu_kernel *k, struct kernel **out, char *why,
		 size_t len);
void kernels_put(struct kernels *ks, struct kernel *k);

/** kernels_better() - compile in the background what is not specialised yet */
void kernels_better(struct kernels *ks, struct kernel *k);

/** kernels_pending() - sources that wait for a compiler or are with one */
unsigned int kernels_pending(struct kernels *ks);
unsigned int kernels_compiled(struct kernels *ks);

/* ---- chores.c ---- */

/**
 * struct chore - something to be done by the chores thread
 * @run: does it; the memory is @run's to reuse or free
 */
struct chore {
	struct chore *next;
	void (*run)(struct chore *c);
	bool queued;
};

int chores_new(struct device *d, struct chores **out);
/** chores_free() - do what is left, then end */
void chores_free(struct chores *c);
/** chores_put() - from any thread; one that is queued already is not queued twice */
void chores_put(struct chores *c, struct chore *chore);
/** chores_idle() - nothing is put or being done */
bool chores_idle(struct chores *c);
/** chores_wait() - until all that was put before is done */
void chores_wait(struct chores *c);

/* ---- buffer.c ---- */

#define CUDA_TENANTS	256u		/* hashed: two may share a limit */

/* How many registrations a tenant may still have done now; the chores thread's. */
struct limit {
	uint64_t filled_ns;
	uint32_t used;
};

/*
 * BUFFER_LIMITED: its tenant has had too many of late, ask again after @again_ns;
 * BUFFER_REFUSED: it can't be.
 */
enum buffer_state { BUFFER_PLAIN, BUFFER_REGISTERED, BUFFER_LIMITED, BUFFER_REFUSED };

/**
 * struct backend_buf - a tenant's buffer
 * @base: mapped here
 * @at: for the device, valid once @state is BUFFER_REGISTERED
 * @state: set by the chores thread, read by the caller
 * @priv: for buf_unmapped()
 */
struct backend_buf {
	struct chore chore;
	struct backend *be;
	uint8_t *base;
	uint64_t bytes, tenant;
	cu_ptr at;
	uint64_t again_ns;
	atomic_int state;
	void *priv;
	struct backend_buf *next_gone;
};

int buffer_new(struct backend *be, int fd, uint64_t bytes, uint64_t tenant,
	       struct backend_buf **out);
void buffer_drop(struct backend_buf *b, void *priv);
/** buffer_at() - its address for the device, 0 while it has none; the caller's thread */
cu_ptr buffer_at(struct backend_buf *b, uint64_t now);
/** buffers_gone() - @priv of one that is unmapped, NULL: none */
void *buffers_gone(struct backend *be);

/* ---- graph.c ---- */

/**
 * struct exec - an instantiated graph
 * @best: all its kernels are as good as they will get
 */
struct exec {
	struct exec *next;
	cu_exec graph;
	bool best;
};

#define GRAPH_MAX_DEPS	256u

/**
 * struct graph - a graph that is being made
 * @nodes: @n of @room
 * @best: of all kernels in it
 */
struct graph {
	cu_graph graph;
	cu_node *nodes;
	uint32_t n, room;
	bool best;
};

/* What a node launches. */
struct gpu_launch_args {
	const void *args;
	size_t bytes;
	uint32_t grid, threads, smem;
};

/*
 * These three return the driver's results, or a negative errno of their own;
 * graph_end() takes what came before, frees the graph, and puts it into words.
 */
int graph_begin(const struct device *d, struct graph *g, uint32_t room);
int graph_add(const struct device *d, struct graph *g, struct kernel *k,
	      const struct gpu_launch_args *a, const uint32_t *deps, uint32_t n_deps,
	      uint32_t *node);
int graph_end(const struct device *d, struct graph *g, cu_result res, struct exec **out, char *why,
	      size_t len);

/* A model's part of a graph: its plan, kernels and addresses at a degree. */
struct graph_part {
	const struct gpu_plan *plan;
	struct kernel *const *kernels;
	struct gpu_addresses at;
	uint32_t degree;
};

/** graph_branches() - a branch a part; one part is a plain graph */
int graph_branches(const struct device *d, const struct graph_part *parts, uint32_t n,
		   struct exec **out, char *why, size_t len);
void exec_free(const struct device *d, struct exec *e);
/** exec_retire() - free it in the background; the caller's thread */
void exec_retire(struct backend *be, struct exec *e);

/* ---- model.c ---- */

/*
 * Tiles are chosen for a launch that has the device to itself, small ones that
 * fill it soon, or for one among several, large ones that cost the others
 * least. On an H100 the second kind gave twice the throughput at 32 launches
 * in flight and 1.4 times at eight.
 */
enum tiles { TILES_ALONE, TILES_CROWD, TILES };
#define TILES_COMPOSED	TILES_ALONE	/* one or two such launches at once */

#define CROWD		4u	/* launches at once that are a crowd, if nobody says otherwise */
#define LATER_DEGREE	4u	/* the largest of a model's later slots, FULL_SLOTS have all */

/**
 * struct tile_plan - a model's plan with one kind of tiles
 * @plan: NULL: there is only the other kind
 * @kernels: one a kernel of the plan
 * @weights: on the device; kinds that pack alike share them
 * @image: of the plan, where the cache had it, until it is on the device
 * @is_best: nothing better to come; set by the loader or the chores thread
 */
struct tile_plan {
	struct gpu_plan *plan;
	struct kernel **kernels;
	cu_ptr weights;
	struct cache_blob image;
	atomic_bool is_best;
};

/**
 * struct slot - memory for one launch of a model
 * @scratch: of each kind of tiles
 * @io: table of addresses, @max_degree rows
 * @stage: inputs copied to the device, @max_degree rows
 * @exec: the graphs, by tiles and index of the degree; the caller's
 * @fresh: better ones, from the chores thread, taken at the next launch
 * @busy: in flight
 */
struct slot {
	struct backend_model *model;
	struct slot *next_free;
	uint32_t number, max_degree;
	cu_ptr memory, arena, scratch[TILES], stage;
	struct pinned io;
	uint64_t *table;
	struct exec *exec[TILES][GPU_MAX_DEGREES];
	_Atomic(struct exec *) fresh[TILES][GPU_MAX_DEGREES];
	bool busy;
};

/**
 * struct choice - which of two ways costs less, by trying
 * @cost: of a request, a moving average; 0: not tried
 * @n: how often
 */
struct choice {
	float cost[2];
	uint32_t n[2], tick;
};

uint32_t choice_pick(struct choice *c);
void choice_learn(struct choice *c, uint32_t way, float cost);

/* One tensor of a request. */
struct io_desc {
	uint64_t bytes, offset;		/* offset: in a row of stage or bounce */
	uint32_t size;			/* of an element */
};

/**
 * struct backend_model - a program made ready for launches
 * @degrees: what runs as one, ascending
 * @slots: @n_slots; those from @n_plain on are for graphs of several models. The
 *         first ones are made when it is loaded, the other plain ones after that, in
 *         the background: @n_made there are, the caller has taken @n_taken over
 * @free: plain slots that are free, @n_free; @n_full of them run any degree
 * @bounce: pinned rows for tensors that the device can't reach; @bounce_free
 *          is a stack of those that are free
 * @copy: in place or copied, by index of the degree, where launches are not in a crowd
 * @uses: the caller's one, and every chore that is queued for it
 */
struct backend_model {
	struct chore chore;
	struct backend *be;
	struct tile_plan sets[TILES];
	uint32_t n_inputs, n_io, max_degree;
	struct io_desc io[CUDA_MAX_IO];
	uint64_t stage_row, bounce_row;
	uint32_t degrees[GPU_MAX_DEGREES], n_degrees;
	struct slot slots[CUDA_MAX_SLOTS];
	uint32_t n_slots, n_plain, n_free, n_full, n_taken;
	atomic_uint n_made;
	struct chore grow;
	struct slot *free;
	struct pinned bounce;
	uint32_t *bounce_free, n_bounce;
	struct choice copy[GPU_MAX_DEGREES];
	float alone_ns[GPU_MAX_DEGREES];
	uint64_t id;
	atomic_uint uses;
	atomic_bool dead;
	struct backend_model *next;	/* in backend.models */
};

int model_load(struct backend *be, const struct program *p, const struct backend_model_config *cfg,
	       struct backend_model **out, char *why, size_t len);
void model_drop(struct backend_model *m);
/** model_grown() - take over slots that were made meanwhile; the caller's thread */
void model_grown(struct backend_model *m);
/** model_use() - keep it; model_drop() undoes that */
void model_use(struct backend_model *m);
/** model_part() - a model's part of a graph */
struct graph_part model_part(const struct backend_model *m, const struct slot *s,
			     enum tiles tiles, uint32_t degree);
/** model_degree() - index of a degree, -1: none of them */
int model_degree(const struct backend_model *m, uint32_t degree);
/** models_better() - chores: replace graphs whose kernels have become better */
void models_better(struct backend *be);

/* ---- image.c ---- */

/** image_key() - names the weights of a plan as this build packs them; false: they have no name */
bool image_key(const struct program *p, const struct gpu_options *opt,
	       uint8_t key[CACHE_KEY_BYTES]);

/**
 * image_get() - packed weights
 * @c: cache
 * @key: their name
 * @of: set to the name of those that are the same
 * @blob: cache_release() it
 *
 * Return: 0; 1: they are those of @of, @blob is not set; -ENOENT.
 */
int image_get(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], uint8_t of[CACHE_KEY_BYTES],
	      struct cache_blob *blob);

/** image_put() - keep a plan's */
void image_put(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], const struct gpu_plan *plan);

/* ---- compose.c ---- */

/* One model of a graph of several. */
struct compose_part {
	struct backend_model *model;
	uint32_t degree;
};

/**
 * struct composed - a graph of several groups and the slots that it uses
 * @slots: one a part, in the order of the parts
 * @busy: in flight
 */
struct composed {
	struct exec *exec;
	struct slot *slots[CUDA_MAX_PARTS];
	bool busy;
};

int compose_new(struct backend *be, struct compose **out);
void compose_free(struct compose *c);

/**
 * compose_find() - the graph of these groups in this form, if there is one
 * @c: all that there are
 * @form: BACKEND_BRANCHES or BACKEND_SIDE_BY_SIDE
 * @parts: sorted as compose_sort() does
 * @n: 2 to CUDA_MAX_PARTS
 *
 * NULL: not yet; it is made in the background if it is asked for often enough.
 * The caller's thread; allocates nothing. One that is found may be busy.
 */
struct composed *compose_find(struct compose *c, enum backend_form form,
			      const struct compose_part *parts, uint32_t n);
void compose_sort(struct compose_part *parts, uint32_t *order, uint32_t n);
/** compose_forget() - drop every graph that has this model; none is busy */
void compose_forget(struct compose *c, const struct backend_model *m);
unsigned int compose_count(struct compose *c);
/** compose_idle() - nothing that was asked for often enough is still to be made */
bool compose_idle(struct compose *c);

/* ---- lane.c ---- */

/*
 * A launch in flight: one group in a slot, or several in a composed graph. Its
 * stream and its flag are its own for good.
 */
struct flight {
	struct flight *next;
	cu_stream stream;
	volatile uint32_t *flag;
	cu_ptr flag_at;
	struct backend_launch *launch;
	struct backend_group *groups;
	uint32_t n_groups;
	struct slot *slots[CUDA_MAX_PARTS];
	struct composed *composed;
	uint64_t start_ns, v0;
	uint32_t others;
	enum tiles tiles;
	bool staged;
	int16_t row[CUDA_MAX_PARTS][GPU_MAX_DEGREE];	/* of bounce, -1: none */
};

/**
 * struct lanes - all that is in flight; the caller's
 * @flags: a cache line for each lane, and one that nobody ever sets, @never
 * @limit: launches that credits() counts on
 * @clock: device time that a launch has had that was there all the time: in
 *         an interval with n launches each gets the n-th part of it
 */
struct lanes {
	uint32_t n, n_free, default_limit, limit;
	struct flight flights[CUDA_MAX_LANES], *free, *oldest, **end;
	struct pinned flags;
	cu_ptr never;
	atomic_uint in_flight;
	uint64_t clock, clock_ns, checked_ns;
	bool by_query;			/* no flags: ask the driver */
};

int lanes_new(struct backend *be, uint32_t n, char *why, size_t len);
void lanes_free(struct backend *be);
int lanes_launch(struct backend *be, struct backend_launch *launch);
unsigned int lanes_reap(struct backend *be, struct backend_group **done, unsigned int max);
/** lanes_ended() - has any launch ended? From any thread */
bool lanes_ended(struct backend *be);

struct backend {
	struct device dev;
	struct cache *cache;
	struct gpu_tiles *tiles[TILES];	/* measured here, or NULL */
	struct chores *chores;
	struct kernels *kernels;
	struct compose *compose;
	struct lanes lanes;
	struct chore better;		/* models_better() */
	struct chore sweep;		/* frees @trash */
	_Atomic(struct exec *) trash;
	uint32_t max_degree, beside, crowd;
	void (*say)(void *arg, const char *text);
	void (*lost)(void *arg, const char *why, bool by_launch);
	void *arg;
	atomic_bool is_lost, closing;
	atomic_uint from_cache;		/* plans whose weights the cache had */
	/* The chores thread's calls for buffers, and how long all of them took. */
	atomic_uint_fast64_t registered, unregistered, register_ns, unregister_ns;
	uint64_t staged;		/* requests that the device could not reach; the caller's */

	pthread_mutex_t lock;		/* models, gone */
	struct backend_model *models;
	struct backend_buf *gone, **gone_end;
	struct limit limits[CUDA_TENANTS];
	uint64_t last_model;

	/* reaper.c: tells a caller that sleeps that something has ended. */
	struct reaper *reaper;
	int event;
	bool polls;

	struct watcher *watcher;	/* watcher.c; NULL: not asked for */
};

/** backend_say() - a line for people */
__attribute__((format(printf, 2, 3)))
void backend_say(struct backend *be, const char *fmt, ...);
/** backend_lost() - the device is lost; told once */
void backend_lost(struct backend *be, const char *what, cu_result res);
uint64_t backend_now(void);

/* ---- reaper.c ---- */

int reaper_new(struct backend *be);
void reaper_free(struct backend *be);
/** reaper_wake() - something was launched */
void reaper_wake(struct backend *be);
/** reaper_tell() - make event readable */
void reaper_tell(struct backend *be);

/* ---- watcher.c ---- */

/** watcher_new() - have the witness run in this context; one that can't is told of */
int watcher_new(struct backend *be);
void watcher_free(struct backend *be);
/** watcher_about() - what it has seen, NULL: it was not asked for; any thread */
struct json_t *watcher_about(struct backend *be);
/** watcher_absence() - the same for programs; any thread */
bool watcher_absence(struct backend *be, struct backend_absence *out);

#endif
