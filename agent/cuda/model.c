// SPDX-License-Identifier: MIT
/*
 * Models: weights on the device, and slots, each memory for one launch with a
 * graph for every degree. See cuda.h.
 *
 * A model is the loader's until model_load() returns; then what is said to
 * change belongs to the caller, and the chores thread makes better graphs and
 * hands them over through slot.fresh. It goes when its caller and the last
 * chore have dropped it, in the chores thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cuda/cuda.h"
#include "agent/cuda/kernel_build.h"
#include "agent/program/program.h"

#define FIRST_SLOTS	4u	/* there when a model is loaded, the others are made while it serves */
#define FULL_SLOTS	8u	/* run every degree */
#define SHARED_SLOTS	2u	/* for graphs of several models */
#define ALONE_SLOTS	CROWD	/* with graphs for who is alone: no more are */
#define MEMORY_PART	16u	/* of the device, for one model's slots */
#define MIN_SLOTS	2u	/* whatever that part is */

static const uint32_t all_degrees[] = { 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64 };

static uint64_t up(uint64_t n)
{
	return (n + CUDA_ALIGN - 1) / CUDA_ALIGN * CUDA_ALIGN;
}

static void set_degrees(struct backend_model *m, uint32_t max)
{
	const uint32_t n = sizeof(all_degrees) / sizeof(all_degrees[0]);

	max = max < m->sets[0].plan->max_degree ? max : m->sets[0].plan->max_degree;
	for (uint32_t i = 0; i < n && all_degrees[i] <= max; i++)
		m->degrees[m->n_degrees++] = all_degrees[i];
	m->max_degree = m->degrees[m->n_degrees - 1];
}

int model_degree(const struct backend_model *m, uint32_t degree)
{
	for (uint32_t i = 0; i < m->n_degrees; i++)
		if (m->degrees[i] == degree)
			return i;
	return -1;
}

static void describe(struct backend_model *m, const struct program *p)
{
	uint64_t at = 0;

	m->n_inputs = p->n_inputs;
	m->n_io = p->n_inputs + p->n_outputs;
	for (uint32_t i = 0; i < m->n_io; i++) {
		const struct prog_io *io = i < p->n_inputs ? &p->inputs[i] :
							     &p->outputs[i - p->n_inputs];
		const struct prog_tensor *t = &p->tensors[io->tensor];
		uint64_t size = prog_type_size(t->type);

		m->io[i] = (struct io_desc){ t->elems * size, at, size };
		at += up(m->io[i].bytes);
		if (i + 1 == p->n_inputs)
			m->stage_row = at;
	}
	m->bounce_row = at;
}

/* ---- kernels ---- */

static int get_kernels(struct backend_model *m, struct tile_plan *set, char *why, size_t len)
{
	const struct gpu_plan *plan = set->plan;
	int ret = 0;

	set->kernels = calloc(plan->n_kernels + 1, sizeof(struct kernel *));
	if (!set->kernels)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->n_kernels && !ret; i++)
		ret = kernels_get(m->be->kernels, &plan->kernels[i], &set->kernels[i], why, len);
	return ret;
}

static void put_kernels(struct backend_model *m, struct tile_plan *set)
{
	for (uint32_t i = 0; set->kernels && i < set->plan->n_kernels; i++)
		kernels_put(m->be->kernels, set->kernels[i]);
	free(set->kernels);
	set->kernels = NULL;
}

static void better_kernels(struct backend_model *m)
{
	for (struct tile_plan *set = m->sets; set < m->sets + TILES; set++)
		for (uint32_t i = 0; set->kernels && i < set->plan->n_kernels; i++)
			if (!atomic_load(&set->kernels[i]->best))
				kernels_better(m->be->kernels, set->kernels[i]);
}

static bool is_better(const struct tile_plan *set)
{
	for (uint32_t i = 0; i < set->plan->n_kernels; i++)
		if (!atomic_load(&set->kernels[i]->best))
			return false;
	return true;
}

