// SPDX-License-Identifier: MIT
/*
 * Launches in flight: see cuda.h. All of it is the caller's thread's, but for
 * lanes_ended(), which only looks at flags.
 *
 * A launch takes a free slot of its model and a free stream, writes the
 * addresses of the tenants' tensors into the slot's table, copies what is to
 * be copied, launches the graph of its degree and has the stream set a flag
 * behind it. Nothing is allocated, logged or waited for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/cuda/cuda.h"

#define CHECK_NS	2000000ull	/* how often the driver is asked for faults */
#define DONE		1u
#define FLAG_BYTES	128u
#define COPY_BYTES	16384u		/* below, copying an input is never worth a call */

enum { IN_PLACE, COPIED };

/* ---- device time ---- */

/*
 * What a launch has of a device that it shares: in each interval its n-th
 * part. Summed over all launches that is exactly the time the device worked.
 */
static void clock_move(struct lanes *l, uint64_t now)
{
	if (l->in_flight && now > l->clock_ns)
		l->clock += (now - l->clock_ns) / l->in_flight;
	l->clock_ns = now;
}

/* ---- where tensors are ---- */

static cu_ptr address(const struct backend_io *io, uint64_t now)
{
	cu_ptr at = io->offset % CUDA_IO_ALIGN ? 0 : buffer_at(io->buf, now);

	return at ? at + io->offset : 0;
}

static uint8_t *bounce(const struct backend_model *m, uint32_t row, uint32_t i)
{
	return (uint8_t *)m->bounce.host + row * m->bounce_row + m->io[i].offset;
}

static bool reachable(const struct backend_model *m, const struct backend_io *io, uint64_t now)
{
	for (uint32_t i = 0; i < m->n_io; i++)
		if (!address(&io[i], now))
			return false;
	return true;
}

/* Rows for requests that the device can't reach; false: not enough are free. */
static bool take_rows(struct flight *f, uint32_t part, const struct backend_group *g, uint64_t now)
{
	struct backend_model *m = g->model;
	uint32_t need = 0;

	for (uint32_t r = 0; r < g->degree; r++) {
		f->row[part][r] = reachable(m, &g->io[r * m->n_io], now) ? -1 : 0;
		need += !f->row[part][r];
	}
	if (need > m->n_bounce)
		return false;
	for (uint32_t r = 0; r < g->degree; r++)
		if (!f->row[part][r])
			f->row[part][r] = m->bounce_free[--m->n_bounce];
	return true;
}

static void give_rows(struct flight *f, uint32_t part, const struct backend_group *g)
{
	struct backend_model *m = g->model;

	for (uint32_t r = 0; r < g->degree; r++)
		if (f->row[part][r] >= 0)
			m->bounce_free[m->n_bounce++] = f->row[part][r];
}

/* One tensor of one request: its address for the device; all of a request have a row, or none. */
static cu_result place(struct backend *be, struct flight *f, uint32_t part,
		       const struct backend_group *g, uint32_t r, uint32_t i, cu_ptr *at)
{
	const struct backend_io *io = &g->io[r * g->model->n_io + i];
	const struct backend_model *m = g->model;
	const struct slot *s = f->slots[part];
	int row = f->row[part][r];
	const uint8_t *host = io->buf->base + io->offset;

	if (row < 0) {
		*at = address(io, f->start_ns);
	} else {
		*at = m->bounce.at + row * m->bounce_row + m->io[i].offset;
		if (i < m->n_inputs) {
			memcpy(bounce(m, row, i), host, m->io[i].bytes);
			host = bounce(m, row, i);
		}
	}
	if (i >= m->n_inputs || !f->staged || m->io[i].bytes < COPY_BYTES)
		return 0;
	*at = s->stage + r * m->stage_row + m->io[i].offset;
	return be->dev.cu.copy_to_async(*at, host, m->io[i].bytes, f->stream);
}

static cu_result fill_table(struct backend *be, struct flight *f, uint32_t part,
			    const struct backend_group *g)
{
	const struct backend_model *m = g->model;
	uint64_t *row = f->slots[part]->table;
	cu_result res = 0;

	for (uint32_t r = 0; r < g->degree; r++, row += m->n_io)
		for (uint32_t i = 0; i < m->n_io && !res; i++)
			res = place(be, f, part, g, r, i, &row[i]);
	return res;
}

/* ---- start ---- */

static struct exec *graph_of(struct backend *be, struct slot *s, enum tiles tiles, uint32_t degree)
{
	struct exec **have = &s->exec[tiles][degree], *fresh;

	if (atomic_load_explicit(&s->fresh[tiles][degree], memory_order_relaxed)) {
		fresh = atomic_exchange(&s->fresh[tiles][degree], NULL);
		exec_retire(be, *have);
		*have = fresh;
	}
	return *have;
}

