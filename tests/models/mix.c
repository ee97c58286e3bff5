// SPDX-License-Identifier: MIT
/*
 * Any mix of requests, merged and fused in any order, gives each request what
 * it gets alone.
 *
 * Every model has SLOTS requests, each with inputs of its own and an expected
 * answer, computed alone. Then seeded random launches, several at once: random
 * groups of random models, each merging random requests. Before that, the
 * expected answers are shown to differ by ten times the tolerance, and after
 * it a launch with two requests' outputs swapped must be noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/backend/backend.h"
#include "agent/program/load.h"
#include "tests/tap.h"
#include "tools/zoo/draw.h"
#include "tools/zoo/models.h"
#include "tools/zoo/prng.h"

#define TOLERANCE	1e-4
#define SLOTS		12
#define MAX_DEGREE	8
#define MAX_GROUPS	5
#define IN_FLIGHT	3
#define MAX_IO		8
#define LAUNCHES	150

/* A loaded model and its requests' memory: slot s at s * stride, inputs first. */
struct model {
	const char *name;
	struct program *prog;
	struct backend_model *bm;
	struct backend_buf *buf;
	uint32_t n_io;
	uint64_t offset[MAX_IO], bytes[MAX_IO], stride;
	uint8_t *map;
	float *want;		/* [SLOTS][floats of all outputs] */
	size_t floats;
	bool busy[SLOTS];
};

/* One group in flight and the slots that it merges. */
struct flight {
	struct backend_launch launch;
	struct backend_group groups[MAX_GROUPS];
	struct backend_io io[MAX_GROUPS][MAX_DEGREE * MAX_IO];
	uint32_t slots[MAX_GROUPS][MAX_DEGREE];
	struct model *models[MAX_GROUPS];
	uint32_t pending;
};

static const struct backend_ops *const ops = &cpu_backend_ops;
static struct backend *be;

static const struct { const char *name; int size; } used[] = {
	{ "tiny_cnn", 0 }, { "tiny_mlp", 0 }, { "tiny_bert", 0 }, { "lstm", 0 }, { "gru", 0 },
	{ "null", 0 }, { "squeezenet1_1", 64 }, { "mobilenet_v2", 64 }, { "efficientnet_b0", 64 },
	{ "resnet50", 64 }, { "bert_6x384", 0 },
};

#define MODELS	(sizeof(used) / sizeof(used[0]))

static struct model models[MODELS];

/* The stream of random decisions. */
static uint32_t choose(uint32_t bound)
{
	static uint64_t n;

	return prng_below(prng_at(20240, n++), bound);
}

static int load(struct model *m, const char *name, int size)
{
	const struct zoo_options opt = { .seed = 5, .batch = 1, .opset = ZOO_DEFAULT_OPSET,
					 .size = size };
	const struct load_config cfg = { .batch = 1, .passes = true };
	struct zoo *z = zoo_new(name, &opt);
	char *data = NULL, why[512] = "";
	size_t bytes = 0;
	FILE *f = open_memstream(&data, &bytes);
	int ret = -EIO;

	m->name = name;
	zoo_find(name)->build(z);
	if (f && !zoo_write(z, f) && !fclose(f))
		ret = program_load_mem(data, bytes, name, &cfg, &m->prog, why, sizeof(why));
	if (!ret)
		ret = ops->model_load(be, m->prog, NULL, &m->bm, why, sizeof(why));
	if (ret)
		diag("%s: %s", name, why);
	zoo_free(z);
	free(data);
	return ret;
}

static const struct prog_tensor *io_tensor(const struct model *m, uint32_t i)
{
	const struct program *p = m->prog;

	return &p->tensors[i < p->n_inputs ? p->inputs[i].tensor
					   : p->outputs[i - p->n_inputs].tensor];
}

static int map(struct model *m)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	uint64_t total;
	int fd, ret;

	m->n_io = m->prog->n_inputs + m->prog->n_outputs;
	if (m->n_io > MAX_IO)
		return -E2BIG;
	for (uint32_t i = 0; i < m->n_io; i++) {
		const struct prog_tensor *t = io_tensor(m, i);

		m->offset[i] = m->stride;
		m->bytes[i] = t->elems * prog_type_size(t->type);
		m->stride += (m->bytes[i] + PROG_ALIGN - 1) / PROG_ALIGN * PROG_ALIGN;
		if (i >= m->prog->n_inputs)
			m->floats += t->elems;
	}
	total = (m->stride * SLOTS + page - 1) / page * page;
	fd = memfd_create("mix", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, total) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	m->map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m->map == MAP_FAILED)
		return -errno;
	ret = ops->buf_map(be, fd, total, 0, &m->buf);
	close(fd);
	m->want = calloc(SLOTS * m->floats, sizeof(float));
	return ret ? ret : m->want ? 0 : -ENOMEM;
}

