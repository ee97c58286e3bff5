// SPDX-License-Identifier: MIT
/*
 * The CUDA backend on the stand-in driver: right results in every form and
 * degree, whatever the order of streams; nothing allocated, made or compiled
 * while it serves; what is not there or breaks is told in words.
 *
 * A driver is opened once a process, so each scenario is a process: this
 * program again, with the scenario as its argument and the stand-in on the
 * library path.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/backend/backend.h"
#include "agent/program/program.h"
#include "tests/cuda/fake_plan.h"
#include "tests/cuda/standin/control.h"
#include "tests/tap.h"

#define SLOTS		64
#define MAX_DEGREE	8
#define MODELS		3

static const struct backend_ops *const ops = &cuda_backend_ops;
static struct standin *page;
static struct backend *be;
static unsigned int failures;
static char said[1024], lost_why[512];
static bool lost_by_launch, blamed;	/* as told, and as it should be */

/* In a scenario: told by its line, counted into the exit status. */
#define check(cond, ...) do {							\
	if (!(cond)) {								\
		failures++;							\
		printf("# line %d: ", __LINE__);				\
		printf(__VA_ARGS__);						\
		putchar('\n');							\
		fflush(stdout);							\
	}									\
} while (0)

/* A model and its requests: slot s has its input and output side by side. */
struct model {
	struct prog_tensor tensors[2];
	struct prog_storage storages[2];
	struct prog_io io[2];
	struct program prog;
	struct backend_model *bm;
	struct backend_buf *buf[2];
	float *map[2];
	uint32_t n, factor;
	size_t stride;			/* floats */
	bool busy[SLOTS];
};

static struct model models[MODELS];

static void say(void *arg, const char *text)
{
	snprintf(said, sizeof(said), "%s", text);
}

static void lost(void *arg, const char *why, bool by_launch)
{
	snprintf(lost_why, sizeof(lost_why), "%s", why);
	lost_by_launch = by_launch;
}

static int open_it(uint32_t lanes, const char *cache, char *why, size_t len)
{
	const struct backend_config cfg = {
		.lanes = lanes, .max_degree = MAX_DEGREE, .say = say, .lost = lost,
		.cache_dir = cache, .reaps_at_once = true,
	};

	*why = 0;
	return ops->open(&cfg, &be, why, len);
}

static void describe(struct model *m, uint32_t n, uint32_t factor)
{
	memset(m, 0, sizeof(*m));
	m->n = n;
	m->factor = factor;
	for (int i = 0; i < 2; i++) {
		m->tensors[i] = (struct prog_tensor){ BRAID_TYPE_F32, 1, { n }, n, i };
		m->storages[i] = (struct prog_storage){ i ? PROG_OUTPUT : PROG_INPUT, 0, 0, 4 * n };
		m->io[i] = (struct prog_io){ i ? "y" : "x", i };
	}
	m->prog = (struct program){
		.inputs = &m->io[0], .outputs = &m->io[1], .storages = m->storages,
		.tensors = m->tensors, .n_inputs = 1, .n_outputs = 1, .n_storages = 2,
		.n_tensors = 2, .macs = factor,
	};
}

static int memory(size_t bytes, float **map)
{
	int fd = memfd_create("test", MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, bytes) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
		exit(3);
	*map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return fd;
}

static int load(struct model *m, char *why, size_t len)
{
	size_t bytes;
	int ret = ops->model_load(be, &m->prog, NULL, &m->bm, why, len);

	if (ret)
		return ret;
	m->stride = (m->n + 15) / 16 * 16 + 16;
	bytes = SLOTS * m->stride * sizeof(float);
	for (int i = 0; i < 2; i++) {
		int fd = memory(bytes, &m->map[i]);

		ret |= ops->buf_map(be, fd, bytes, 1, &m->buf[i]);
		close(fd);
	}
	return ret;
}

/* Wait till so many more buffers are unmapped. */
static void unmapped(unsigned int left)
{
	for (int i = 0; left && i < 5000; i++) {
		if (ops->buf_unmapped(be))
			left--;
		else
			usleep(1000);
	}
	check(!left, "%u buffers are not unmapped", left);
}

