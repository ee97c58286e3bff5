// SPDX-License-Identifier: MIT
/*
 * Models on the CUDA backend beside the CPU's fp32: every request alone and in
 * groups, as lanes, branches and side by side, with 16 and 32 bits.
 *
 * Inputs are also rewritten while they are read, with any bits at all: nothing
 * may fault, and what comes afterwards is right.
 *
 * Each comparison first shows that answers of different requests are ten times
 * the tolerance apart, and a group whose outputs are swapped on purpose must
 * be noticed. Runs on the stand-in driver with small models; on a machine with
 * a GPU, BRAID_TEST_GPU=1 takes that and all of the zoo.
 *
 * Before each launch, or lot of them at once, the memory between a plan's steps is
 * filled with NaN, so that a step that does not wait for what it reads can show.
 *
 *   BRAID_TEST_MODELS=a,b   these of the zoo
 *   BRAID_TEST_BESIDE=NAME  with this one in forms of several models (tiny_mlp)
 *   BRAID_TEST_CACHE=DIR    keep compiled kernels there
 *   BRAID_TEST_JSON=FILE    what was measured
 *   BRAID_TEST_SHORT=1      fewer rounds, for tools that slow everything down, and no
 *                           memory filled, which initcheck would take for results
 *   BRAID_TEST_MODES=fp16   only this precision
 *   BRAID_TEST_FORMS=a,b    only these of lanes, branches, side by side
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/backend/backend.h"
#include "agent/program/load.h"
#include "agent/program/program.h"
#include "tests/cuda/spoil.h"
#include "tests/tap.h"
#include "tools/zoo/draw.h"
#include "tools/zoo/models.h"

#define SLOTS		10
#define MAX_DEGREE	8
#define MAX_IO		8

static const char *const small_models[] = { "tiny_cnn", "tiny_bert", "lstm", NULL };

struct backend_side {
	const struct backend_ops *ops;
	struct backend *be;
	struct backend_model *model;
	struct backend_buf *buf;
};

/* A model and its requests: slot s at s * stride, inputs first. */
struct model {
	const char *name;
	struct program *prog;
	uint32_t n_io;
	uint64_t offset[MAX_IO], bytes[MAX_IO], stride, total;
	uint8_t *map;
	int fd;
	float *want;		/* [SLOTS][floats of all outputs] */
	size_t floats;
};

static struct backend *cpu, *gpu;
static int patience = 16;	/* launches, until a form should be ready */
static bool spoils;		/* not BRAID_TEST_SHORT */
static json_t *measured;

static void say(void *arg, const char *text)
{
	diag("%s", text);
}

static void lost(void *arg, const char *why, bool by_launch)
{
	printf("Bail out! %s\n", why);
	fflush(stdout);
	_exit(1);
}

static const struct prog_tensor *io_tensor(const struct model *m, uint32_t i)
{
	const struct program *p = m->prog;

	return &p->tensors[i < p->n_inputs ? p->inputs[i].tensor :
					     p->outputs[i - p->n_inputs].tensor];
}

static int load(struct model *m)
{
	const struct zoo_options opt = { .seed = 5, .batch = 1, .opset = ZOO_DEFAULT_OPSET };
	const struct load_config cfg = { .batch = 1, .passes = true };
	struct zoo *z = zoo_new(m->name, &opt);
	char *data = NULL, why[512] = "";
	size_t bytes = 0;
	FILE *f = open_memstream(&data, &bytes);
	int ret = -EIO;

	zoo_find(m->name)->build(z);
	if (f && !zoo_write(z, f) && !fclose(f))
		ret = program_load_mem(data, bytes, m->name, &cfg, &m->prog, why, sizeof(why));
	if (ret)
		diag("%s: %s", m->name, why);
	zoo_free(z);
	free(data);
	return ret;
}