/* ---- slots ---- */

static uint32_t slot_degree(const struct backend_model *m, uint32_t number)
{
	if (number < FULL_SLOTS || number >= m->n_plain || m->max_degree < LATER_DEGREE)
		return m->max_degree;
	return LATER_DEGREE;
}

static uint64_t scratch_bytes(const struct backend_model *m, enum tiles tiles, uint32_t degree)
{
	const struct gpu_plan *plan = m->sets[tiles].plan;

	return plan ? up(gpu_plan_scratch(plan, degree, NULL)) : 0;
}

static uint64_t arena_bytes(const struct backend_model *m, uint32_t degree)
{
	uint64_t most = 0;

	for (int t = 0; t < TILES; t++)
		if (m->sets[t].plan && m->sets[t].plan->arena_bytes > most)
			most = m->sets[t].plan->arena_bytes;
	return up(degree * most);
}

static uint64_t slot_bytes(const struct backend_model *m, uint32_t degree)
{
	return arena_bytes(m, degree) + scratch_bytes(m, TILES_ALONE, degree) +
	       scratch_bytes(m, TILES_CROWD, degree) + up(degree * m->stage_row) + CUDA_ALIGN;
}

static void slot_free(struct backend_model *m, struct slot *s)
{
	const struct device *d = &m->be->dev;

	for (uint32_t i = 0; i < TILES * GPU_MAX_DEGREES; i++) {
		exec_free(d, s->exec[i / GPU_MAX_DEGREES][i % GPU_MAX_DEGREES]);
		exec_free(d, atomic_load(&s->fresh[i / GPU_MAX_DEGREES][i % GPU_MAX_DEGREES]));
	}
	if (s->memory)
		d->cu.mem_free(s->memory);
	pinned_free(d, &s->io);
	memset(s, 0, sizeof(*s));
}

struct graph_part model_part(const struct backend_model *m, const struct slot *s,
			     enum tiles tiles, uint32_t degree)
{
	const struct tile_plan *set = &m->sets[m->sets[tiles].plan ? tiles : TILES_ALONE];

	return (struct graph_part){
		.plan = set->plan, .kernels = set->kernels, .degree = degree,
		.at = { set->weights, s->arena, s->scratch[set - m->sets], s->io.at },
	};
}

static int slot_graph(const struct slot *s, enum tiles tiles, uint32_t degree, struct exec **e,
		      char *why, size_t len)
{
	struct graph_part part = model_part(s->model, s, tiles, degree);

	return graph_branches(&s->model->be->dev, &part, 1, e, why, len);
}

/* Has this slot a graph of this degree with these tiles? */
static bool has_graph(const struct slot *s, enum tiles tiles, uint32_t degree)
{
	const struct backend_model *m = s->model;

	if (s->number >= m->n_plain || degree > s->max_degree || !m->sets[tiles].kernels)
		return false;
	return tiles == TILES_CROWD || s->number < ALONE_SLOTS || !m->sets[TILES_CROWD].plan;
}

static int zero_scratch(const struct backend_model *m, struct slot *s, enum tiles tiles)
{
	uint64_t zero = 0;

	if (!m->sets[tiles].plan)
		return 0;
	gpu_plan_scratch(m->sets[tiles].plan, s->max_degree, &zero);
	return zero ? m->be->dev.cu.set_d32(s->scratch[tiles], 0, (zero + 3) / 4) : 0;
}