static void unload(struct model *m)
{
	unsigned int later = 0;

	ops->model_unload(be, m->bm);
	for (int i = 0; i < 2; i++)
		later += !ops->buf_unmap(be, m->buf[i], m);
	unmapped(later);
}

static float *at(struct model *m, int which, uint32_t slot)
{
	return m->map[which] + slot * m->stride;
}

static float input(struct model *m, uint32_t slot, uint32_t i, uint32_t round)
{
	return (slot * 31 + i * 7 + round * 1009) % 4096;
}

static void fill(struct model *m, uint32_t slot, uint32_t round)
{
	for (uint32_t i = 0; i < m->n; i++) {
		at(m, 0, slot)[i] = input(m, slot, i, round);
		at(m, 1, slot)[i] = -1;
	}
}

static bool right(struct model *m, uint32_t slot, uint32_t round)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (at(m, 1, slot)[i] != (input(m, slot, i, round) + 1) * m->factor)
			return false;
	return at(m, 1, slot)[m->n] == 0;	/* nothing beyond */
}

/* ---- launches ---- */

struct flight {
	struct backend_launch launch;
	struct backend_group groups[MODELS];
	struct backend_io io[MODELS][MAX_DEGREE * 2];
	uint32_t slots[MODELS][MAX_DEGREE];
	uint32_t left, round;
	size_t shift;			/* bytes: misaligned on purpose */
};

static void prepare(struct flight *f, uint32_t g, struct model *m, const uint32_t *slots,
		    uint32_t degree)
{
	f->groups[g] = (struct backend_group){ .model = m->bm, .degree = degree, .io = f->io[g],
					       .priv = f };
	for (uint32_t r = 0; r < degree; r++) {
		f->slots[g][r] = slots[r];
		for (int i = 0; i < 2; i++)
			f->io[g][2 * r + i] = (struct backend_io){
				m->buf[i], slots[r] * m->stride * sizeof(float) };
	}
}

static void reap_one(void)
{
	struct backend_group *done[8];
	struct pollfd p = { .fd = ops->event_fd(be), .events = POLLIN };
	unsigned int n;

	while (!(n = ops->reap(be, done, 8)))
		if (!poll(&p, 1, 10000)) {
			check(false, "nothing ends");
			exit(2);
		}
	for (unsigned int i = 0; i < n; i++) {
		struct flight *f = done[i]->priv;

		check(!done[i]->status, "a group ends well");
		check(done[i]->end_ns >= done[i]->start_ns, "times are in order");
		f->left--;
	}
}

/* One group by itself, and whether its outputs are right. */
static bool run(struct model *m, uint32_t first, uint32_t degree, uint32_t round)
{
	struct flight f = { .left = 1 };
	uint32_t slots[MAX_DEGREE];
	bool good = true;

	for (uint32_t r = 0; r < degree; r++) {
		slots[r] = (first + r) % SLOTS;
		fill(m, slots[r], round);
	}
	prepare(&f, 0, m, slots, degree);
	f.launch = (struct backend_launch){ .groups = f.groups, .n_groups = 1 };
	if (ops->launch(be, &f.launch))
		return false;
	while (f.left)
		reap_one();
	for (uint32_t r = 0; r < degree; r++)
		good &= right(m, slots[r], round);
	return good;
}

static bool load_all(uint32_t lanes, const char *cache)
{
	static const uint32_t sizes[MODELS] = { 40, 300, 5000 };
	char why[512];

	if (open_it(lanes, cache, why, sizeof(why))) {
		check(false, "opens: %s", why);
		return false;
	}
	for (int i = 0; i < MODELS; i++) {
		describe(&models[i], sizes[i], i + 2);
		if (load(&models[i], why, sizeof(why))) {
			check(false, "loads: %s", why);
			return false;
		}
	}
	return true;
}

static void close_all(void)
{
	for (int i = 0; i < MODELS; i++)
		unload(&models[i]);
	ops->close(be);
	check(!page->misuse, "%u calls that a real driver would not survive",
	      (unsigned int)page->misuse);
	check(!page->bytes, "%u bytes of the device are left", (unsigned int)page->bytes);
}