/*
 * A free slot that has the graph. In a crowd the last ones first: they run small
 * groups only, and have no other tiles.
 */
static struct slot **find_slot(struct backend_model *m, enum tiles tiles, uint32_t degree)
{
	struct slot **at, **best = NULL;

	for (at = &m->free; *at; at = &(*at)->next_free)
		if (((*at)->exec[tiles][degree] || atomic_load(&(*at)->fresh[tiles][degree])) &&
		    (!best || (*at)->number > (*best)->number))
			best = at;
	return best;
}

/* Does a launch that finds so many others in flight run as one among several? */
static bool is_crowd(const struct backend *be, uint32_t others)
{
	return others + be->beside + 1 >= be->crowd;
}

/* Who has the device almost to himself gets tiles for that, if there are any left. */
static struct slot **choose_slot(struct backend_model *m, uint32_t degree, bool crowd, enum tiles *tiles)
{
	struct slot **at;

	*tiles = crowd && m->sets[TILES_CROWD].plan ? TILES_CROWD : TILES_ALONE;
	at = find_slot(m, *tiles, degree);
	if (at || !m->sets[TILES_CROWD].plan)
		return at;
	*tiles = !*tiles;
	return find_slot(m, *tiles, degree);
}

/*
 * Blocks that read their inputs over the bus wait for it, and hold multiprocessors
 * meanwhile that others have work for. What that costs these is not in what the launch
 * itself took, so in a crowd that is no measure: on an H100, 32 requests of four
 * networks in flight, all copied were 1.13 times as many a second as by what launches
 * took, merged by fours 1.39 times.
 */
static bool is_copied(struct backend *be, struct backend_model *m, uint32_t degree, bool crowd)
{
	if (be->dev.integrated || m->stage_row < COPY_BYTES)
		return false;
	return crowd || choice_pick(&m->copy[degree]) == COPIED;
}

/* A window's copies run under the kernels of the one before it. */
static bool is_window_copied(const struct backend *be)
{
	return !be->dev.integrated && be->lanes.in_flight;
}

/* For tests: a stream that waits for what never comes, an address that is nobody's. */
static cu_result commit_sabotage(struct backend *be, struct flight *f,
				 enum backend_sabotage sabotage)
{
	struct slot *s = f->slots[0];

	if (sabotage == BACKEND_FAULT)
		s->table[0] = CUDA_IO_ALIGN;
	if (sabotage != BACKEND_HANG)
		return 0;
	return be->dev.cu.stream_wait(f->stream, be->lanes.never, DONE, CU_WAIT_EQUAL);
}

/* Atomic, as lanes_ended() looks at flags from another thread at any time. */
static void clear(struct flight *f)
{
	__atomic_store_n(f->flag, 0, __ATOMIC_RELAXED);
}

static cu_result start(struct backend *be, struct flight *f, struct exec *e,
		       enum backend_sabotage sabotage)
{
	const struct cu_api *cu = &be->dev.cu;
	cu_result res = 0;

	for (uint32_t p = 0; p < f->n_groups && !res; p++)
		res = fill_table(be, f, p, &f->groups[p]);
	if (!res && sabotage)
		res = commit_sabotage(be, f, sabotage);
	clear(f);
	/* Table and flag are in memory before the device is told to look. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!res)
		res = cu->graph_launch(e->graph, f->stream);
	if (!res && !be->lanes.by_query)
		res = cu->stream_write(f->stream, f->flag_at, DONE, CU_WRITE_PLAIN);
	return res;
}

static struct flight *flight_new(struct backend *be, struct backend_launch *launch,
				 struct backend_group *groups, uint32_t n)
{
	struct lanes *l = &be->lanes;
	struct flight *f = l->free;

	if (!f)
		return NULL;
	f->launch = launch;
	f->groups = groups;
	f->n_groups = n;
	f->composed = NULL;
	f->staged = false;
	f->start_ns = backend_now();
	return f;
}

/* Everything was found: from here on it runs, or the device is lost. */
static void fly(struct backend *be, struct flight *f, struct exec *e,
		enum backend_sabotage sabotage)
{
	struct lanes *l = &be->lanes;
	cu_result res;

	l->free = f->next;
	l->n_free--;
	clock_move(l, f->start_ns);
	f->v0 = l->clock;
	f->others = l->in_flight;
	atomic_store_explicit(&l->in_flight, f->others + 1, memory_order_relaxed);
	f->next = NULL;
	*l->end = f;
	l->end = &f->next;
	res = start(be, f, e, sabotage);
	if (res)
		backend_lost(be, "launching", res);
	reaper_wake(be);
}

static int launch_group(struct backend *be, struct backend_launch *launch,
			struct backend_group *g)
{
	struct backend_model *m = g->model;
	int degree = model_degree(m, g->degree);
	const bool crowd = is_crowd(be, be->lanes.in_flight);
	struct slot **at, *s;
	enum tiles tiles;
	struct flight *f;

