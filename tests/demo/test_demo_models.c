// SPDX-License-Identifier: MIT
/*
 * The trained models on the CPU backend, without queue and agent: alone,
 * merged and fused, every answer against ONNX Runtime's.
 *
 * Needs the models that tools/demo/fetch gets; says so and skips without.
 * Runs from the top folder.
 */
#include "tests/tap.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/backend/backend.h"
#include "agent/program/load.h"
#include "tools/demo/replay.h"
#include "tools/demo/scene.h"

#define DATA		"tools/demo/data"
#define MAX_DEGREE	4
#define ROUND		64	/* tensors in a buffer begin at such a multiple */

static const struct backend_ops *ops = &cpu_backend_ops;

/* A model on the backend, with room for MAX_DEGREE requests. */
struct seat {
	const struct demo_model *m;
	struct program *program;
	struct backend_model *model;
	struct backend_buf *buf;
	char *memory;
	size_t bytes;
	size_t offsets[2 * MODEL_MAX_TENSORS];	/* of one request */
	size_t stride;				/* from request to request */
	struct backend_io io[MAX_DEGREE * 2 * MODEL_MAX_TENSORS];
	const struct sample **picked;
	int n_picked;
	int next;				/* sample to begin the next group with */
	struct backend_group group;
};

static struct backend *backend;
static struct seat seats[MODEL_COUNT];

static const char *models_folder(void)
{
	static char path[PATH_MAX];
	const char *cache = getenv("XDG_CACHE_HOME");
	char file[PATH_MAX + 64];

	if (cache && *cache == '/')
		snprintf(path, sizeof(path), "%s/braid/models", cache);
	else
		snprintf(path, sizeof(path), "build/models");
	for (int i = 0; i < MODEL_COUNT; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, demo_models[i].file);
		if (access(file, R_OK))
			return NULL;
	}
	return path;
}

static bool seat_load(struct seat *s, const char *folder)
{
	struct load_shape shapes[MODEL_MAX_TENSORS] = { 0 };
	struct load_config cfg = { .shapes = shapes, .n_shapes = s->m->n_in, .passes = true };
	char path[PATH_MAX + 64], why[512] = "";
	int err;

	for (int i = 0; i < s->m->n_in; i++) {
		shapes[i].input = s->m->in[i].name;
		shapes[i].rank = s->m->in[i].rank;
		for (int j = 0; j < s->m->in[i].rank; j++)
			shapes[i].dims[j] = s->m->in[i].dims[j];
	}
	snprintf(path, sizeof(path), "%s/%s", folder, s->m->file);
	err = program_load(path, &cfg, &s->program, why, sizeof(why));
	if (!ok(!err, "%s is imported", s->m->name)) {
		diag("%s", why);
		return false;
	}
	err = ops->supports(s->program, why, sizeof(why));
	if (!err)
		err = ops->model_load(backend, s->program, NULL, &s->model, why, sizeof(why));
	if (!ok(!err, "%s is loaded", s->m->name)) {
		diag("%s", why);
		return false;
	}
	return true;
}

static bool seat_map(struct seat *s)
{
	int fd;

	for (int i = 0; i < s->m->n_in + s->m->n_out; i++) {
		const struct model_tensor *t = i < s->m->n_in ? &s->m->in[i] :
					       &s->m->out[i - s->m->n_in];

		s->offsets[i] = s->stride;
		s->stride += (tensor_elems(t) * sizeof(float) + ROUND - 1) / ROUND * ROUND;
	}
	s->bytes = (MAX_DEGREE * s->stride + 4095) / 4096 * 4096;
	fd = memfd_create("demo", MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, s->bytes) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
		return false;
	s->memory = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s->memory == MAP_FAILED || ops->buf_map(backend, fd, s->bytes, 0, &s->buf))
		return false;
	close(fd);
	return true;
}

static float *tensor(struct seat *s, int request, int i)
{
	return (float *)(s->memory + request * s->stride + s->offsets[i]);
}

/* Make a group of the next @degree samples; outputs begin as NaN. */
static void seat_fill(struct seat *s, int degree)
{
	int n_io = s->m->n_in + s->m->n_out;

	memset(s->memory, 0xff, s->bytes);
	for (int r = 0; r < degree; r++) {
		const struct sample *sample = s->picked[(s->next + r) % s->n_picked];

		for (int i = 0; i < n_io; i++)
			s->io[r * n_io + i] = (struct backend_io){
				s->buf, r * s->stride + s->offsets[i] };
		for (int i = 0; i < s->m->n_in; i++)
			memcpy(tensor(s, r, i), sample->in[i],
			       tensor_elems(&s->m->in[i]) * sizeof(float));
	}
	s->group = (struct backend_group){ .model = s->model, .degree = degree, .io = s->io };
}