static void plain(void)
{
	if (!load_all(4, NULL))
		return;
	for (uint32_t d = 1; d <= MAX_DEGREE; d++)
		for (int i = 0; i < MODELS; i++)
			check(run(&models[i], d * 5, d, d), "model %d at degree %u", i, d);
	check(ops->degree(models[0].bm, 7) == 7 && ops->degree(models[0].bm, 100) == MAX_DEGREE,
	      "degrees");
	check(ops->credits(be, models[0].bm, false) == 4 &&
	      ops->credits(be, models[0].bm, true) == 4 * MAX_DEGREE, "credits of free lanes");
	ops->limit(be, 1);
	check(ops->credits(be, models[0].bm, false) == 1, "credits under a limit");
	ops->limit(be, 0);
	close_all();
}

/* Nothing of this may change while it serves. */
struct made {
	uint64_t allocs, instantiated, modules, compiled, registered, pageable;
};

static struct made made(void)
{
	return (struct made){ page->allocs, page->instantiated, page->modules, page->compiled,
			      page->registered, page->pageable };
}

static uint32_t draw(uint32_t below)
{
	static unsigned int seed = 7;

	return rand_r(&seed) % below;
}

/* A random launch of unused slots; false: there are none. */
static bool random_launch(struct flight *f, enum backend_form form, uint32_t round)
{
	uint32_t n = form == BACKEND_LANES ? 1 : 2 + draw(MODELS - 1), first = draw(MODELS);

	memset(f, 0, sizeof(*f));
	f->round = round;
	for (uint32_t g = 0; g < n; g++) {
		struct model *m = &models[(first + g) % MODELS];
		uint32_t degree = form == BACKEND_LANES ? 1 + draw(MAX_DEGREE) : 1 << draw(2);
		uint32_t slots[MAX_DEGREE], have = 0;

		for (uint32_t s = 0; s < SLOTS && have < degree; s++) {
			if (m->busy[s])
				continue;
			m->busy[s] = true;
			fill(m, s, round);
			slots[have++] = s;
		}
		if (have < degree)
			return false;
		prepare(f, g, m, slots, degree);
	}
	f->launch = (struct backend_launch){ .groups = f->groups, .n_groups = n, .form = form };
	f->left = n;
	return true;
}

static void verify(struct flight *f)
{
	for (uint32_t g = 0; g < f->launch.n_groups; g++) {
		struct model *m = &models[0];

		while (m->bm != f->groups[g].model)
			m++;
		if (f->launch.ran != BACKEND_LANES)
			check(f->groups[g].staged == (f->groups[g].others && m->n > 4096),
			      "of a window beside others large inputs are copied");
		for (uint32_t r = 0; r < f->groups[g].degree; r++) {
			check(right(m, f->slots[g][r], f->round), "slot %u of %u floats, degree %u",
			      f->slots[g][r], m->n, f->groups[g].degree);
			m->busy[f->slots[g][r]] = false;
		}
	}
}

static unsigned int many(unsigned int launches, enum backend_form form)
{
	static struct flight flights[6];
	bool used[6] = { false };
	unsigned int as_asked = 0;

	for (unsigned int i = 0; i < launches || used[0] || used[1] || used[2] || used[3] ||
				used[4] || used[5];) {
		unsigned int k = 0;
		int ret;

		while (k < 6 && used[k])
			k++;
		if (k < 6 && i < launches && random_launch(&flights[k], form, i)) {
			while ((ret = ops->launch(be, &flights[k].launch)) == -EAGAIN)
				reap_one();
			check(!ret, "launch: %d", ret);
			as_asked += flights[k].launch.ran == form;
			used[k] = true;
			i++;
		} else {
			reap_one();
		}
		for (k = 0; k < 6; k++) {
			if (!used[k] || flights[k].left)
				continue;
			verify(&flights[k]);
			used[k] = false;
		}
	}
	return as_asked;
}

/* Of buffers, so far. */
static long long told(const char *what)
{
	json_t *o = ops->about(be);
	long long n = json_integer_value(json_object_get(json_object_get(o, "buffers"), what));

	json_decref(o);
	return n;
}