	if (degree < 0)
		return -EINVAL;
	model_grown(m);
	at = choose_slot(m, degree, crowd, &tiles);
	f = at ? flight_new(be, launch, g, 1) : NULL;
	if (!f || !take_rows(f, 0, g, f->start_ns))
		return -EAGAIN;
	s = *at;
	*at = s->next_free;
	m->n_free--;
	m->n_full -= s->max_degree == m->max_degree;
	s->busy = true;
	f->slots[0] = s;
	f->tiles = tiles;
	f->staged = is_copied(be, m, degree, crowd);
	fly(be, f, graph_of(be, s, tiles, degree), launch->sabotage);
	return 0;
}

/* One graph for all groups; false: there is none, or it is busy. */
static bool launch_composed(struct backend *be, struct backend_launch *launch)
{
	struct compose_part parts[CUDA_MAX_PARTS];
	uint32_t order[CUDA_MAX_PARTS];
	struct composed *c;
	struct flight *f;
	uint32_t n = launch->n_groups, taken;

	if (n < 2 || n > CUDA_MAX_PARTS)
		return false;
	for (uint32_t i = 0; i < n; i++)
		parts[i] = (struct compose_part){ launch->groups[i].model,
						  launch->groups[i].degree };
	compose_sort(parts, order, n);
	c = compose_find(be->compose, launch->form, parts, n);
	if (!c || c->busy)
		return false;
	f = flight_new(be, launch, launch->groups, n);
	if (!f)
		return false;
	for (taken = 0; taken < n; taken++)
		if (!take_rows(f, taken, &launch->groups[taken], f->start_ns))
			break;
	if (taken < n) {
		while (taken--)
			give_rows(f, taken, &launch->groups[taken]);
		return false;
	}
	/* Slots are in the order of the parts, groups in that of the launch. */
	for (uint32_t i = 0; i < n; i++)
		f->slots[order[i]] = c->slots[i];
	c->busy = true;
	for (uint32_t i = 0; i < n; i++)
		c->slots[i]->busy = true;
	f->composed = c;
	f->tiles = TILES_COMPOSED;
	f->staged = is_window_copied(be);
	fly(be, f, c->exec, launch->sabotage);
	return true;
}

int lanes_launch(struct backend *be, struct backend_launch *launch)
{
	int ret = 0;

	if (!launch->started && launch->form != BACKEND_LANES && launch_composed(be, launch)) {
		launch->ran = launch->form;
		launch->started = launch->n_groups;
		return 0;
	}
	launch->ran = BACKEND_LANES;
	while (!ret && launch->started < launch->n_groups) {
		ret = launch_group(be, launch, &launch->groups[launch->started]);
		launch->started += !ret;
	}
	return ret;
}

/* ---- end ---- */

static bool has_ended(const struct backend *be, const struct flight *f)
{
	if (be->lanes.by_query)
		return be->dev.cu.stream_query(f->stream) == 0;
	return __atomic_load_n(f->flag, __ATOMIC_ACQUIRE) == DONE;
}

/* What the device could not write to its place. */
static void outputs_back(struct flight *f, uint32_t part)
{
	const struct backend_group *g = &f->groups[part];
	const struct backend_model *m = g->model;

	for (uint32_t r = 0; r < g->degree; r++) {
		if (f->row[part][r] < 0)
			continue;
		m->be->staged++;
		for (uint32_t i = m->n_inputs; i < m->n_io; i++) {
			const struct backend_io *io = &g->io[r * m->n_io + i];

			memcpy(io->buf->base + io->offset, bounce(m, f->row[part][r], i),
			       m->io[i].bytes);
		}
	}
}

static void learn(struct backend_model *m, const struct flight *f, const struct backend_group *g)
{
	int degree = model_degree(m, g->degree);
	float *alone = &m->alone_ns[degree];

	if (f->n_groups > 1)
		return;
	if (!is_crowd(m->be, f->others))
		choice_learn(&m->copy[degree], f->staged ? COPIED : IN_PLACE,
			     (float)g->device_ns / g->degree);
	*alone += ((float)g->device_ns - *alone) / (*alone ? 16 : 1);
}

/* A launch of several groups: each gets a part by what it takes by itself. */
static void share(struct flight *f, uint64_t device_ns)
{
	float sum = 0, part;

	for (uint32_t i = 0; i < f->n_groups; i++) {
		struct backend_group *g = &f->groups[i];

		part = g->model->alone_ns[model_degree(g->model, g->degree)];
		sum += part ? part : 1;
	}
	for (uint32_t i = 0; i < f->n_groups; i++) {
		struct backend_group *g = &f->groups[i];

		part = g->model->alone_ns[model_degree(g->model, g->degree)];
		g->device_ns = device_ns * ((part ? part : 1) / sum);
	}
}

static uint32_t land(struct backend *be, struct flight *f, uint64_t now,
		     struct backend_group **done)
{
	struct lanes *l = &be->lanes;