static int slot_memory(struct backend_model *m, struct slot *s, char *why, size_t len)
{
	const struct device *d = &m->be->dev;
	uint32_t rows = s->max_degree;
	uint64_t table = up((uint64_t)rows * m->n_io * sizeof(uint64_t));
	cu_result res;
	int ret;

	ret = gpu_alloc(d, slot_bytes(m, rows), &s->memory, why, len);
	if (ret)
		return ret;
	s->arena = up(s->memory);
	s->scratch[TILES_ALONE] = s->arena + arena_bytes(m, rows);
	s->scratch[TILES_CROWD] = s->scratch[TILES_ALONE] + scratch_bytes(m, TILES_ALONE, rows);
	s->stage = s->scratch[TILES_CROWD] + scratch_bytes(m, TILES_CROWD, rows);
	res = zero_scratch(m, s, TILES_ALONE);
	if (!res)
		res = zero_scratch(m, s, TILES_CROWD);
	if (res)
		return cu_fail(&d->cu, res, "scratch memory", why, len);
	ret = pinned_new(d, table, &s->io);
	if (ret) {
		snprintf(why, len, "out of memory that host and GPU share");
		return ret;
	}
	s->table = s->io.host;
	return 0;
}

static int slot_new(struct backend_model *m, uint32_t number, char *why, size_t len)
{
	struct slot *s = &m->slots[number];
	int ret;

	s->model = m;
	s->number = number;
	s->max_degree = slot_degree(m, number);
	ret = slot_memory(m, s, why, len);
	/* Slots of several models' graphs get theirs in compose.c. */
	for (uint32_t i = 0; i < TILES * m->n_degrees && !ret; i++) {
		enum tiles tiles = i / m->n_degrees;
		uint32_t k = i % m->n_degrees;

		if (has_graph(s, tiles, m->degrees[k]))
			ret = slot_graph(s, tiles, m->degrees[k], &s->exec[tiles][k], why, len);
	}
	return ret;
}

/* As many as there are lanes, as long as they do not take too much memory. */
static void plan_slots(struct backend_model *m)
{
	uint64_t room = m->be->dev.bytes / MEMORY_PART, bytes = 0;
	uint32_t most = m->be->lanes.n < CUDA_MAX_SLOTS - SHARED_SLOTS ? m->be->lanes.n :
			CUDA_MAX_SLOTS - SHARED_SLOTS;

	m->n_plain = most;
	for (uint32_t i = 0; i < most; i++) {
		bytes += slot_bytes(m, slot_degree(m, i));
		if (bytes > room && i >= MIN_SLOTS) {
			m->n_plain = i;
			break;
		}
	}
	bytes += SHARED_SLOTS * slot_bytes(m, m->max_degree);
	m->n_slots = m->n_plain + (bytes > room ? 0 : SHARED_SLOTS);
}

void model_grown(struct backend_model *m)
{
	uint32_t made = atomic_load_explicit(&m->n_made, memory_order_acquire);

	while (m->n_taken < made) {
		struct slot *s = &m->slots[m->n_taken++];

		s->next_free = m->free;
		m->free = s;
		m->n_free++;
		m->n_full += s->max_degree == m->max_degree;
	}
}

/* The caller takes it at the next launch; one that it has not taken is replaced. */
static void hand_over(struct backend_model *m, struct slot *s, enum tiles tiles, uint32_t i)
{
	struct exec *e = NULL;

	if (slot_graph(s, tiles, m->degrees[i], &e, NULL, 0))
		return;
	exec_free(&m->be->dev, atomic_exchange(&s->fresh[tiles][i], e));
}

static void hand_over_all(struct backend_model *m, enum tiles tiles)
{
	for (uint32_t n = 0; n < atomic_load(&m->n_made); n++)
		for (uint32_t i = 0; i < m->n_degrees && !atomic_load(&m->dead); i++)
			if (has_graph(&m->slots[n], tiles, m->degrees[i]))
				hand_over(m, &m->slots[n], tiles, i);
}

/* Launches in a crowd have had the other tiles so far. */
static int grow_crowd(struct backend_model *m)
{
	struct tile_plan *set = &m->sets[TILES_CROWD];
	char why[512] = "";
	int ret = get_kernels(m, set, why, sizeof(why));

	if (ret) {
		backend_say(m->be, "no kernels for launches in a crowd: %s", why);
		put_kernels(m, set);
		return ret;
	}
	set->is_best = is_better(set);
	hand_over_all(m, TILES_CROWD);
	better_kernels(m);
	return 0;
}