static void crowd(void)
{
	struct made before, after;

	page->slow_us = 300;
	page->shuffle = 3;
	if (!load_all(4, NULL))
		return;
	usleep(100000);		/* buffers get known, graphs get better */
	for (int i = 0; i < 500 && !ops->settled(be); i++)
		usleep(10000);
	before = made();
	many(150, BACKEND_LANES);
	after = made();
	check(!memcmp(&before, &after, sizeof(before)),
	      "nothing is allocated, made or compiled while it serves");
	check(page->most_running >= 3, "launches run beside each other");
	check(told("registered") == 2 * MODELS && told("register_ns") > 0 && !told("unregistered"),
	      "%lld buffers are registered", told("registered"));
	unload(&models[0]);
	check(told("unregistered") == 2 && told("unregister_ns") > 0, "and two no longer");
	check(!load(&models[0], said, sizeof(said)), "a model comes back");
	close_all();
}

/* Launches at once; how many of those that found three in flight had their inputs copied. */
static unsigned int copied(struct model *m, unsigned int n, unsigned int *in_crowd)
{
	static struct flight flights[6];
	unsigned int seen = 0;

	for (uint32_t i = 0; i < n; i++) {
		fill(m, i, i);
		flights[i].left = 1;
		prepare(&flights[i], 0, m, &i, 1);
		flights[i].launch = (struct backend_launch){ .groups = flights[i].groups, .n_groups = 1 };
		while (ops->launch(be, &flights[i].launch) == -EAGAIN)
			reap_one();
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct backend_group *g = flights[i].groups;

		while (flights[i].left)
			reap_one();
		check(right(m, i, i), "request %u", i);
		*in_crowd += g->others >= 3;
		seen += (n == 1 || g->others >= 3) && g->staged;
	}
	return seen;
}

/* In a crowd inputs are copied, with nothing known yet; alone what is cheaper is found out. */
static void copying(void)
{
	unsigned int n = 0, alone = 0, beside = 0, in_crowd = 0;

	page->slow_us = 3000;
	describe(&models[0], 5000, 2);
	check(!open_it(6, NULL, said, sizeof(said)), "opens: %s", said);
	check(!load(&models[0], said, sizeof(said)), "loads: %s", said);
	for (; n < 10; n++)
		beside += copied(&models[0], 6, &in_crowd);
	check(in_crowd > 10 && beside == in_crowd, "%u of %u are copied in a crowd", beside, in_crowd);
	for (n = in_crowd = 0; n < 20; n++)
		alone += copied(&models[0], 1, &in_crowd);
	check(alone && alone < n && !in_crowd, "alone both ways are tried: %u of %u are copied", alone, n);
	unload(&models[0]);
	ops->close(be);
	check(!page->misuse && !page->bytes, "nothing is left");
}

/*
 * Launches, till 40 have run in that form; how many did. It is a part of them, which
 * depends on what else is in flight.
 */
static unsigned int in_form(enum backend_form form, unsigned int pause_us)
{
	unsigned int n = 0;

	for (int i = 0; i < 300 && n < 40; i++) {
		n += many(20, form);
		usleep(pause_us);
	}
	return n;
}

static void composed(enum backend_form form)
{
	unsigned int n;

	page->slow_us = 100;
	if (!load_all(8, NULL))
		return;
	n = in_form(form, 20000);
	check(n >= 40, "graphs of several models are used: %u times; %s", n, said);
	close_all();
}

static void branches(void)
{
	composed(BACKEND_BRANCHES);
}

static void side_by_side(void)
{
	composed(BACKEND_SIDE_BY_SIDE);
}

/* A thread of this process can give way, and take it back. */
static bool can_give_way(void)
{
	const int own = getpriority(PRIO_PROCESS, 0);

	return own < PRIO_MAX - 1 && !setpriority(PRIO_PROCESS, 0, own + 1) &&
	       !setpriority(PRIO_PROCESS, 0, own);
}