static int map(struct model *m)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);

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
	m->total = (m->stride * SLOTS + page - 1) / page * page;
	m->fd = memfd_create("models", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->fd < 0 || ftruncate(m->fd, m->total) ||
	    fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	m->map = mmap(NULL, m->total, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	m->want = calloc(SLOTS * m->floats, sizeof(float));
	return m->map == MAP_FAILED || !m->want ? -ENOMEM : 0;
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

static void outputs(const struct model *m, uint32_t slot, float *to)
{
	for (uint32_t i = m->prog->n_inputs; i < m->n_io; i++) {
		memcpy(to, m->map + slot * m->stride + m->offset[i], m->bytes[i]);
		to += m->bytes[i] / sizeof(float);
	}
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

/* How far the farthest of these slots is from what the CPU found for it. */
static double off_by(const struct model *m, const uint32_t *slots, uint32_t n)
{
	float *got = calloc(m->floats, sizeof(float));
	double worst = 0;

	for (uint32_t k = 0; k < n; k++) {
		outputs(m, slots[k], got);
		worst = fmax(worst, distance(got, m->want + slots[k] * m->floats, m->floats));
	}
	free(got);
	return worst;
}

/* ---- runs ---- */

#define MAX_GROUPS	4

struct flight {
	struct backend_launch launch;
	struct backend_group groups[MAX_GROUPS];
	struct backend_io io[MAX_GROUPS][MAX_DEGREE * MAX_IO];
	uint32_t left;
};

/* A group over slots; the outputs of slots[r] go to slot to[r]. */
static void add_group(struct flight *f, const struct model *m, const struct backend_side *b,
		      uint32_t degree, const uint32_t *slots, const uint32_t *to)
{
	uint32_t g = f->launch.n_groups++;

	for (uint32_t r = 0; r < degree; r++) {
		for (uint32_t i = 0; i < m->n_io; i++) {
			uint32_t s = i < m->prog->n_inputs ? slots[r] : to[r];

			f->io[g][r * m->n_io + i] = (struct backend_io){
				b->buf, s * m->stride + m->offset[i] };
			if (i >= m->prog->n_inputs)
				memset(m->map + s * m->stride + m->offset[i], 0xff, m->bytes[i]);
		}
	}
	f->groups[g] = (struct backend_group){ .model = b->model, .degree = degree,
					       .io = f->io[g], .priv = f };
}

static int go(struct flight *f, const struct backend_side *b)
{
	struct pollfd ready = { .fd = b->ops->event_fd(b->be), .events = POLLIN };
	struct backend_group *done[8];
	int ret;

	f->launch.groups = f->groups;
	f->left = f->launch.n_groups;
	for (uint32_t g = 0; spoils && b->be == gpu && g < f->launch.n_groups; g++)
		if (spoil(gpu, f->groups[g].model))
			return -EIO;
	ret = b->ops->launch(b->be, &f->launch);
	while (!ret && f->left) {
		unsigned int n = b->ops->reap(b->be, done, 8);

		for (unsigned int i = 0; i < n; i++)
			ret |= done[i]->status;
		f->left -= n;
		if (!n)
			poll(&ready, 1, 1000);
	}
	return ret;
}

static int run(const struct model *m, const struct backend_side *b, uint32_t degree,
	       const uint32_t *slots, const uint32_t *to)
{
	struct flight f = { 0 };

	add_group(&f, m, b, degree, slots, to);
	return go(&f, b);
}

static const uint32_t straight[SLOTS] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
static const uint32_t swapped[SLOTS] = { 1, 0, 2, 3, 4, 5, 6, 7, 9, 8 };

static bool attach(struct model *m, struct backend_side *b, bool fp32)
{
	const struct backend_model_config cfg = { .precision = fp32 ? 32 : 16 };
	char why[1024] = "";
	int ret = b->ops->model_load(b->be, m->prog, &cfg, &b->model, why, sizeof(why));

	if (ret)
		diag("%s: %s", m->name, why);
	else
		ret = b->ops->buf_map(b->be, m->fd, m->total, 1, &b->buf);
	return !ret;
}

static void detach(struct backend_side *b)
{
	if (b->model)
		b->ops->model_unload(b->be, b->model);
	if (b->buf && !b->ops->buf_unmap(b->be, b->buf, b))
		while (!b->ops->buf_unmapped(b->be))
			usleep(1000);
	b->model = NULL;
	b->buf = NULL;
}

/* What the CPU finds, and how far answers are apart. */
static double reference(struct model *m)
{
	struct backend_side b = { &cpu_backend_ops, cpu };
	double apart = INFINITY;
	int ret = 0;

	if (!attach(m, &b, true))
		return 0;
	for (uint32_t s = 0; s < SLOTS; s++) {
		ret |= run(m, &b, 1, &straight[s], &straight[s]);
		outputs(m, s, m->want + s * m->floats);
	}
	detach(&b);
	for (uint32_t s = 0; s < SLOTS; s++)
		for (uint32_t t = 0; t < s; t++)
			apart = fmin(apart, distance(m->want + s * m->floats,
						     m->want + t * m->floats, m->floats));
	return ret ? 0 : apart;
}

/* Launches after which a form must be ready: so many, once all is made that was asked for. */
static int may_come(int launches, int left)
{
	/* A kernel for every step has to be compiled. */
	if (patience > 16 && launches < 12000 && !cuda_backend_ops.settled(gpu))
		return patience;
	return left - 1;
}

/* Two groups of other degrees in one launch, until the form is ready. */
static double together(const struct model *m, const struct model *other,
		       const struct backend_side *b, const struct backend_side *o,
		       enum backend_form form, bool *ready)
{
	int left = patience;
	double worst = 0;

	*ready = false;
	for (int i = 0; !*ready && left; i++) {
		struct flight f = { .launch.form = form };

		add_group(&f, m, b, 2, straight, straight);
		add_group(&f, other, o, 1, straight + 4, straight + 4);
		if (go(&f, b))
			return INFINITY;
		worst = fmax(worst, off_by(m, straight, 2));
		worst = fmax(worst, off_by(other, straight + 4, 1));
		*ready = f.launch.ran == form;
		if (i >= 8)
			usleep(20000);
		left = may_come(i, left);
	}
	return worst;
}

/* Many launches at once: those that find others in flight have other tiles. */
static double in_a_crowd(const struct model *m, const struct backend_side *b, uint32_t degree,
			 bool *crowd)
{
	static struct flight flights[SLOTS];
	uint32_t n = SLOTS / degree, left = n;
	struct backend_group *done[SLOTS];

	memset(flights, 0, sizeof(flights));
	for (uint32_t i = 0; i < n; i++) {
		add_group(&flights[i], m, b, degree, straight + i * degree, straight + i * degree);
		flights[i].launch.groups = flights[i].groups;
	}
	if (spoils && spoil(gpu, b->model))
		return INFINITY;
	for (uint32_t i = 0; i < n || left;) {
		unsigned int ended = b->ops->reap(b->be, done, SLOTS);

		for (unsigned int k = 0; k < ended; k++)
			*crowd |= done[k]->crowd;
		left -= ended;
		if (i < n && !b->ops->launch(b->be, &flights[i].launch))
			i++;
	}
	return off_by(m, straight, n * degree);
}

static void check_crowd(const struct model *m, const struct backend_side *b, bool fp32,
			double tolerance)
{
	const int rounds = patience > 16 ? 20 : 1;
	double worst = 0;
	bool crowd = false;

	/* On a fast device the first may have ended before the last begins. */
	for (int i = 0; i < rounds; i++)
		for (uint32_t degree = 1; degree <= 2; degree++)
			worst = fmax(worst, in_a_crowd(m, b, degree, &crowd));
	ok(worst <= tolerance, "%s, many launches at once%s: off by %.2g", m->name,
	   crowd ? ", with tiles for that" : "", worst);
	if (!crowd && !fp32)
		diag("%s: there never were enough at once for other tiles", m->name);
}

/* Is a word among those of a variable, or that not set? */
static bool is_asked(const char *variable, const char *word)
{
	const char *words = getenv(variable);

	return !words || strstr(words, word);
}

static void check_forms(struct model *m, struct model *other, bool fp32, double tolerance,
			const struct backend_side *b)
{
	static const char *const names[] = { "lanes", "branches", "side by side" };
	struct backend_side o = { &cuda_backend_ops, gpu };

	if (!attach(other, &o, fp32))
		return;
	for (int form = BACKEND_LANES; form < BACKEND_FORMS; form++) {
		bool ready;
		double d;

		if (!is_asked("BRAID_TEST_FORMS", names[form]))
			continue;
		d = together(m, other, b, &o, form, &ready);

		ok(d <= tolerance && (ready || patience <= 16), "%s and %s as %s: off by %.2g%s",
		   m->name, other->name, names[form], d,
		   ready ? "" : patience > 16 ? ", and never ready" : " # SKIP: it was not ready");
	}
	detach(&o);
}

/* ---- a tenant that rewrites what it has sent ---- */

static atomic_bool enough;

static void *rewrite(void *arg)
{
	const struct model *m = arg;
	uint64_t bits = 88172645463325252ull;

	while (!enough)
		for (uint32_t s = 0; s < MAX_DEGREE; s++)
			for (uint32_t i = 0; i < m->prog->n_inputs; i++)
				for (uint64_t at = 0; at + 8 <= m->bytes[i]; at += 8) {
					bits ^= bits << 13;
					bits ^= bits >> 7;
					bits ^= bits << 17;
					memcpy(m->map + s * m->stride + m->offset[i] + at, &bits, 8);
				}
	return NULL;
}

/* Its own answers may be anything; it must not reach anything else. */
static void check_rewritten(struct model *m, const struct backend_side *b, double tolerance)
{
	const uint32_t spared[] = { MAX_DEGREE, MAX_DEGREE + 1 };
	const int rounds = patience > 16 ? 50 : 4;
	pthread_t thread;
	double worst = 0;
	int ret = 0;

	enough = false;
	if (pthread_create(&thread, NULL, rewrite, m))
		return;
	for (int i = 0; i < rounds; i++) {
		struct flight f = { 0 };

		add_group(&f, m, b, MAX_DEGREE, straight, straight);
		add_group(&f, m, b, 2, spared, spared);
		ret |= go(&f, b);
		worst = fmax(worst, off_by(m, spared, 2));
	}
	enough = true;
	pthread_join(thread, NULL);
	draw_slots(m);
	ret |= run(m, b, MAX_DEGREE, straight, straight);
	worst = fmax(worst, off_by(m, straight, MAX_DEGREE));
	ok(!ret && worst <= tolerance, "%s, inputs rewritten in flight: the others are off by %.2g",
	   m->name, worst);
}

static void check_mode(struct model *m, struct model *other, bool fp32, double apart)
{
	static const uint32_t degrees[] = { 2, 3, 5, 8 };
	const double tolerance = fp32 ? 1e-4 : 1e-2;
	const char *mode = fp32 ? "fp32" : "fp16";
	struct backend_side b = { &cuda_backend_ops, gpu };
	double worst = 0, merged = 0;
	int ret = 0;

	if (!ok(attach(m, &b, fp32), "%s in %s: loaded", m->name, mode))
		return;
	ok(apart >= 10 * tolerance, "%s: answers differ by %.2g", m->name, apart);
	for (uint32_t s = 0; s < SLOTS; s++)
		ret |= run(m, &b, 1, &straight[s], &straight[s]);
	worst = off_by(m, straight, SLOTS);
	ok(!ret && worst <= tolerance, "%s in %s, each alone: off by %.2g", m->name, mode, worst);
	for (size_t i = 0; i < sizeof(degrees) / sizeof(degrees[0]); i++) {
		ret |= run(m, &b, degrees[i], straight + 1, straight + 1);
		merged = fmax(merged, off_by(m, straight + 1, degrees[i]));
	}
	ok(!ret && merged <= tolerance, "%s in %s, merged: off by %.2g", m->name, mode, merged);
	ret = run(m, &b, 8, straight, swapped);
	ok(!ret && off_by(m, straight, 8) > tolerance, "%s in %s: swapped outputs are noticed",
	   m->name, mode);
	check_crowd(m, &b, fp32, tolerance);
	check_rewritten(m, &b, tolerance);
	if (other)
		check_forms(m, other, fp32, tolerance, &b);
	json_array_append_new(measured, json_pack("{s:s,s:s,s:f,s:f,s:f}", "model", m->name, "mode",
						  mode, "alone", worst, "merged", merged, "apart",
						  apart));
	detach(&b);
}

static bool open_model(struct model *m, const char *name, double *apart)
{
	memset(m, 0, sizeof(*m));
	m->name = name;
	m->fd = -1;
	if (!ok(!load(m) && !map(m), "%s", name))
		return false;
	draw_slots(m);
	*apart = reference(m);
	return true;
}

static void close_model(struct model *m)
{
	program_free(m->prog);
	if (m->map)
		munmap(m->map, m->total);
	if (m->fd >= 0)
		close(m->fd);
	free(m->want);
}

/* ---- which models, which driver ---- */

static const char **wanted(bool all)
{
	static const char *list[64];
	char *env = getenv("BRAID_TEST_MODELS"), *save;
	unsigned int n = 0;

	if (env) {
		env = strdup(env);
		for (char *p = strtok_r(env, ",", &save); p; p = strtok_r(NULL, ",", &save))
			list[n++] = p;
		return list;
	}
	if (!all)
		return (const char **)small_models;
	for (size_t i = 0; i < zoo_n_models && n < 63; i++)
		list[n++] = zoo_models[i].name;
	return list;
}

/* This program again, with the stand-in in the place of a driver. */
static void on_stand_in(void)
{
	const char *top = getenv("O") ? getenv("O") : "build";
	char lib[4096];

	snprintf(lib, sizeof(lib), "%s/standin", top);
	setenv("LD_LIBRARY_PATH", lib, 1);
	setenv("BRAID_TEST_GPU", "0", 1);
	execl("/proc/self/exe", "test_cuda_models", NULL);
	exit(127);
}

int main(void)
{
	const char *env = getenv("BRAID_TEST_GPU"), *json = getenv("BRAID_TEST_JSON");
	const bool real = env && !strcmp(env, "1");
	const struct backend_config cfg = {
		.lanes = 8, .max_degree = MAX_DEGREE, .say = say, .lost = lost,
		.no_compiler = !real, .cache_dir = getenv("BRAID_TEST_CACHE"),
	};
	const struct backend_config plain = { .max_degree = MAX_DEGREE };
	struct model m, other;
	double apart, other_apart;
	char why[512] = "";
	const char **names, *beside = getenv("BRAID_TEST_BESIDE");

	if (!env)
		on_stand_in();
	names = wanted(real);
	spoils = !getenv("BRAID_TEST_SHORT");
	if (real)
		patience = spoils ? 60 : 16;
	measured = json_array();
	if (cpu_backend_ops.open(&plain, &cpu, why, sizeof(why)) ||
	    cuda_backend_ops.open(&cfg, &gpu, why, sizeof(why))) {
		ok(false, "backends open: %s", why);
		return tap_done();
	}
	beside = beside ? beside : "tiny_mlp";
	if (!open_model(&other, beside, &other_apart))
		return tap_done();
	for (; *names; names++) {
		if (!open_model(&m, *names, &apart))
			continue;
		for (int fp32 = 1; fp32 >= 0; fp32--)
			if (is_asked("BRAID_TEST_MODES", fp32 ? "fp32" : "fp16"))
				check_mode(&m, strcmp(*names, beside) ? &other : NULL, fp32, apart);
		close_model(&m);
	}
	close_model(&other);
	cuda_backend_ops.close(gpu);
	cpu_backend_ops.close(cpu);
	if (json && json_dump_file(measured, json, JSON_INDENT(1) | JSON_REAL_PRECISION(4)))
		ok(false, "%s is written", json);
	json_decref(measured);
	return tap_done();
}