	clock_move(l, now);
	atomic_store_explicit(&l->in_flight, l->in_flight - 1, memory_order_relaxed);
	clear(f);
	share(f, l->clock - f->v0);
	for (uint32_t p = 0; p < f->n_groups; p++) {
		struct backend_group *g = &f->groups[p];
		struct slot *s = f->slots[p];

		outputs_back(f, p);
		give_rows(f, p, g);
		g->status = 0;
		g->start_ns = f->start_ns;
		g->end_ns = now;
		g->others = f->others;
		g->staged = f->staged && g->model->stage_row >= COPY_BYTES;
		g->crowd = f->tiles == TILES_CROWD;
		learn(g->model, f, g);
		s->busy = false;
		if (!f->composed) {
			s->next_free = g->model->free;
			g->model->free = s;
			g->model->n_free++;
			g->model->n_full += s->max_degree == g->model->max_degree;
		}
		done[p] = g;
	}
	if (f->composed)
		f->composed->busy = false;
	f->next = l->free;
	l->free = f;
	l->n_free++;
	return f->n_groups;
}

/* A fault sets no flag: ask now and then. */
static void check(struct backend *be, uint64_t now)
{
	struct lanes *l = &be->lanes;
	cu_result res;

	if (!l->oldest || now - l->checked_ns < CHECK_NS)
		return;
	l->checked_ns = now;
	res = be->dev.cu.stream_query(l->oldest->stream);
	if (res && res != CU_NOT_READY)
		backend_lost(be, "running", res);
}

unsigned int lanes_reap(struct backend *be, struct backend_group **done, unsigned int max)
{
	struct lanes *l = &be->lanes;
	struct flight **at = &l->oldest;
	unsigned int n = 0;
	uint64_t now = 0;

	while (*at && n + (*at)->n_groups <= max) {
		struct flight *f = *at;

		if (!has_ended(be, f)) {
			at = &f->next;
			continue;
		}
		if (!now)
			now = backend_now();
		*at = f->next;
		if (!*at)
			l->end = at;
		n += land(be, f, now, &done[n]);
	}
	if (!n)
		check(be, backend_now());
	return n;
}

bool lanes_ended(struct backend *be)
{
	struct lanes *l = &be->lanes;

	for (uint32_t i = 0; i < l->n; i++)
		if (__atomic_load_n(l->flights[i].flag, __ATOMIC_RELAXED) == DONE)
			return true;
	return false;
}

/* ---- life ---- */

/* Some drivers have no flags to set by a stream. */
static void try_flags(struct backend *be)
{
	struct flight *f = &be->lanes.flights[0];
	const struct cu_api *cu = &be->dev.cu;

	be->lanes.by_query = cu->stream_write(f->stream, f->flag_at, DONE, CU_WRITE_PLAIN) ||
			     cu->stream_synchronize(f->stream) || *f->flag != DONE;
	clear(f);
}

/* A flag has a cache line of its own, so that looking at it disturbs no other. */
int lanes_new(struct backend *be, uint32_t n, char *why, size_t len)
{
	struct lanes *l = &be->lanes;
	cu_result res = 0;

	if (pinned_new(&be->dev, (n + 1) * FLAG_BYTES, &l->flags)) {
		snprintf(why, len, "out of memory that host and GPU share");
		return -ENOMEM;
	}
	l->never = l->flags.at + n * FLAG_BYTES;
	l->end = &l->oldest;
	while (l->n < n) {
		struct flight *f = &l->flights[l->n];

		res = be->dev.cu.stream_new(&f->stream, CU_STREAM_NON_BLOCKING,
					    be->dev.low_priority);
		if (res)
			return cu_fail(&be->dev.cu, res, "a stream", why, len);
		f->flag = (uint32_t *)((uint8_t *)l->flags.host + l->n * FLAG_BYTES);
		f->flag_at = l->flags.at + l->n * FLAG_BYTES;
		f->next = l->free;
		l->free = f;
		l->n++;
	}
	l->n_free = n;
	l->limit = l->default_limit = n;
	try_flags(be);
	return 0;
}

void lanes_free(struct backend *be)
{
	for (uint32_t i = 0; i < be->lanes.n; i++)
		be->dev.cu.stream_free(be->lanes.flights[i].stream);
	pinned_free(&be->dev, &be->lanes.flags);
}