/* Branches need no compiler, so they do not wait for what does; that it is at work is told. */
static void busy_compilers(void)
{
	const bool may_be_nicer = can_give_way();
	unsigned int n;

	if (!load_all(8, NULL))
		return;
	page->compile_ms = 4000;
	for (int i = 0; i < 10; i++)
		many(20, BACKEND_SIDE_BY_SIDE);
	n = in_form(BACKEND_BRANCHES, 1000);
	check(n >= 40, "branches are used: %u times; %s", n, said);
	check(!ops->settled(be), "and kernels are still being compiled");
	page->compile_ms = 0;
	for (int i = 0; i < 2000 && !ops->settled(be); i++)
		usleep(20000);
	check(ops->settled(be), "all graphs that were asked for are made");
	if (may_be_nicer) {
		check(page->nice_compiled > 0, "threads that compile give way to those that serve");
		check(!page->nice_loaded, "but not while the driver works: %llu times",
		      (unsigned long long)page->nice_loaded);
	}
	n = in_form(BACKEND_SIDE_BY_SIDE, 20000);
	check(n >= 40, "side by side: %u times; %s", n, said);
	close_all();
}

/* Memory that the device does not reach is staged. */
static void staged(void)
{
	page->no_register = 1;
	if (!load_all(4, NULL))
		return;
	many(60, BACKEND_LANES);
	many(20, BACKEND_BRANCHES);
	check(!page->registered && !page->pageable, "through pinned memory");
	check(told("staged_requests") >= 80 && !told("registered"), "%lld requests", told("staged_requests"));
	close_all();
}

/*
 * One that makes buffer after buffer has some of them registered at once and the
 * others when they are used, staged till then; nobody else is limited by that.
 */
static void greedy(void)
{
	enum { MANY = 400, AT_ONCE = 256, SOME_MORE = 60 };	/* one in 20 ms */
	struct backend_buf *bufs[MANY], *other;
	struct model *m = &models[0];
	unsigned int later = 0;
	long long before, n;
	float *map;
	int fd;

	if (!load_all(4, NULL))
		return;
	usleep(100000);
	before = told("registered");
	fd = memory(4096, &map);
	munmap(map, 4096);
	for (int i = 0; i < MANY; i++)
		check(!ops->buf_map(be, fd, 4096, 7, &bufs[i]), "a buffer is mapped");
	for (int i = 0; i < 2; i++) {
		const size_t bytes = SLOTS * m->stride * sizeof(float);
		int two = memory(bytes, &map);

		later += !ops->buf_unmap(be, m->buf[i], m);
		munmap(m->map[i], bytes);
		m->map[i] = map;
		check(!ops->buf_map(be, two, bytes, 7, &m->buf[i]), "and two more");
		close(two);
	}
	check(!ops->buf_map(be, fd, 4096, 8, &other), "and one of another tenant");
	close(fd);
	for (int i = 0; i < 1000 && !ops->settled(be); i++)
		usleep(10000);
	n = told("registered") - before;
	check(n > AT_ONCE && n <= AT_ONCE + 1 + SOME_MORE, "%lld of %d are registered", n,
	      MANY + 3);
	check(run(m, 0, 1, 0) && told("staged_requests") > 0, "one that is not is staged");
	for (int i = 0; i < 200 && told("registered") - before < n + 2; i++) {
		check(run(m, 0, 1, i), "and right");
		usleep(10000);
	}
	check(told("registered") - before >= n + 2, "and registered as it is used");
	for (int i = 0; i < MANY; i++)
		later += !ops->buf_unmap(be, bufs[i], bufs[i]);
	later += !ops->buf_unmap(be, other, other);
	unmapped(later);
	close_all();
}

static void integrated(void)
{
	page->integrated = 1;
	if (!load_all(2, NULL))
		return;
	many(40, BACKEND_LANES);
	close_all();
}

/* A second start finds its kernels. */
static void cached(void)
{
	char dir[] = "/tmp/braid-kernels-XXXXXX", command[128];
	uint64_t compiled;

	if (!mkdtemp(dir) || !load_all(2, dir))
		return;
	compiled = page->compiled;
	check(compiled == 3 * MODELS, "kernels are compiled once: %u", (unsigned int)compiled);
	close_all();
	if (!load_all(2, dir))
		return;
	check(page->compiled == compiled, "and found again");
	check(run(&models[1], 0, 3, 1), "and right");
	close_all();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	check(!system(command), "cleaned up");
}

