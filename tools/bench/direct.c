// SPDX-License-Identifier: MIT
/*
 * Tenants that execute themselves: the same kernels as Braid's, without its
 * queue. One in a process is a context for each (time-sliced, or under MPS);
 * all in one are a stream for each in one context. Nothing is merged, unless a
 * tenant is asked to launch several requests as one: what merging gains is then
 * seen without what it takes to bring requests of several processes together.
 *
 * What is compared with Braid is then the scheduling and nothing else: models,
 * kernels, graphs and copies are the backend's own. The process polls while
 * anything runs; or it waits in the driver until all of it has ended, as most
 * programs do, so that it can be seen from outside how long.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "agent/backend/backend.h"
#include "agent/config.h"
#include "agent/program/program.h"
#include "tools/bench/bench.h"

#define OPEN_SEATS	8	/* outstanding of a tenant in the open loop; more wait */
#define MAX_LANES	64
#define REAP		64

/* A model that this process has loaded. */
struct loaded {
	struct loaded *next;
	const char *name;
	struct program *prog;
	struct backend_model *model;
};

/* Room for one request, or for several that are launched as one. */
struct seat {
	struct seat *next;
	struct direct_tenant *t;
	struct backend_launch launch;
	struct backend_group group;
	uint64_t scheduled;
	struct backend_io io[];		/* a row of tensors for each */
};

struct direct_tenant {
	const struct load *l;
	struct result *res;
	struct seat *free;
	uint64_t *arrivals, n_arrivals, next_arrival;
};

struct direct_bench {
	const struct options *o;
	struct shared *sh;
	const struct backend_ops *ops;
	struct backend *be;
	struct loaded *models;
	struct direct_tenant *tenants;
	unsigned int n;
	uint64_t busy;
	int (*wait)(void);		/* until the device has done all; NULL: poll */
	char why[128];
};

static int load(struct direct_bench *d, const char *name, struct loaded **out)
{
	const struct backend_model_config mc = { .precision = d->o->precision };
	struct load_config lc = { .batch = 1, .passes = true };
	char path[4096], why[512] = "";
	struct loaded *m = d->models;
	int ret;

	while (m && strcmp(m->name, name))
		m = m->next;
	*out = m;
	if (m)
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->name = name;
	snprintf(path, sizeof(path), "%s/%s.onnx", d->o->models, name);
	ret = program_load(path, &lc, &m->prog, why, sizeof(why));
	if (!ret)
		ret = d->ops->model_load(d->be, m->prog, &mc, &m->model, why, sizeof(why));
	if (ret) {
		snprintf(d->why, sizeof(d->why), "%s: %.100s", name, why);
		free(m);
		return ret;
	}
	m->next = d->models;
	d->models = m;
	*out = m;
	if (d->ops->degree(m->model, d->o->degree) == d->o->degree)
		return 0;
	snprintf(d->why, sizeof(d->why), "%.60s: %u at once is not to be had", name, d->o->degree);
	return -EINVAL;
}

static const struct prog_tensor *tensor(const struct program *p, uint32_t i)
{
	return &p->tensors[i < p->n_inputs ? p->inputs[i].tensor :
					     p->outputs[i - p->n_inputs].tensor];
}

static uint64_t bytes_of(const struct program *p, uint32_t i)
{
	return tensor(p, i)->elems * prog_type_size(tensor(p, i)->type);
}

/* In whole pages. */
static uint64_t room_of(const struct program *p, uint32_t i)
{
	return (bytes_of(p, i) + 4095) / 4096 * 4096;
}

/* A buffer a request, as a tenant of Braid's has them; where its tensors are goes to @io. */
static int make_request(struct direct_bench *d, const struct direct_tenant *t,
			const struct program *p, struct backend_io *io, uint64_t *seed)
{
	const uint32_t n = p->n_inputs + p->n_outputs;
	uint64_t bytes = 0, at = 0;
	struct backend_buf *buf;
	uint8_t *map;
	int fd, ret;

	for (uint32_t i = 0; i < n; i++)
		bytes += room_of(p, i);
	fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, bytes) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		return -errno;
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	ret = d->ops->buf_map(d->be, fd, bytes, 1 + (t - d->tenants), &buf);
	close(fd);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < n; i++) {
		io[i] = (struct backend_io){ buf, at };
		if (i < p->n_inputs)
			fill_input(map + at, tensor(p, i)->type, bytes_of(p, i), seed);
		at += room_of(p, i);
	}
	return 0;
}

