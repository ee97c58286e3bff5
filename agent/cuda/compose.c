// SPDX-License-Identifier: MIT
/*
 * Graphs of several models: branches beside each other, or kernels of all of
 * them side by side in one, a launch a step. See cuda.h.
 *
 * Which combinations occur is known only while serving, so they are counted
 * where they are asked for and made by a thread of their own once one has come
 * up often enough; until it is ready lanes serve. Each exists so often as its
 * models have slots for it.
 *
 * An entry belongs to the caller while it is counted and when it is ready, to
 * the thread while it is made or taken apart. The mutex protects the queue and
 * the passing from one to the other; it is never held while the driver works.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cuda/cuda.h"

#define ENTRIES		64u
#define OFTEN		8u	/* asked for so often, it is made */
#define COPIES		2u	/* of a graph */

enum state { FREE, COUNTED, MADE, READY, BAD, TAKEN_APART };

struct entry {
	struct entry *next;
	atomic_int state;
	bool cancelled;			/* under the lock */
	enum backend_form form;
	uint32_t n, asked;
	uint64_t used;
	struct compose_part parts[CUDA_MAX_PARTS];
	struct composed copies[COPIES];
	uint32_t n_copies;
	struct kernel **kernels;	/* fused ones */
	uint32_t n_kernels;
};

struct compose {
	struct backend *be;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct entry *first, **end;
	atomic_bool stop;
	bool told;
	uint64_t tick;
	struct entry entries[ENTRIES];
};

/* ---- side by side ---- */

/* A level: the next step of every part that has one. */
struct level {
	struct gpu_launch launches[CUDA_MAX_PARTS];
	const struct gpu_kernel *kernels[CUDA_MAX_PARTS];
	struct kernel *code[CUDA_MAX_PARTS];
	uint32_t n;
};

static int get_level(const struct graph_part *parts, uint32_t n, uint32_t step, struct level *l)
{
	int ret = 0;

	l->n = 0;
	for (uint32_t i = 0; i < n && !ret; i++) {
		const struct graph_part *p = &parts[i];

		if (step >= p->plan->n_steps)
			continue;
		ret = gpu_step_bind(p->plan, step, p->degree, &p->at, &l->launches[l->n]);
		l->kernels[l->n] = &p->plan->kernels[l->launches[l->n].kernel];
		l->code[l->n] = p->kernels[l->launches[l->n].kernel];
		l->n++;
	}
	return ret;
}

static int add_alone(const struct device *d, struct graph *g, const struct level *l,
		     const uint32_t *deps, uint32_t n_deps, uint32_t *node)
{
	struct gpu_launch_args a = { l->launches[0].args, l->launches[0].args_bytes,
				     l->launches[0].grid, l->kernels[0]->threads,
				     l->kernels[0]->smem };

	return graph_add(d, g, l->code[0], &a, deps, n_deps, node);
}

/* All of a level, as one kernel. */
static int add_fused(struct compose *c, struct entry *e, struct graph *g, const struct level *l,
		     const uint32_t *deps, uint32_t n_deps, uint32_t *node)
{
	const struct gpu_launch *launches[CUDA_MAX_PARTS];
	_Alignas(16) uint8_t args[GPU_FUSE_ARGS_MAX];
	struct gpu_launch_args a = { .args = args };
	struct gpu_fused fused;
	struct kernel *k;
	char why[1024];
	int ret;

	for (uint32_t i = 0; i < l->n; i++)
		launches[i] = &l->launches[i];
	ret = gpu_fused_make(l->kernels, l->n, &fused);
	if (ret)
		return ret;
	ret = kernels_get(c->be->kernels, &fused.kernel, &k, why, sizeof(why));
	if (ret) {
		if (!c->told)
			backend_say(c->be, "kernels side by side: %s", why);
		c->told = true;
	} else {
		e->kernels[e->n_kernels++] = k;
		gpu_fused_bind(&fused, launches, args, &a.grid);
		a.bytes = fused.kernel.args_bytes;
		a.threads = fused.kernel.threads;
		a.smem = fused.kernel.smem;
		ret = graph_add(&c->be->dev, g, k, &a, deps, n_deps, node);
	}
	gpu_fused_free(&fused);
	return ret;
}

static int add_level(struct compose *c, struct entry *e, struct graph *g, const struct level *l,
		     uint32_t *nodes, uint32_t *n_nodes)
{
	uint32_t deps[CUDA_MAX_PARTS], n_deps = *n_nodes;

	memcpy(deps, nodes, n_deps * sizeof(*deps));
	*n_nodes = l->n ? 1 : 0;
	if (!l->n)
		return 0;
	if (l->n == 1)
		return add_alone(&c->be->dev, g, l, deps, n_deps, nodes);
	return add_fused(c, e, g, l, deps, n_deps, nodes);
}