static void refused(void)
{
	char why[512];

	if (open_it(2, NULL, why, sizeof(why)))
		exit(2);
	describe(&models[0], 64, FAKE_REFUSED);
	check(load(&models[0], why, sizeof(why)) == -EOPNOTSUPP && strstr(why, "fancy_1"),
	      "an operator that is not there: %s", why);
	describe(&models[0], 64, 3);
	page->fail_compile = 1;
	check(load(&models[0], why, sizeof(why)) && strstr(why, "does not compile") &&
	      strstr(why, "told to fail"), "a kernel that does not compile: %s", why);
	check(!load(&models[0], why, sizeof(why)) && run(&models[0], 0, 2, 0), "the next time it does");
	check(!ops->launch(be, &(struct backend_launch){ .n_groups = 0 }) == 0, "an empty launch");
	unload(&models[0]);
	ops->close(be);
	check(!page->misuse && !page->bytes, "nothing is left");
}

static void small(void)
{
	char why[512];
	uint64_t all;

	if (open_it(8, NULL, why, sizeof(why)))
		exit(2);
	describe(&models[0], 4000, 2);
	check(!load(&models[0], why, sizeof(why)), "loads");
	all = page->bytes;
	unload(&models[0]);
	while (page->bytes)
		usleep(1000);
	/* Room for three slots of ten. */
	page->memory = all * 3 / 10;
	describe(&models[0], 4000, 2);
	check(!load(&models[0], why, sizeof(why)), "loads with fewer lanes: %s", why);
	check(run(&models[0], 0, MAX_DEGREE, 0), "and is right");
	check(page->bytes <= page->memory, "in the memory that there is");
	unload(&models[0]);
	while (page->bytes)
		usleep(1000);
	page->memory = all / 20;
	describe(&models[0], 4000, 2);
	check(load(&models[0], why, sizeof(why)) == -ENOMEM && strstr(why, "out of GPU memory") &&
	      strstr(why, "MiB"), "too little: %s", why);
	ops->close(be);
	check(!page->misuse && !page->bytes, "nothing is left");
}

static void absent(void)
{
	char why[512];

	page->devices = 1;
	check(open_it(2, NULL, why, sizeof(why)) == -ENODEV && strstr(why, "no GPU"), "%s", why);
}

static void old(void)
{
	char why[512];

	page->driver_version = 11080;
	check(open_it(2, NULL, why, sizeof(why)) == -ENOTSUP && strstr(why, "11.8") &&
	      strstr(why, "12.0"), "%s", why);
}

static void feeble(void)
{
	char why[512];

	page->sm = 61;
	check(open_it(2, NULL, why, sizeof(why)) == -ENODEV && strstr(why, "6.1"), "%s", why);
}

static void green(void)
{
	const struct backend_config cfg = { .lanes = 2, .max_degree = 4, .sms = 5, .say = say };
	char why[512] = "";

	check(!ops->open(&cfg, &be, why, sizeof(why)), "%s", why);
	check(strstr(said, " 8 multiprocessors"), "a part of the device: %s", said);
	ops->close(be);
}

/* Faults show within milliseconds, and nothing is reaped afterwards. */
static void bad_end(enum backend_sabotage sabotage, standin_word *word)
{
	struct flight f = { .left = 1 };
	struct backend_group *done[8];
	uint32_t slot = 0;

	if (!load_all(2, NULL))
		return;
	check(run(&models[0], 0, 1, 0), "works at first");
	prepare(&f, 0, &models[0], &slot, 1);
	f.launch = (struct backend_launch){ .groups = f.groups, .n_groups = 1,
					    .sabotage = sabotage };
	if (word)
		*word = 1;
	check(!ops->launch(be, &f.launch), "is launched");
	for (int i = 0; i < 200 && !lost_why[0]; i++) {
		check(!ops->reap(be, done, 8), "nothing ends");
		usleep(1000);
	}
	check(!word == !lost_why[0], word ? "the loss is told" : "a hang is for the watchdog");
	check(lost_by_launch == blamed, "and whether a launch did it");
	_exit(failures ? 1 : 0);	/* as the runner does */
}

/* What a launch did is told apart from what happened to the device. */
static void fault(void)
{
	blamed = true;
	bad_end(BACKEND_NO_SABOTAGE, &page->fault);
}