/*
 * One more slot: what a large model's lanes take to make, with a graph for each degree,
 * is longer than all the rest of loading it. Where memory ends, so does this.
 */
static void grow(struct chore *c)
{
	struct backend_model *m = (struct backend_model *)((char *)c - offsetof(struct backend_model, grow));
	const uint32_t i = atomic_load(&m->n_made);
	int ret = atomic_load(&m->dead) || atomic_load(&m->be->closing) ? -ECANCELED : 0;

	if (!ret && m->sets[TILES_CROWD].plan && !m->sets[TILES_CROWD].kernels)
		ret = grow_crowd(m);
	if (!ret && i < m->n_plain)
		ret = slot_new(m, i, NULL, 0);
	/* Zeros went through the default stream, lanes do not wait for it. */
	if (!ret && m->be->dev.cu.stream_synchronize(NULL))
		ret = -EIO;
	if (ret || i == m->n_plain) {
		if (ret && i < m->n_plain)
			slot_free(m, &m->slots[i]);
		model_drop(m);
		return;
	}
	atomic_store_explicit(&m->n_made, i + 1, memory_order_release);
	if (i + 1 < m->n_plain)
		chores_put(m->be->chores, &m->grow);
	else
		model_drop(m);
}

/* Those from @from on; fewer than planned where memory ends, which is an error for the first. */
static int make_some(struct backend_model *m, uint32_t from, uint32_t to, uint32_t *made, char *why,
		     size_t len)
{
	int ret;

	for (*made = from; *made < to; (*made)++) {
		ret = slot_new(m, *made, why, len);
		if (!ret)
			continue;
		slot_free(m, &m->slots[*made]);
		return ret == -ENOMEM && *made ? 0 : ret;
	}
	return 0;
}

static int make_slots(struct backend_model *m, char *why, size_t len)
{
	uint32_t first, made;
	int ret;

	plan_slots(m);
	first = m->n_plain < FIRST_SLOTS ? m->n_plain : FIRST_SLOTS;
	ret = make_some(m, 0, first, &made, why, len);
	if (ret)
		return ret;
	atomic_store(&m->n_made, made);
	if (made < first)
		m->n_plain = m->n_slots = made;
	ret = make_some(m, m->n_plain, m->n_slots, &m->n_slots, why, len);
	model_grown(m);
	return ret;
}

static int make_bounce(struct backend_model *m)
{
	uint32_t rows = 2 * m->max_degree < 8 ? 8 : 2 * m->max_degree;
	int ret;

	m->bounce_free = calloc(rows, sizeof(*m->bounce_free));
	if (!m->bounce_free)
		return -ENOMEM;
	ret = pinned_new(&m->be->dev, rows * m->bounce_row + CUDA_ALIGN, &m->bounce);
	if (ret)
		return ret;
	while (m->n_bounce < rows) {
		m->bounce_free[m->n_bounce] = m->n_bounce;
		m->n_bounce++;
	}
	return 0;
}

/* ---- life ---- */

static void destroy(struct chore *c)
{
	struct backend_model *m = (struct backend_model *)c, **at;
	struct backend *be = m->be;

	pthread_mutex_lock(&be->lock);
	for (at = &be->models; *at && *at != m; at = &(*at)->next)
		;
	if (*at)
		*at = m->next;
	pthread_mutex_unlock(&be->lock);
	for (uint32_t i = 0; i < CUDA_MAX_SLOTS; i++)
		slot_free(m, &m->slots[i]);
	for (int t = 0; t < TILES; t++) {
		struct tile_plan *set = &m->sets[t];

		put_kernels(m, set);
		if (set->weights && (!t || set->weights != m->sets[0].weights))
			be->dev.cu.mem_free(set->weights);
	}
	pinned_free(&be->dev, &m->bounce);
	free(m->bounce_free);
	for (int t = 0; t < TILES; t++)
		gpu_plan_free(m->sets[t].plan);
	free(m);
}