static int make_seat(struct direct_bench *d, struct direct_tenant *t, const struct loaded *m,
		     uint64_t *seed)
{
	const uint32_t n = m->prog->n_inputs + m->prog->n_outputs, degree = d->o->degree;
	struct seat *s = calloc(1, sizeof(*s) + degree * n * sizeof(s->io[0]));
	int ret = s && n <= BRAID_MAX_TENSORS ? 0 : -ENOMEM;

	for (uint32_t r = 0; r < degree && !ret; r++)
		ret = make_request(d, t, m->prog, &s->io[r * n], seed);
	if (ret) {
		free(s);
		return ret;
	}
	s->t = t;
	s->group = (struct backend_group){ .model = m->model, .degree = degree, .io = s->io,
					   .priv = s };
	s->launch = (struct backend_launch){ .groups = &s->group, .n_groups = 1 };
	s->next = t->free;
	t->free = s;
	return 0;
}

static void say(void *arg, const char *text)
{
	const struct options *o = arg;

	if (!o->quiet)
		fprintf(stderr, "braid-bench: %s\n", text);
}

static void lost(void *arg, const char *why, bool by_launch)
{
	fprintf(stderr, "braid-bench: %s\n", why);
	_exit(3);
}

/* MPS has its daemon's pipes where the driver looks for them. */
static bool under_mps(void)
{
	const char *dir = getenv("CUDA_MPS_PIPE_DIRECTORY");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/control", dir ? dir : "/tmp/nvidia-mps");
	return !access(path, F_OK);
}

/*
 * How many launches of others a process has to reckon with. Time-sliced it has
 * the device to itself while it runs; under MPS all of them have it at once,
 * and without this word they would run with tiles for one alone.
 */
static unsigned int beside(const struct options *o)
{
	if (o->tiles == TILES_FOR_CROWD)
		return o->n_tenants;
	return o->tiles == TILES_AUTO && o->as == AS_PROCESSES && under_mps() ? o->n_tenants - 1 : 0;
}

static int open_backend(struct direct_bench *d, unsigned int lanes)
{
	const struct options *o = d->o;
	const struct backend_config cfg = {
		.lanes = lanes < MAX_LANES ? lanes : MAX_LANES, .max_degree = o->degree,
		.reaps_at_once = true, .polls = true, .sms = o->sms, .cache_dir = o->cache,
		.beside = beside(o), .crowd = o->tiles == TILES_FOR_ONE ? UINT_MAX : 0,
		.say = say, .lost = lost, .arg = (void *)o,
	};
	char why[512] = "";
	int ret;

	d->ops = o->backend && !strcmp(o->backend, "cpu") ? &cpu_backend_ops : &cuda_backend_ops;
	ret = d->ops->open(&cfg, &d->be, why, sizeof(why));
	if (ret)
		snprintf(d->why, sizeof(d->why), "%.120s", why);
	return ret;
}

/* The library is there already: the backend uses it. */
static int find_wait(struct direct_bench *d)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
	void *f = lib && d->ops == &cuda_backend_ops ? dlsym(lib, "cuCtxSynchronize") : NULL;

	if (!f) {
		snprintf(d->why, sizeof(d->why), "--wait driver: only a GPU's has such a call");
		return -EOPNOTSUPP;
	}
	memcpy(&d->wait, &f, sizeof(f));
	return 0;
}

static int set_up(struct direct_bench *d, unsigned int first)
{
	const bool open = d->o->mode == MODE_OPEN;
	unsigned int seats = 0;
	int ret;

	d->tenants = calloc(d->n, sizeof(*d->tenants));
	if (!d->tenants)
		return -ENOMEM;
	for (unsigned int i = 0; i < d->n; i++) {
		d->tenants[i].l = load_of(d->o, first + i);
		d->tenants[i].res = &d->sh->results[first + i];
		seats += open ? OPEN_SEATS : d->tenants[i].l->outstanding;
	}
	ret = open_backend(d, seats);
	if (!ret && d->o->waits_in_driver)
		ret = find_wait(d);
	for (unsigned int i = 0; i < d->n && !ret; i++) {
		struct direct_tenant *t = &d->tenants[i];
		uint64_t seed = d->o->seed * 1000003 + first + i;
		struct loaded *m;

		ret = load(d, t->l->model, &m);
		for (unsigned int k = 0; k < (open ? OPEN_SEATS : t->l->outstanding) && !ret; k++)
			ret = make_seat(d, t, m, &seed);
		if (!open || ret)
			continue;
		t->arrivals = arrivals_make(d->o, t->l->rate, d->o->seed * 7919 + first + i,
					    d->o->warmup + d->o->seconds, &t->n_arrivals);
		if (!t->arrivals)
			ret = -ENOMEM;
	}
	return ret;
}

