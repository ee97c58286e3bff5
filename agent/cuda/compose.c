// SPDX-License-Identifier: MIT
/*
 * Graphs of several models: branches beside each other, or kernels of all of
 * them side by side in one, a launch a step. See cuda.h.
 *
 * Which combinations occur is known only while serving, so they are counted
 * where they are asked for and made by a thread of their own once one has come
 * up often enough; until it is ready lanes serve. Each exists so often as its
 * models have slots for it. Kernels side by side are compiled by the compilers,
 * all of a combination at once and few combinations at a time; what needs none
 * does not wait for them.
 *
 * An entry belongs to the caller while it is counted and when it is ready, to
 * the thread while it is made or taken apart. The mutex protects the queue and
 * the passing from one to the other; it is never held while the driver works.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/cuda/cuda.h"

#define ENTRIES		64u
#define OFTEN		8u	/* asked for so often, it is made */
#define COPIES		2u	/* of a graph */
#define AT_ONCE		2u	/* combinations whose kernels are being compiled */
#define LOOK_NS		20000000	/* whether they are, so often */

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
	bool wanted;			/* kernels; the thread's, under the lock */
	struct kernel **kernels;	/* fused ones, in the order of their levels */
	uint32_t n_kernels;
};

struct compose {
	struct backend *be;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct entry *first, **end;
	atomic_bool stop;
	bool told, working;		/* working: on one that is no longer queued */
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

/* All of a level, as one kernel that is there. */
static int add_fused(struct compose *c, struct graph *g, const struct level *l, struct kernel *k,
		     const uint32_t *deps, uint32_t n_deps, uint32_t *node)
{
	const struct gpu_launch *launches[CUDA_MAX_PARTS];
	_Alignas(16) uint8_t args[GPU_FUSE_ARGS_MAX];
	struct gpu_launch_args a = { .args = args };
	struct gpu_fused fused;
	int ret;

	for (uint32_t i = 0; i < l->n; i++)
		launches[i] = &l->launches[i];
	ret = gpu_fused_make(l->kernels, l->n, &fused);
	if (ret)
		return ret;
	gpu_fused_bind(&fused, launches, args, &a.grid);
	a.bytes = fused.kernel.args_bytes;
	a.threads = fused.kernel.threads;
	a.smem = fused.kernel.smem;
	ret = graph_add(&c->be->dev, g, k, &a, deps, n_deps, node);
	gpu_fused_free(&fused);
	return ret;
}

static uint32_t steps_of(const struct entry *e, const struct graph_part *parts)
{
	uint32_t steps = 0;

	for (uint32_t i = 0; i < e->n; i++)
		if (parts[i].plan->n_steps > steps)
			steps = parts[i].plan->n_steps;
	return steps;
}

static int side_by_side(struct compose *c, struct entry *e, const struct graph_part *parts,
			struct exec **out, char *why, size_t len)
{
	uint32_t node = 0, steps = steps_of(e, parts), fused = 0;
	struct level *l = malloc(sizeof(*l));
	struct graph g;
	int ret;