static void draw_slots(struct model *m)
{
	for (uint32_t s = 0; s < SLOTS; s++) {
		for (uint32_t i = 0; i < m->prog->n_inputs; i++) {
			const struct prog_tensor *t = io_tensor(m, i);
			struct draw d = { .name = m->prog->inputs[i].name, .type = t->type,
					  .rank = t->rank, .dims = t->dims };

			draw_guess(&d);
			if (!strcmp(d.name, "input_ids"))
				d.bound = 100;
			draw_tensor(&d, 1000 + s, m->map + s * m->stride + m->offset[i]);
		}
	}
}

/* All outputs of a slot, one after the other. */
static void outputs(const struct model *m, uint32_t slot, float *to)
{
	for (uint32_t i = m->prog->n_inputs; i < m->n_io; i++) {
		memcpy(to, m->map + slot * m->stride + m->offset[i], m->bytes[i]);
		to += m->bytes[i] / sizeof(float);
	}
}

static void wipe(const struct model *m, uint32_t slot)
{
	for (uint32_t i = m->prog->n_inputs; i < m->n_io; i++)
		memset(m->map + slot * m->stride + m->offset[i], 0xff, m->bytes[i]);
}

static double distance(const float *got, const float *want, size_t n)
{
	double off = 0, norm = 0;

	for (size_t i = 0; i < n; i++) {
		double d = (double)got[i] - want[i];

		if (!isfinite(got[i]))
			return INFINITY;
		off += d * d;
		norm += (double)want[i] * want[i];
	}
	return sqrt(off / norm);
}

/* How far a slot's outputs are from what it got alone. */
static double off_by(const struct model *m, uint32_t slot)
{
	float *got = calloc(m->floats, sizeof(float));
	double d = INFINITY;

	if (got) {
		outputs(m, slot, got);
		d = distance(got, m->want + slot * m->floats, m->floats);
	}
	free(got);
	return d;
}

/* Add a group of @m over f->slots; outputs of slot i go to slot to[i]. */
static void add_group(struct flight *f, struct model *m, uint32_t degree, const uint32_t *slots,
		      const uint32_t *to)
{
	const uint32_t g = f->launch.n_groups++;

	for (uint32_t r = 0; r < degree; r++) {
		f->slots[g][r] = slots[r];
		m->busy[slots[r]] = true;
		wipe(m, slots[r]);
		for (uint32_t i = 0; i < m->n_io; i++) {
			uint32_t s = i < m->prog->n_inputs ? slots[r] : to[r];

			f->io[g][r * m->n_io + i] = (struct backend_io){
				.buf = m->buf, .offset = s * m->stride + m->offset[i],
			};
		}
	}
	f->models[g] = m;
	f->groups[g] = (struct backend_group){
		.model = m->bm, .degree = degree, .io = f->io[g], .priv = f,
	};
	f->pending++;
}

static int go(struct flight *f)
{
	f->launch.groups = f->groups;
	return ops->launch(be, &f->launch);
}

/* Wait for one group; its flight, and which it was. */
static struct flight *reap(uint32_t *which)
{
	struct pollfd ready = { .fd = ops->event_fd(be), .events = POLLIN };
	struct backend_group *done = NULL;
	struct flight *f;

	while (!ops->reap(be, &done, 1))
		poll(&ready, 1, -1);
	f = done->priv;
	*which = done - f->groups;
	f->pending--;
	for (uint32_t r = 0; r < done->degree; r++)
		f->models[*which]->busy[f->slots[*which][r]] = false;
	return f;
}

static int run_alone(struct model *m, uint32_t slot)
{
	struct flight f = { 0 };
	uint32_t which;
	int ret;

	add_group(&f, m, 1, &slot, &slot);
	ret = go(&f);
	if (ret)
		return ret;
	reap(&which);
	outputs(m, slot, m->want + slot * m->floats);
	return f.groups[0].status;
}