/* 1: launched; 0: no room; negative: failed. */
static int go(struct direct_bench *d, struct direct_tenant *t, uint64_t scheduled)
{
	struct seat *s = t->free;
	int ret;

	if (!s)
		return 0;
	s->launch.started = 0;
	s->scheduled = scheduled;
	ret = d->ops->launch(d->be, &s->launch);
	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	t->free = s->next;
	d->busy++;
	return 1;
}

static void reap(struct direct_bench *d)
{
	struct backend_group *done[REAP];
	unsigned int n = d->ops->reap(d->be, done, REAP);
	uint64_t now = n ? now_ns() : 0;

	for (unsigned int i = 0; i < n; i++) {
		struct seat *s = done[i]->priv;
		struct result *res = s->t->res;
		uint64_t counted = res->done;

		for (uint32_t r = 0; r < s->group.degree; r++)
			result_add(d->o, d->sh, res, s->scheduled, now, done[i]->status);
		counted = res->done - counted;
		res->merge_sum += counted * s->group.degree;
		res->fuse_sum += counted;
		if (counted)
			res->device_ns += done[i]->device_ns;
		s->next = s->t->free;
		s->t->free = s;
		d->busy--;
	}
}

/* Launch what is due; the next arrival, UINT64_MAX for none. Negative: failed. */
static int launch_due(struct direct_bench *d, uint64_t start, uint64_t stop, uint64_t *next)
{
	uint64_t now = now_ns();
	int ret = 0;

	*next = UINT64_MAX;
	for (unsigned int i = 0; i < d->n; i++) {
		struct direct_tenant *t = &d->tenants[i];

		while (d->o->mode == MODE_CLOSED && now < stop && (ret = go(d, t, now)) > 0)
			;
		while (t->next_arrival < t->n_arrivals && ret >= 0) {
			uint64_t due = start + t->arrivals[t->next_arrival];

			ret = due <= now ? go(d, t, due) : 0;
			if (due > now && due < *next)
				*next = due;
			if (ret <= 0)
				break;
			t->next_arrival++;
		}
		if (ret < 0)
			return ret;
	}
	return 0;
}

static bool more(const struct direct_bench *d, uint64_t stop)
{
	if (d->busy || (d->o->mode == MODE_CLOSED && now_ns() < stop))
		return true;
	for (unsigned int i = 0; i < d->n; i++)
		if (d->tenants[i].next_arrival < d->tenants[i].n_arrivals)
			return true;
	return false;
}

static void sleep_until(uint64_t at)
{
	struct timespec ts = { at / 1000000000ull, at % 1000000000ull };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* Kernels compile in the background: what is measured runs on the last ones. */
static void warm(struct direct_bench *d)
{
	for (int i = 0; d->ops->settled && !d->ops->settled(d->be) && i < 6000; i++)
		usleep(10000);
	usleep(200000);		/* buffers are registered meanwhile */
}

int direct_run_tenants(const struct options *o, struct shared *sh, unsigned int first,
		       unsigned int n)
{
	struct direct_bench d = { .o = o, .sh = sh, .n = n };
	uint64_t start, stop, next;
	int ret = set_up(&d, first);

	if (!ret)
		warm(&d);
	for (unsigned int i = 0; i < n && ret; i++) {
		snprintf(sh->results[first + i].why, sizeof(sh->results[0].why), "%s",
			 *d.why ? d.why : strerror(-ret));
		atomic_store(&sh->results[first + i].error, ret);
	}
	atomic_fetch_add(&sh->gate.ready, n);
	if (ret)
		return ret;
	while (!(start = atomic_load(&sh->gate.start_ns)))
		usleep(200);
	stop = atomic_load(&sh->gate.stop_ns);
	sleep_exactly();
	sleep_until(start);
	while (more(&d, stop)) {
		ret = launch_due(&d, start, stop, &next);
		if (ret)
			return ret;
		if (d.busy && d.wait && d.wait())
			return -EIO;
		if (d.busy)
			reap(&d);
		else if (next != UINT64_MAX)
			sleep_until(next);
	}
	/* Everything ends with the process, but for what the device still does. */
	return 0;
}