	ret = graph_begin(&c->be->dev, &g, steps);
	if (!ret && !l)
		ret = -ENOMEM;
	for (uint32_t s = 0; s < steps && !ret; s++) {
		const uint32_t before = node;

		ret = get_level(parts, e->n, s, l);
		if (!ret && l->n == 1)
			ret = add_alone(&c->be->dev, &g, l, &before, s > 0, &node);
		else if (!ret)
			ret = add_fused(c, &g, l, e->kernels[fused++], &before, s > 0, &node);
	}
	free(l);
	return graph_end(&c->be->dev, &g, ret, out, why, len);
}

/* Lanes serve; one line is enough to know that. */
static void tell(struct compose *c, enum backend_form form, const char *why)
{
	if (*why && !c->told)
		backend_say(c->be, "a graph of several models as %s, lanes serve instead: %s",
			    form == BACKEND_BRANCHES ? "branches" : "kernels side by side", why);
	c->told |= *why;
}

/* The kernels of all levels that have several launches. */
static int want(struct compose *c, struct entry *e, const struct graph_part *parts)
{
	uint32_t steps = steps_of(e, parts);
	struct level *l = malloc(sizeof(*l));
	struct gpu_fused fused;
	char why[1024] = "";
	int ret = 0;

	e->kernels = calloc(steps, sizeof(struct kernel *));
	if (!e->kernels || !l)
		ret = -ENOMEM;
	for (uint32_t s = 0; s < steps && !ret; s++) {
		ret = get_level(parts, e->n, s, l);
		if (ret || l->n == 1)
			continue;
		ret = gpu_fused_make(l->kernels, l->n, &fused);
		if (ret)
			break;
		ret = kernels_want(c->be->kernels, &fused.kernel, &e->kernels[e->n_kernels], why,
				   sizeof(why));
		e->n_kernels += !ret;
		gpu_fused_free(&fused);
	}
	free(l);
	if (ret)
		tell(c, e->form, why);
	return ret;
}

/* All kernels are compiled, or one can't be. */
static bool is_compiled(const struct entry *e)
{
	for (uint32_t i = 0; i < e->n_kernels; i++)
		if (!atomic_load(&e->kernels[i]->code) && !atomic_load(&e->kernels[i]->best))
			return false;
	return true;
}

/* ---- making and taking apart; the thread's ---- */

static int parts_of(const struct entry *e, uint32_t number, struct graph_part *parts,
		    struct slot **slots)
{
	for (uint32_t i = 0; i < e->n; i++) {
		struct backend_model *m = e->parts[i].model;

		if (m->n_plain + number >= m->n_slots)
			return -ENOSPC;
		if (i && m == e->parts[i - 1].model)	/* they are sorted */
			return -EINVAL;		/* both would work in one slot */
		slots[i] = &m->slots[m->n_plain + number];
		parts[i] = model_part(m, slots[i], TILES_COMPOSED, e->parts[i].degree);
	}
	return 0;
}

static int make_copy(struct compose *c, struct entry *e, uint32_t number, char *why, size_t len)
{
	struct composed *to = &e->copies[number];
	struct graph_part parts[CUDA_MAX_PARTS];
	int ret = parts_of(e, number, parts, to->slots);

	if (ret)
		return ret;
	if (e->form == BACKEND_BRANCHES)
		return graph_branches(&c->be->dev, parts, e->n, &to->exec, why, len);
	return side_by_side(c, e, parts, &to->exec, why, len);
}

/* Nothing but kernels, which the compilers may take their time for. */
static bool prepare(struct compose *c, struct entry *e)
{
	struct graph_part parts[CUDA_MAX_PARTS];
	struct slot *slots[CUDA_MAX_PARTS];

	return !parts_of(e, 0, parts, slots) && !want(c, e, parts);
}

static bool make(struct compose *c, struct entry *e)
{
	char why[512] = "";

	for (uint32_t i = 0; i < e->n_kernels; i++)
		if (!atomic_load(&e->kernels[i]->code))
			return false;	/* it could not be compiled */
	while (e->n_copies < COPIES && !make_copy(c, e, e->n_copies, why, sizeof(why)))
		e->n_copies++;
	if (!e->n_copies)
		tell(c, e->form, why);
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
	e->wanted = false;
	e->n_kernels = e->n_copies = e->n = e->asked = 0;
	memset(e->copies, 0, sizeof(e->copies));
}

/* What comes next for one that is queued. */
enum turn { WAIT, WANT, MAKE, APART };

static enum turn turn_of(const struct entry *e, uint32_t compiling)
{
	if (atomic_load(&e->state) == TAKEN_APART || e->cancelled)
		return APART;
	if (e->form == BACKEND_BRANCHES)
		return MAKE;
	if (!e->wanted)
		return compiling < AT_ONCE ? WANT : WAIT;
	return is_compiled(e) ? MAKE : WAIT;
}

/* Under the lock: the first whose turn it is, taken out of the queue. */
static struct entry *pick(struct compose *c, enum turn *turn)
{
	uint32_t compiling = 0;

	for (struct entry *e = c->first; e; e = e->next)
		compiling += e->wanted;
	for (struct entry **at = &c->first; *at; at = &(*at)->next) {
		struct entry *e = *at;

		*turn = turn_of(e, compiling);
		if (*turn == WAIT)
			continue;
		*at = e->next;
		if (!*at)
			c->end = at;
		return e;
	}
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

/* Under the lock, given up while the driver works. */
static void serve_entry(struct compose *c, struct entry *e, enum turn turn)
{
	bool good = false, apart = turn == APART;

	e->wanted |= turn == WANT;
	pthread_mutex_unlock(&c->lock);
	if (apart)
		take_apart(c, e);
	else if (turn == WANT)
		good = prepare(c, e);
	else
		good = make(c, e);
	pthread_mutex_lock(&c->lock);
	if (turn == WANT && good) {
		queue(c, e, MADE);	/* till its kernels are compiled */
		return;
	}
	if (!apart && e->cancelled) {
		pthread_mutex_unlock(&c->lock);
		take_apart(c, e);
		pthread_mutex_lock(&c->lock);
		apart = true;
	}
	e->cancelled = false;
	atomic_store_explicit(&e->state, apart ? FREE : good ? READY : BAD, memory_order_release);
}

/* Under the lock: till there is more to do, or compilers may have done something. */
static void rest(struct compose *c)
{
	struct timespec t;

	if (!c->first) {
		pthread_cond_wait(&c->more, &c->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += LOOK_NS;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	pthread_cond_timedwait(&c->more, &c->lock, &t);
}

static void *serve(void *arg)
{
	struct compose *c = arg;
	enum turn turn;

	pthread_setname_np(pthread_self(), "braid-compose");
	gpu_enter(&c->be->dev);
	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		struct entry *e = pick(c, &turn);

		c->working = e;
		if (e)
			serve_entry(c, e, turn);
		else
			rest(c);
		c->working = false;
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
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
		if (!atomic_load(&e->parts[i].model->sets[TILES_COMPOSED].is_best))
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

bool compose_idle(struct compose *c)
{
	bool idle;

	pthread_mutex_lock(&c->lock);
	idle = !c->first && !c->working;
	pthread_mutex_unlock(&c->lock);
	return idle;
}

/* ---- life ---- */

int compose_new(struct backend *be, struct compose **out)
{
	struct compose *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (!c)
		return -ENOMEM;
	c->be = be;
	c->end = &c->first;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->more, &attr);
	pthread_condattr_destroy(&attr);
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