static bool prepare(struct model *m, const char *name, int size)
{
	double apart = INFINITY;
	int ret = load(m, name, size);

	if (!ret)
		ret = map(m);
	if (!ok(!ret, "%s: loaded", name))
		return false;
	draw_slots(m);
	for (uint32_t s = 0; s < SLOTS && !ret; s++)
		ret = run_alone(m, s);
	for (uint32_t s = 0; s < SLOTS; s++)
		for (uint32_t t = 0; t < SLOTS; t++)
			if (s != t)
				apart = fmin(apart, distance(m->want + s * m->floats,
							     m->want + t * m->floats,
							     m->floats));
	return ok(!ret && apart >= 10 * TOLERANCE, "%s: answers differ by %.2g", name, apart);
}

static void unload(struct model *m)
{
	if (m->buf)
		ops->buf_unmap(be, m->buf, NULL);
	if (m->bm)
		ops->model_unload(be, m->bm);
	program_free(m->prog);
	free(m->want);
}

/* A launch of random groups over slots that are free. */
static void compose(struct flight *f)
{
	const uint32_t groups = 1 + choose(MAX_GROUPS);

	memset(f, 0, sizeof(*f));
	while (f->launch.n_groups < groups) {
		struct model *m = &models[choose(MODELS)];
		uint32_t slots[MAX_DEGREE], degree = 0, want = 1 + choose(MAX_DEGREE);

		for (uint32_t n = 0; n < 4 * SLOTS && degree < want; n++) {
			uint32_t s = choose(SLOTS);

			if (m->busy[s])
				continue;
			m->busy[s] = true;
			slots[degree++] = s;
		}
		if (degree)
			add_group(f, m, degree, slots, slots);
	}
}

static void test_mix(void)
{
	struct flight *flights = calloc(IN_FLIGHT, sizeof(*flights));
	uint32_t launched = 0, flying = 0, merged = 0, groups = 0, failed = 0, which;
	double worst = 0;

	if (!ok(flights, "memory for launches"))
		return;
	while (launched < LAUNCHES || flying) {
		struct flight *f = NULL;

		for (int i = 0; i < IN_FLIGHT && launched < LAUNCHES; i++) {
			if (flights[i].pending)
				continue;
			compose(&flights[i]);
			launched++;
			if (go(&flights[i])) {
				ok(false, "launch %u is taken", launched);
				goto out;
			}
			flying += flights[i].launch.n_groups;
		}
		f = reap(&which);
		flying--;
		groups++;
		failed += f->groups[which].status != 0;
		for (uint32_t r = 0; r < f->groups[which].degree; r++) {
			double off = off_by(f->models[which], f->slots[which][r]);

			if (!(off <= TOLERANCE))
				diag("%s, request %u of %u: off by %.2g", f->models[which]->name,
				     r, f->groups[which].degree, off);
			worst = off <= worst ? worst : off;
			merged++;
		}
	}
	ok(!failed, "%u launches of %u groups: none failed", launched, groups);
	ok(worst <= TOLERANCE, "%u requests in them: off by %.2g at most", merged, worst);
out:
	free(flights);
}

/* Two requests of a merge get each other's outputs: the comparison must see it. */
static void test_swapped(struct model *m)
{
	static const uint32_t slots[3] = { 2, 7, 4 }, to[3] = { 7, 2, 4 };
	struct flight f = { 0 };
	uint32_t which;

	add_group(&f, m, 3, slots, to);
	if (!ok(!go(&f), "%s: launched", m->name))
		return;
	reap(&which);
	ok(off_by(m, 2) > TOLERANCE && off_by(m, 7) > TOLERANCE,
	   "%s: a swapped merge is noticed", m->name);
	ok(off_by(m, 4) <= TOLERANCE, "%s: the request beside it is right", m->name);
}

int main(void)
{
	const struct backend_config cfg = { .threads = 2, .lanes = 2, .max_degree = MAX_DEGREE };
	char why[256] = "";
	bool ready = true;

	if (!ok(!ops->open(&cfg, &be, why, sizeof(why)), "the backend opens %s", why))
		return tap_done();
	for (size_t i = 0; i < MODELS; i++)
		ready &= prepare(&models[i], used[i].name, used[i].size);
	if (ready) {
		test_mix();
		for (size_t i = 0; i < MODELS; i++)
			test_swapped(&models[i]);
	}
	for (size_t i = 0; i < MODELS; i++)
		unload(&models[i]);
	ops->close(be);
	return tap_done();
}