static void memory_fails(void)
{
	page->fault_as = 214;	/* an ECC error that can't be corrected */
	bad_end(BACKEND_NO_SABOTAGE, &page->fault);
}

static void launch_fails(void)
{
	blamed = true;
	bad_end(BACKEND_NO_SABOTAGE, &page->fail_launch);
}

static void hang(void)
{
	bad_end(BACKEND_HANG, NULL);
}

/* The stand-in has no such kernel: that is told, and all else is served. */
static void no_witness(void)
{
	const struct backend_config cfg = { .max_degree = MAX_DEGREE, .say = say, .witness = true };
	char why[256] = "";
	const char *words;
	json_t *o;

	check(!ops->open(&cfg, &be, why, sizeof(why)), "not opened: %s", why);
	o = ops->about(be);
	words = json_string_value(json_object_get(json_object_get(o, "witness"), "error"));
	check(words && strstr(words, "loading its kernel"), "error: %s", words ? words : "none");
	json_decref(o);
	ops->close(be);
}

static const struct {
	const char *name;
	void (*run)(void);
	const char *what;
} scenarios[] = {
	{ "plain", plain, "every degree, every model, each by itself" },
	{ "crowd", crowd, "many at once, streams in any order, nothing made on the way" },
	{ "branches", branches, "several models in one graph, a branch each" },
	{ "side_by_side", side_by_side, "several models side by side in the same kernels" },
	{ "busy_compilers", busy_compilers, "branches do not wait for kernels that are compiled" },
	{ "copying", copying, "in a crowd inputs are copied" },
	{ "staged", staged, "memory that can't be registered is staged" },
	{ "greedy", greedy, "registering is limited for each tenant" },
	{ "integrated", integrated, "one memory for host and device" },
	{ "cached", cached, "a second start compiles nothing" },
	{ "refused", refused, "operators and kernels that are refused" },
	{ "small", small, "little memory: fewer lanes, then words" },
	{ "absent", absent, "no GPU" },
	{ "old", old, "an old driver" },
	{ "feeble", feeble, "an old GPU" },
	{ "green", green, "some multiprocessors" },
	{ "no_witness", no_witness, "a witness that can't be" },
	{ "fault", fault, "a fault on the device is told" },
	{ "memory_fails", memory_fails, "memory that fails is told, and is no launch's fault" },
	{ "launch_fails", launch_fails, "a launch that fails is told" },
	{ "hang", hang, "a launch that hangs is not reaped" },
};

#define SCENARIOS	(sizeof(scenarios) / sizeof(scenarios[0]))

static int in_scenario(const char *name)
{
	const char *path = getenv(STANDIN_ENV);
	int fd = path ? open(path, O_RDWR) : -1;

	page = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED,
					   fd, 0);
	if (page == MAP_FAILED)
		return 3;
	for (size_t i = 0; i < SCENARIOS; i++)
		if (!strcmp(scenarios[i].name, name))
			scenarios[i].run();
	fflush(stdout);
	return failures ? 1 : 0;
}

static int start(const char *name, const char *path)
{
	const char *top = getenv("O") ? getenv("O") : "build";
	char lib[4096];
	struct standin fresh = { .magic = STANDIN_MAGIC };
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), status;
	pid_t pid;

	if (fd < 0 || write(fd, &fresh, sizeof(fresh)) != sizeof(fresh))
		return -1;
	close(fd);
	snprintf(lib, sizeof(lib), "%s/standin", top);
	pid = fork();
	if (!pid) {
		setenv("LD_LIBRARY_PATH", lib, 1);
		setenv(STANDIN_ENV, path, 1);
		alarm(55);
		execl("/proc/self/exe", "test_cuda_backend", name, NULL);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid ? -1 : status;
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/braid-standin-XXXXXX";

	if (argc > 1 && getenv(STANDIN_ENV))
		return in_scenario(argv[1]);
	close(mkstemp(path));
	for (size_t i = 0; i < SCENARIOS; i++)
		if (argc < 2 || !strcmp(argv[1], scenarios[i].name))
			is_int(start(scenarios[i].name, path), 0, "%s: %s", scenarios[i].name,
			       scenarios[i].what);
	unlink(path);
	return tap_done();
}