void model_use(struct backend_model *m)
{
	atomic_fetch_add(&m->uses, 1);
}

void model_drop(struct backend_model *m)
{
	if (atomic_fetch_sub(&m->uses, 1) > 1)
		return;
	m->chore = (struct chore){ .run = destroy };
	chores_put(m->be->chores, &m->chore);
}

/* Weights that are packed alike are there once. */
static int upload(struct backend_model *m, struct tile_plan *set, char *why, size_t len)
{
	const struct gpu_plan *plan = set->plan, *first = m->sets[0].plan;
	const struct device *d = &m->be->dev;
	cu_result res = 0;
	int ret;

	if (plan != first && plan->image_bytes == first->image_bytes &&
	    (plan->image == first->image ||
	     !memcmp(plan->image, first->image, plan->image_bytes))) {
		set->weights = m->sets[0].weights;
		return 0;
	}
	ret = gpu_alloc(d, plan->image_bytes, &set->weights, why, len);
	if (ret)
		return ret;
	if (plan->image_bytes)
		res = d->cu.copy_to(set->weights, plan->image, plan->image_bytes);
	return res ? cu_fail(&d->cu, res, "weights", why, len) : 0;
}

/* A plan that is made, maybe beside another one, from weights in the cache if they are there. */
struct planning {
	pthread_t thread;
	const struct program *p;
	struct gpu_options opt;
	struct gpu_plan **plan;
	uint8_t key[CACHE_KEY_BYTES], of[CACHE_KEY_BYTES];
	bool keyed, kept;	/* there is a key; weights of it are in the cache */
	char why[256];
	int ret;
};

static void *plan_one(void *arg)
{
	struct planning *pl = arg;

	pl->ret = gpu_plan_make(pl->p, &pl->opt, pl->plan, pl->why, sizeof(pl->why));
	if (pl->ret == -ESTALE) {
		pl->opt.image = NULL;
		pl->kept = false;
		pl->ret = gpu_plan_make(pl->p, &pl->opt, pl->plan, pl->why, sizeof(pl->why));
	}
	return NULL;
}

static void *plan_beside(void *arg)
{
	pthread_setname_np(pthread_self(), "braid-plan");
	return plan_one(arg);
}

static void plan_for(struct backend_model *m, struct planning *pl, enum tiles tiles,
		     const struct program *p, bool fp32)
{
	const struct device *d = &m->be->dev;

	*pl = (struct planning){ .p = p, .plan = &m->sets[tiles].plan };
	kernel_options(&pl->opt, d->sm, d->n_sms, fp32, tiles == TILES_CROWD, m->be->tiles[tiles]);
	pl->keyed = image_key(p, &pl->opt, pl->key);
}

/* Both kinds of tiles often have the same weights: the second then refers to the first. */
static void find_image(struct backend_model *m, struct planning *pl, enum tiles tiles,
		       const struct planning *first)
{
	struct cache_blob *blob = &m->sets[tiles].image;
	int ret = pl->keyed ? image_get(m->be->cache, pl->key, pl->of, blob) : -ENOENT;

	if (!ret) {
		pl->opt.image = blob->data;
		pl->opt.image_bytes = blob->bytes;
	} else if (ret > 0 && tiles && first->kept && !memcmp(pl->of, first->key, CACHE_KEY_BYTES)) {
		pl->opt.image = first->opt.image;
		pl->opt.image_bytes = first->opt.image_bytes;
	}
	pl->kept = pl->opt.image;
}

