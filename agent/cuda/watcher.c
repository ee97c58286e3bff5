// SPDX-License-Identifier: MIT
/*
 * The witness (witness.h) in the agent's own context: a thread that runs it
 * again and again, each time so briefly that whatever waits for the whole
 * device waits no longer. It takes one thread of one multiprocessor and one of
 * the context's hardware queues, so it runs only when asked for.
 *
 * The mutex protects the figures and the wish to end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cuda/cuda.h"
#include "agent/cuda/witness.h"

#define RUN_NS		20000000ull
#define LONGEST_NS	20000ull	/* a longer jump is an absence */
#define KEPT		256u		/* of a run; a slice is over 100 us */
#define OUT_BYTES	(8 * WITNESS_HEAD + 16 * KEPT)

struct watcher {
	struct backend *be;
	pthread_t thread;
	pthread_mutex_t lock;
	bool stop;
	char why[160];
	cu_module module;
	cu_function entry;
	cu_stream stream;
	struct pinned out;
	struct witness_figures figures;
};

static cu_result run(struct watcher *w)
{
	const struct cu_api *cu = &w->be->dev.cu;
	uint64_t out = w->out.at, time = RUN_NS, limit = LONGEST_NS, keep = KEPT;
	void *params[] = { &out, &time, &limit, &keep };
	cu_result res = cu->launch(w->entry, 1, 1, 1, 1, 1, 1, 0, w->stream, params, NULL);

	return res ? res : cu->stream_synchronize(w->stream);
}

static bool may_go_on(struct watcher *w)
{
	bool stop;

	pthread_mutex_lock(&w->lock);
	stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return !stop && !atomic_load(&w->be->is_lost);
}

static void *watch(void *arg)
{
	struct watcher *w = arg;
	cu_result res;

	pthread_setname_np(pthread_self(), "braid-watcher");
	gpu_enter(&w->be->dev);
	while (may_go_on(w)) {
		res = run(w);
		pthread_mutex_lock(&w->lock);
		if (res)
			cu_fail(&w->be->dev.cu, res, "watching", w->why, sizeof(w->why));
		else
			witness_add(&w->figures, w->out.host, KEPT);
		pthread_mutex_unlock(&w->lock);
		if (res)
			break;
	}
	return NULL;
}

static int prepare(struct watcher *w)
{
	const struct device *d = &w->be->dev;
	cu_result res = d->cu.module_load(&w->module, witness_ptx);

	if (!res)
		res = d->cu.module_function(&w->entry, w->module, WITNESS_ENTRY);
	if (!res)
		res = d->cu.stream_new(&w->stream, CU_STREAM_NON_BLOCKING, d->low_priority);
	if (res)
		return cu_fail(&d->cu, res, "loading its kernel", w->why, sizeof(w->why));
	return pinned_new(d, OUT_BYTES, &w->out);
}

/* What is asked for and can't be had is no reason not to serve: about() says so. */
int watcher_new(struct backend *be)
{
	struct watcher *w = calloc(1, sizeof(*w));
	int ret;

	if (!w)
		return -ENOMEM;
	w->be = be;
	pthread_mutex_init(&w->lock, NULL);
	be->watcher = w;
	ret = prepare(w);
	if (!ret && !pthread_create(&w->thread, NULL, watch, w))
		return 0;
	w->thread = 0;
	backend_say(be, "no witness on the GPU: %s", *w->why ? w->why : "out of memory");
	return 0;
}

void watcher_free(struct backend *be)
{
	struct watcher *w = be->watcher;
	const struct device *d = &be->dev;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_mutex_unlock(&w->lock);
	if (w->thread)
		pthread_join(w->thread, NULL);
	pinned_free(d, &w->out);
	if (w->stream)
		d->cu.stream_free(w->stream);
	if (w->module)
		d->cu.module_free(w->module);
	pthread_mutex_destroy(&w->lock);
	free(w);
	be->watcher = NULL;
}

json_t *watcher_about(struct backend *be)
{
	struct watcher *w = be->watcher;
	struct witness_figures f;
	char why[sizeof(w->why)];
	json_t *o;

	if (!w)
		return NULL;
	pthread_mutex_lock(&w->lock);
	f = w->figures;
	memcpy(why, w->why, sizeof(why));
	pthread_mutex_unlock(&w->lock);
	o = witness_json(&f);
	if (!o)
		o = json_object();
	if (*why)
		json_object_set_new(o, "error", json_string(why));
	return o;
}

bool watcher_absence(struct backend *be, struct backend_absence *out)
{
	struct watcher *w = be->watcher;

	if (!w || !w->thread)
		return false;
	pthread_mutex_lock(&w->lock);
	*out = (struct backend_absence){ w->figures.watched_ns, w->figures.away_ns,
					 w->figures.absences };
	pthread_mutex_unlock(&w->lock);
	return true;
}