static int side_by_side(struct compose *c, struct entry *e, const struct graph_part *parts,
			struct exec **out)
{
	uint32_t nodes[CUDA_MAX_PARTS], n_nodes = 0, steps = 0, room = 0;
	struct level *l = malloc(sizeof(*l));
	struct graph g;
	int ret;

	for (uint32_t i = 0; i < e->n; i++) {
		room += parts[i].plan->n_steps;
		if (parts[i].plan->n_steps > steps)
			steps = parts[i].plan->n_steps;
	}
	ret = graph_begin(&c->be->dev, &g, room);
	if (!ret && !l)
		ret = -ENOMEM;
	for (uint32_t s = 0; s < steps && !ret; s++) {
		ret = get_level(parts, e->n, s, l);
		if (!ret)
			ret = add_level(c, e, &g, l, nodes, &n_nodes);
		if (!ret && (atomic_load(&c->stop) || e->cancelled))
			ret = -ECANCELED;	/* compiling all of it may take minutes */
	}
	free(l);
	return graph_end(&c->be->dev, &g, ret, out, NULL, 0);
}

/* ---- making and taking apart; the thread's ---- */

/* Several are a crowd. */
static const struct tile_plan *set_of(const struct compose_part *p)
{
	const struct tile_plan *sets = p->model->sets;

	return &sets[sets[TILES_CROWD].plan ? TILES_CROWD : TILES_ALONE];
}

static int make_copy(struct compose *c, struct entry *e, uint32_t number)
{
	struct composed *to = &e->copies[number];
	struct graph_part parts[CUDA_MAX_PARTS];

	for (uint32_t i = 0; i < e->n; i++) {
		struct backend_model *m = e->parts[i].model;

		if (m->n_plain + number >= m->n_slots)
			return -ENOSPC;
		if (i && m == e->parts[i - 1].model)	/* they are sorted */
			return -EINVAL;		/* both would work in one slot */
		to->slots[i] = &m->slots[m->n_plain + number];
		parts[i] = model_part(m, to->slots[i], TILES_CROWD, e->parts[i].degree);
	}
	if (e->form == BACKEND_BRANCHES)
		return graph_branches(&c->be->dev, parts, e->n, &to->exec, NULL, 0);
	return side_by_side(c, e, parts, &to->exec);
}

static bool make(struct compose *c, struct entry *e)
{
	uint32_t steps = 0;

	for (uint32_t i = 0; i < e->n; i++)
		steps += set_of(&e->parts[i])->plan->n_steps;
	e->kernels = calloc((size_t)steps * COPIES + 1, sizeof(struct kernel *));
	if (!e->kernels)
		return false;
	while (e->n_copies < COPIES && !make_copy(c, e, e->n_copies))
		e->n_copies++;
	return e->n_copies;
}

static void take_apart(struct compose *c, struct entry *e)
{
	for (uint32_t i = 0; i < COPIES; i++)
		exec_free(&c->be->dev, e->copies[i].exec);
	for (uint32_t i = 0; i < e->n_kernels; i++)
		kernels_put(c->be->kernels, e->kernels[i]);
	for (uint32_t i = 0; i < e->n; i++)
		model_drop(e->parts[i].model);
	free(e->kernels);
	e->kernels = NULL;
	e->n_kernels = e->n_copies = e->n = e->asked = 0;
	memset(e->copies, 0, sizeof(e->copies));
}

/* Under the lock, given up while the driver works. */
static void serve_entry(struct compose *c, struct entry *e)
{
	bool good = false, apart = atomic_load(&e->state) == TAKEN_APART;

	pthread_mutex_unlock(&c->lock);
	if (apart)
		take_apart(c, e);
	else
		good = make(c, e);
	pthread_mutex_lock(&c->lock);
	if (!apart && e->cancelled) {
		pthread_mutex_unlock(&c->lock);
		take_apart(c, e);
		pthread_mutex_lock(&c->lock);
		apart = true;
	}
	e->cancelled = false;
	atomic_store_explicit(&e->state, apart ? FREE : good ? READY : BAD, memory_order_release);
}