static void keep_image(struct backend_model *m, struct planning *pl, const struct planning *first)
{
	const struct gpu_plan *plan = *pl->plan, *other = *first->plan;

	if (!pl->keyed || pl->kept)
		return;
	if (pl != first && plan->image_bytes == other->image_bytes &&
	    !memcmp(plan->image, other->image, plan->image_bytes))
		cache_weights_put(m->be->cache, pl->key, first->key, CACHE_KEY_BYTES);
	else
		image_put(m->be->cache, pl->key, plan);
}

/*
 * The 32-bit mode is a reference: one kind of tiles is enough for that. Otherwise both
 * kinds pack all weights, which takes longest of all when a model is loaded first.
 */
static int make_plans(struct backend_model *m, const struct program *p, bool fp32, char *why,
		      size_t len)
{
	const int n = fp32 ? 1 : TILES;
	struct planning pl[TILES];
	bool beside = false;

	for (int t = 0; t < n; t++) {
		plan_for(m, &pl[t], t, p, fp32);
		find_image(m, &pl[t], t, &pl[0]);
	}
	if (n > 1)
		beside = !pthread_create(&pl[1].thread, NULL, plan_beside, &pl[1]);
	plan_one(&pl[0]);
	if (beside)
		pthread_join(pl[1].thread, NULL);
	else if (n > 1)
		plan_one(&pl[1]);
	for (int t = 0; t < n; t++) {
		if (!pl[t].ret)
			continue;
		snprintf(why, len, "%s", pl[t].why);
		return pl[t].ret;
	}
	for (int t = 0; t < n; t++) {
		atomic_fetch_add(&m->be->from_cache, pl[t].kept);
		keep_image(m, &pl[t], &pl[0]);
	}
	return 0;
}

/* They are on the device: what came from the cache is needed no more. */
static void release_images(struct backend_model *m)
{
	for (int t = 0; t < TILES; t++) {
		struct gpu_plan *plan = m->sets[t].plan;

		for (int from = 0; plan && from < TILES; from++)
			if (plan->image && plan->image == m->sets[from].image.data)
				plan->image = NULL;
	}
	for (int t = 0; t < TILES; t++)
		cache_release(&m->sets[t].image);
}

/* The time since @from, which becomes now. */
static uint64_t lap(uint64_t *from)
{
	uint64_t now = backend_now(), ns = now - *from;

	*from = now;
	return ns;
}

/*
 * Do kernels for one kind of tiles suffice to begin with? The others would take as long
 * again; but not if they might have to be compiled, as the chores thread would wait.
 */
static bool can_grow(const struct backend_model *m)
{
	return !m->be->dev.rt.lib || is_better(&m->sets[TILES_ALONE]);
}

/* What the device needs of a model; @reason is of memory. */
static int make(struct backend_model *m, const struct program *p, struct backend_took *took,
		char *why, size_t len, char *reason, size_t reason_len)
{
	uint64_t from = backend_now();
	int ret = 0;

	set_degrees(m, m->be->max_degree);
	describe(m, p);
	for (int t = 0; t < TILES && !ret; t++)
		if (m->sets[t].plan && !(t == TILES_CROWD && can_grow(m)))
			ret = get_kernels(m, &m->sets[t], why, len);
	took->kernels = lap(&from);
	for (int t = 0; t < TILES && !ret; t++) {
		if (!m->sets[t].plan)
			continue;
		m->sets[t].is_best = m->sets[t].kernels && is_better(&m->sets[t]);
		ret = upload(m, &m->sets[t], reason, reason_len);
	}
	took->weights = lap(&from);
	if (!ret)
		ret = make_slots(m, reason, reason_len);
	if (!ret)
		ret = make_bounce(m);
	took->lanes = lap(&from);
	return ret;
}

/* In 32 bits? As is asked for, or as suits the model. */
static bool is_fp32(const struct program *p, const struct backend_model_config *cfg)
{
	if (cfg && cfg->precision)
		return cfg->precision == 32;
	return gpu_mode_auto(p) == GPU_FP32;
}