/* How many of the group's answers are right, each for its own request. */
static int seat_right(struct seat *s, int shift, double *worst)
{
	int right = 0;

	for (uint32_t r = 0; r < s->group.degree; r++) {
		const struct sample *sample =
			s->picked[(s->next + (r + shift) % s->group.degree) % s->n_picked];
		const float *got[MODEL_MAX_TENSORS];
		double d;

		for (int i = 0; i < s->m->n_out; i++)
			got[i] = tensor(s, r, s->m->n_in + i);
		d = golden_distance(sample->golden, got);
		right += d <= GOLDEN_TOLERANCE;
		if (!(d <= *worst))
			*worst = d;
	}
	return right;
}

static bool launch(struct backend_group *groups, int n)
{
	struct backend_launch l = { .groups = groups, .n_groups = n };
	struct pollfd p = { .fd = ops->event_fd(backend), .events = POLLIN };
	struct backend_group *done[MODEL_COUNT];
	int left = n;

	if (ops->launch(backend, &l))
		return false;
	while (left) {
		if (poll(&p, 1, 60000) <= 0)
			return false;
		left -= ops->reap(backend, done, MODEL_COUNT);
	}
	for (int i = 0; i < n; i++)
		if (groups[i].status)
			return false;
	return true;
}

static void test_degree(struct seat *s, int degree)
{
	double worst = 0, ignored = 0;
	int right = 0, swapped = 0, rounds = s->m == &demo_models[MODEL_VAD] ? 20 : 2;
	bool ran = true;

	for (int i = 0; i < rounds; i++) {
		seat_fill(s, degree);
		ran &= launch(&s->group, 1);
		right += seat_right(s, 0, &worst);
		if (degree > 1)
			swapped += seat_right(s, 1, &ignored);
		s->next = (s->next + degree) % s->n_picked;
	}
	ok(ran && right == rounds * degree,
	   "%s, degree %d: %d of %d answers right, worst relative L2 %.1e", s->m->name, degree,
	   right, rounds * degree, worst);
	if (degree > 1)
		is_int(swapped, 0, "%s, degree %d: swapped answers would be noticed", s->m->name,
		       degree);
}

/* All models side by side, merged as well. */
static void test_fused(int degree)
{
	struct backend_group groups[MODEL_COUNT];
	double worst = 0;
	int right = 0;

	for (int i = 0; i < MODEL_COUNT; i++) {
		int n = degree < seats[i].n_picked ? degree : seats[i].n_picked;

		seat_fill(&seats[i], n);
		groups[i] = seats[i].group;
	}
	ok(launch(groups, MODEL_COUNT), "five models run side by side, degree %d", degree);
	for (int i = 0; i < MODEL_COUNT; i++)
		right += seat_right(&seats[i], 0, &worst) == (int)seats[i].group.degree;
	is_int(right, MODEL_COUNT, "all of them answer right, worst relative L2 %.1e", worst);
}

static void run(const struct replay *replay, const char *folder)
{
	struct backend_config cfg = { .threads = 2, .max_degree = MAX_DEGREE };
	char why[512] = "";
	bool ready = true;

	if (!ok(!ops->open(&cfg, &backend, why, sizeof(why)), "the backend opens")) {
		diag("%s", why);
		return;
	}
	for (int i = 0; i < MODEL_COUNT; i++) {
		struct seat *s = &seats[i];

		s->m = &demo_models[i];
		s->picked = calloc(replay->count, sizeof(*s->picked));
		if (!s->picked)
			exit(1);
		s->n_picked = replay_pick(replay, s->m, s->picked);
		ready &= seat_load(s, folder) && ok(seat_map(s), "%s has its buffer", s->m->name);
	}
	for (int i = 0; i < MODEL_COUNT && ready; i++)
		for (int d = 1; d <= MAX_DEGREE && d <= seats[i].n_picked; d *= 2)
			test_degree(&seats[i], d);
	if (ready) {
		test_fused(1);
		test_fused(3);
	}
	for (int i = 0; i < MODEL_COUNT; i++) {
		if (seats[i].buf) {
			ops->buf_unmap(backend, seats[i].buf, NULL);
			munmap(seats[i].memory, seats[i].bytes);
		}
		if (seats[i].model)
			ops->model_unload(backend, seats[i].model);
		program_free(seats[i].program);
		free(seats[i].picked);
	}
	ops->close(backend);
}

int main(void)
{
	struct golden_set set;
	struct replay replay;
	struct findings found;
	struct scene scene;
	const char *folder = models_folder();

	if (!folder)
		tap_skip_all("the trained models are not here; tools/demo/fetch gets them");
	if (scene_open(&scene, DATA, NULL) || golden_read(&set, DATA "/goldens.gz")) {
		ok(false, "the demo's data can be read");
		return tap_done();
	}
	replay_init(&replay, &set);
	if (ok(!scene_run(&scene, &replay.infer, &found), "the inputs are the recorded ones"))
		run(&replay, folder);
	replay_free(&replay);
	golden_free(&set);
	scene_close(&scene);
	return tap_done();
}