static void *serve(void *arg)
{
	struct compose *c = arg;

	pthread_setname_np(pthread_self(), "braid-compose");
	gpu_enter(&c->be->dev);
	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		struct entry *e = c->first;

		if (!e) {
			pthread_cond_wait(&c->more, &c->lock);
			continue;
		}
		c->first = e->next;
		if (!c->first)
			c->end = &c->first;
		serve_entry(c, e);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Under the lock. */
static void queue(struct compose *c, struct entry *e, enum state state)
{
	atomic_store(&e->state, state);
	e->next = NULL;
	*c->end = e;
	c->end = &e->next;
	pthread_cond_signal(&c->more);
}

/* ---- the caller's ---- */

static bool is_busy(const struct entry *e)
{
	for (uint32_t i = 0; i < e->n_copies; i++)
		if (e->copies[i].busy)
			return true;
	return false;
}

/* One that is free, else the one that was not asked for for the longest time. */
static struct entry *room(struct compose *c)
{
	struct entry *oldest = NULL;

	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct entry *e = &c->entries[i];
		int state = atomic_load(&e->state);

		if (state == FREE)
			return e;
		if (state != MADE && state != TAKEN_APART && !is_busy(e) &&
		    (!oldest || e->used < oldest->used))
			oldest = e;
	}
	if (!oldest)
		return NULL;		/* all are being made */
	if (atomic_load(&oldest->state) == COUNTED) {
		oldest->asked = oldest->n = 0;
		atomic_store(&oldest->state, FREE);
		return oldest;
	}
	pthread_mutex_lock(&c->lock);
	queue(c, oldest, TAKEN_APART);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Made of kernels that have become better since? */
static bool is_outdated(const struct entry *e)
{
	if (e->copies[0].exec->best)
		return false;
	for (uint32_t i = 0; i < e->n; i++)
		if (!atomic_load(&set_of(&e->parts[i])->is_best))
			return false;
	return !is_busy(e);
}

static bool is_it(const struct entry *e, enum backend_form form, const struct compose_part *parts,
		  uint32_t n)
{
	if (e->n != n || e->form != form)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (e->parts[i].model != parts[i].model || e->parts[i].degree != parts[i].degree)
			return false;
	return true;
}

static void count(struct compose *c, struct entry *e)
{
	if (++e->asked < OFTEN)
		return;
	for (uint32_t i = 0; i < e->n; i++)
		model_use(e->parts[i].model);
	pthread_mutex_lock(&c->lock);
	queue(c, e, MADE);
	pthread_mutex_unlock(&c->lock);
}

static bool slots_are_free(const struct composed *k, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (k->slots[i]->busy)
			return false;
	return !k->busy;
}

struct composed *compose_find(struct compose *c, enum backend_form form,
			      const struct compose_part *parts, uint32_t n)
{
	struct entry *e = NULL;

	c->tick++;
	for (uint32_t i = 0; i < ENTRIES && !e; i++) {
		int state = atomic_load_explicit(&c->entries[i].state, memory_order_acquire);

		if (state != FREE && state != TAKEN_APART && is_it(&c->entries[i], form, parts, n))
			e = &c->entries[i];
	}
	if (!e) {
		e = room(c);
		if (!e)
			return NULL;
		e->form = form;
		e->n = n;
		e->asked = 0;
		memcpy(e->parts, parts, n * sizeof(*parts));
		atomic_store(&e->state, COUNTED);
	}
	e->used = c->tick;
	if (atomic_load(&e->state) == COUNTED)
		count(c, e);
	if (atomic_load_explicit(&e->state, memory_order_acquire) != READY)
		return NULL;
	if (is_outdated(e)) {		/* it will be asked for again, and made anew */
		pthread_mutex_lock(&c->lock);
		queue(c, e, TAKEN_APART);
		pthread_mutex_unlock(&c->lock);
		return NULL;
	}
	for (uint32_t i = 0; i < e->n_copies; i++)
		if (slots_are_free(&e->copies[i], n))
			return &e->copies[i];
	return NULL;
}

void compose_sort(struct compose_part *parts, uint32_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = 1; i < n; i++) {
		struct compose_part p = parts[i];
		uint32_t o = order[i], k = i;

		for (; k && (parts[k - 1].model->id > p.model->id ||
			     (parts[k - 1].model->id == p.model->id &&
			      parts[k - 1].degree > p.degree)); k--) {
			parts[k] = parts[k - 1];
			order[k] = order[k - 1];
		}
		parts[k] = p;
		order[k] = o;
	}
}

static bool has(const struct entry *e, const struct backend_model *m)
{
	for (uint32_t i = 0; i < e->n; i++)
		if (e->parts[i].model == m)
			return true;
	return false;
}

void compose_forget(struct compose *c, const struct backend_model *m)
{
	pthread_mutex_lock(&c->lock);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct entry *e = &c->entries[i];
		int state = atomic_load(&e->state);

		if (state == FREE || state == TAKEN_APART || !has(e, m))
			continue;
		if (state == COUNTED) {
			e->n = 0;
			atomic_store(&e->state, FREE);
		} else if (state == MADE) {
			e->cancelled = true;
		} else {
			queue(c, e, TAKEN_APART);
		}
	}
	pthread_mutex_unlock(&c->lock);
}

unsigned int compose_count(struct compose *c)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < ENTRIES; i++)
		n += atomic_load(&c->entries[i].state) == READY;
	return n;
}

/* ---- life ---- */

int compose_new(struct backend *be, struct compose **out)
{
	struct compose *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->be = be;
	c->end = &c->first;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	if (pthread_create(&c->thread, NULL, serve, c)) {
		free(c);
		return -EAGAIN;
	}
	*out = c;
	return 0;
}

void compose_free(struct compose *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		int state = atomic_load(&c->entries[i].state);

		if (state != FREE && state != COUNTED)
			take_apart(c, &c->entries[i]);
	}
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