int model_load(struct backend *be, const struct program *p, const struct backend_model_config *cfg,
	       struct backend_model **out, char *why, size_t len)
{
	struct backend_model *m = calloc(1, sizeof(*m));
	struct backend_took unasked, *took = cfg && cfg->took ? cfg->took : &unasked;
	uint64_t from = backend_now();
	char reason[384] = "";
	cu_result res;
	bool fp32;
	int ret;

	if (!m)
		return -ENOMEM;
	gpu_enter(&be->dev);
	m->be = be;
	atomic_store(&m->uses, 1);
	fp32 = is_fp32(p, cfg);
	took->precision = fp32 ? 32 : 16;
	ret = make_plans(m, p, fp32, why, len);
	took->plan = lap(&from);
	if (!ret)
		ret = make(m, p, took, why, len, reason, sizeof(reason));
	/* Copies and zeros went through the default stream, lanes do not wait for it. */
	res = ret ? 0 : be->dev.cu.stream_synchronize(NULL);
	release_images(m);
	if (res)
		ret = cu_fail(&be->dev.cu, res, "loading", reason, sizeof(reason));
	if (ret) {
		if (*reason)
			snprintf(why, len,
				 "%s (weights take %llu MiB, a lane of %u requests %llu MiB)",
				 reason, (unsigned long long)m->sets[0].plan->image_bytes >> 20,
				 m->max_degree,
				 (unsigned long long)slot_bytes(m, m->max_degree) >> 20);
		model_drop(m);
		return ret;
	}
	pthread_mutex_lock(&be->lock);
	m->id = ++be->last_model;
	m->next = be->models;
	be->models = m;
	pthread_mutex_unlock(&be->lock);
	better_kernels(m);
	if (atomic_load(&m->n_made) < m->n_plain ||
	    (m->sets[TILES_CROWD].plan && !m->sets[TILES_CROWD].kernels)) {
		model_use(m);
		m->grow = (struct chore){ .run = grow };
		chores_put(be->chores, &m->grow);
	}
	*out = m;
	return 0;
}

/* ---- better graphs ---- */

static void refresh(struct backend_model *m, enum tiles tiles)
{
	struct tile_plan *set = &m->sets[tiles];

	if (!set->kernels || set->is_best || !is_better(set))
		return;
	set->is_best = true;
	hand_over_all(m, tiles);
}

/* The next model after @id, kept from going. */
static struct backend_model *next_model(struct backend *be, uint64_t id)
{
	struct backend_model *m, *found = NULL;

	pthread_mutex_lock(&be->lock);
	for (m = be->models; m; m = m->next)
		if (m->id > id && !atomic_load(&m->dead) && (!found || m->id < found->id))
			found = m;
	if (found)
		model_use(found);
	pthread_mutex_unlock(&be->lock);
	return found;
}

void models_better(struct backend *be)
{
	struct backend_model *m;
	uint64_t id = 0;

	while ((m = next_model(be, id))) {
		id = m->id;
		refresh(m, TILES_ALONE);
		refresh(m, TILES_CROWD);
		model_drop(m);
	}
}

/* ---- choices ---- */

#define TRIES		8u	/* of each way, before either is preferred */
#define EXPLORE		64u	/* each so often the other one again */

uint32_t choice_pick(struct choice *c)
{
	uint32_t best;

	c->tick++;
	if (c->n[0] < TRIES || c->n[1] < TRIES)
		return c->n[1] < c->n[0];
	best = c->cost[1] < c->cost[0];
	return c->tick % EXPLORE ? best : !best;
}

void choice_learn(struct choice *c, uint32_t way, float cost)
{
	float share = c->n[way] < 16 ? 1.0f / (c->n[way] + 1) : 1.0f / 16;

	c->cost[way] += (cost - c->cost[way]) * share;
	c->n[way]++;
}
