// SPDX-License-Identifier: MIT
/*
 * The calls of the fuzzer: see fuzz_calls.h. A structure is first made right,
 * from what is known, and then some of its fields are made wrong, as the call's
 * bytes say.
 */
#include "tests/vm/fuzz_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/vm/dev.h"

#define TENANTS	2
#define KEEP	8
#define ROOM	(64 << 10)

/* Ids of one kind that were seen lately. */
struct pool {
	uint64_t v[KEEP];
	unsigned int n;
};

static struct {
	unsigned int number;
	int agent, tenants[TENANTS];
	int files[KEEP];		/* of buffers */
	unsigned int n_files;
	void *maps[KEEP];
	unsigned int n_maps;
	struct pool models, buffers, requests, cookies, windows;
	uint64_t generation;
} w;

/* Structures and arrays lie here, with an unmapped page behind. */
static uint8_t *room;
static volatile bool flip;		/* the thread may */

static const struct fuzz_call *call;
static unsigned int at;

static uint8_t byte(void)
{
	return at < FUZZ_BYTES ? call->bytes[at++] : 0;
}

static void keep(struct pool *p, uint64_t v)
{
	p->v[p->n++ % KEEP] = v;
}

/* One of the pool as a rule, else a number near it or far away. */
static uint64_t some(const struct pool *p)
{
	uint8_t b = byte();
	uint64_t v = p->n ? p->v[(p->n - 1 - b % 4) % KEEP] : 1;

	if (b < 200)
		return v;
	return b < 220 ? v + 1 : b < 240 ? 0 : b < 250 ? v | 1ull << 40 : ~0ull;
}

static const uint64_t odd[] = {
	0, 1, 2, 7, 8, 63, 64, 255, 256, 257, 4095, 4096, 4097, 65535, 1u << 20, 0x7fffffff,
	0x80000000, 0xffffffff, 1ull << 32, 1ull << 52, 1ull << 63, ~0ull, ~0ull - 63, ~0ull - 4095,
};

static uint64_t number(uint64_t plain)
{
	uint8_t b = byte();

	if (b < 160)
		return plain;
	if (b < 180)
		return plain + 1;
	if (b < 200)
		return plain - 1;
	return odd[b % (sizeof(odd) / sizeof(odd[0]))];
}

/* An address with so much room behind it, or with less, or none. */
static uint64_t address(uint64_t offset, size_t bytes)
{
	uint8_t b = byte();

	if (b < 190)
		return (uintptr_t)room + offset;
	if (b < 215)
		return (uintptr_t)room + ROOM - bytes;
	if (b < 230)
		return (uintptr_t)room + ROOM - bytes / 2;
	if (b < 240)
		return (uintptr_t)room + ROOM;
	if (b < 245 && w.n_maps)
		return (uintptr_t)w.maps[b % w.n_maps];
	if (b < 250)
		return 0;
	return b < 253 ? 0xffffffff81000000ull : ~0ull - 8;
}

static struct braid_array array(uint64_t offset, uint32_t stride, uint32_t count)
{
	return (struct braid_array){ number(stride), number(count),
				     address(offset, (size_t)stride * count) };
}

static uint32_t size_of(uint32_t bytes)
{
	uint8_t b = byte();

	if (b < 200)
		return bytes;
	return b < 210 ? bytes + 8 : b < 220 ? bytes - 8 : b < 230 ? 0 : number(4096);
}

/* Put the structure into the room, call, and have it back. */
static int go(int fd, unsigned int nr, void *arg, size_t bytes)
{
	uint64_t where = address(0, bytes);
	int ret;

	memset(room, 0, 512);
	memcpy(room, arg, bytes);
	if (where > (uintptr_t)room && where - (uintptr_t)room <= ROOM - bytes)
		memcpy((void *)(uintptr_t)where, arg, bytes);
	flip = byte() > 200;
	ret = dev_call(fd, nr, (void *)(uintptr_t)where);
	flip = false;
	if (!ret && where == (uintptr_t)room)
		memcpy(arg, room, bytes);
	return ret;
}

static int tenant(void)
{
	return w.tenants[byte() % TENANTS];
}

static void got_file(int fd)
{
	if (fd < 3)
		return;
	if (w.n_files < KEEP)
		w.files[w.n_files++] = fd;
	else
		close(fd);
}

static int get_info(void)
{
	struct braid_get_info i = { .size = size_of(sizeof(i)), .flags = number(0) };

	return go(byte() < 128 ? tenant() : w.agent, BRAID_NR_GET_INFO, &i, sizeof(i));
}

static int model_get(void)
{
	struct braid_model_get g = {
		.size = size_of(sizeof(g)), .flags = number(0), .id = some(&w.models),
		.tensors = array(1024, sizeof(struct braid_tensor), 2),
	};
	int ret = go(tenant(), BRAID_NR_MODEL_GET, &g, sizeof(g));

	if (!ret)
		keep(&w.models, g.id);
	return ret;
}

static int buf_alloc(void)
{
	struct braid_buf_alloc a = { .size = size_of(sizeof(a)), .flags = number(0),
				     .length = number(BRAID_BUF_ALIGN), .reserved = number(0) };
	int ret;

	/* Gigabytes are refused by quota, megabytes only cost time. */
	ret = go(tenant(), BRAID_NR_BUF_ALLOC, &a, sizeof(a));
	if (!ret && a.id) {
		keep(&w.buffers, a.id);
		got_file(a.fd);
	}
	return ret;
}

static int buf_free(void)
{
	struct braid_buf_free f = { .size = size_of(sizeof(f)), .flags = number(0),
				    .id = some(&w.buffers) };

	return go(tenant(), BRAID_NR_BUF_FREE, &f, sizeof(f));
}

static int submit(void)
{
	struct braid_request *r = (void *)(room + 1024);
	struct braid_slice *s = (void *)(room + 32768);
	unsigned int n = 1 + byte() % 8;
	struct braid_submit arg = {
		.size = size_of(sizeof(arg)), .flags = number(0),
		.requests = array(1024, sizeof(*r), n), .slices = array(32768, sizeof(*s), 2 * n),
	};
	int ret, t = tenant();

	for (unsigned int i = 0; i < n; i++) {
		r[i] = (struct braid_request){
			.user_data = i, .model = some(&w.models),
			.priority = i ? 1 : number(1), .flags = i ? 0 : number(0),
			.deadline_ns = byte() > 180 ? dev_now() + number(1000000) : 0,
			.first_slice = i ? 2 * i : number(0), .n_inputs = i ? 1 : number(1),
			.n_outputs = i ? 1 : number(1),
		};
		for (unsigned int k = 2 * i; k < 2 * i + 2; k++)
			s[k] = (struct braid_slice){
				k > 1 ? s[0].buffer : some(&w.buffers),
				k > 1 ? k * SLOT_BYTES : number(k * SLOT_BYTES),
				k > 1 ? SLOT_BYTES : number(SLOT_BYTES),
			};
	}
	ret = go(t, BRAID_NR_SUBMIT, &arg, sizeof(arg));
	if (!ret)
		keep(&w.requests, arg.first_id);
	return ret;
}

static int cancel(void)
{
	struct braid_cancel c = { .size = size_of(sizeof(c)), .flags = number(0),
				  .id = some(&w.requests), .reserved = number(0) };

	return go(tenant(), BRAID_NR_CANCEL, &c, sizeof(c));
}

static int model_put(void)
{
	struct braid_tensor *t = (void *)(room + 1024);
	struct braid_model_put p = {
		.size = size_of(sizeof(p)), .flags = number(0), .name = "inverse",
		.device_ns = number(1000), .n_inputs = number(1), .n_outputs = number(1),
		.tensors = array(1024, sizeof(*t), 2),
	};
	int ret;

	p.digest[0] = byte() % 8;
	if (byte() > 220)
		memset(p.name, 'x', sizeof(p.name));
	for (unsigned int i = 0; i < 2; i++) {
		t[i] = (struct braid_tensor){ .name = "x", .type = number(BRAID_TYPE_U8),
					      .rank = number(1), .bytes = number(SLOT_BYTES) };
		t[i].dims[0] = number(SLOT_BYTES);
	}
	ret = go(w.agent, BRAID_NR_MODEL_PUT, &p, sizeof(p));
	if (!ret)
		keep(&w.models, p.id);
	return ret;
}

static int model_del(void)
{
	struct braid_model_del d = { .size = size_of(sizeof(d)), .flags = number(byte() & 1),
				     .id = some(&w.models) };

	return go(w.agent, BRAID_NR_MODEL_DEL, &d, sizeof(d));
}

static int ready(void)
{
	struct braid_ready r = { .size = size_of(sizeof(r)), .flags = number(0) };
	int ret = go(w.agent, BRAID_NR_READY, &r, sizeof(r));

	if (!ret)
		w.generation = r.generation;
	return ret;
}

static void on_alarm(int sig)
{
}

static int fetch(void)
{
	struct braid_want *want = (void *)(room + 1024);
	struct braid_job *jobs = (void *)(room + 4096);
	struct braid_event *events = (void *)(room + 49152);
	struct braid_fetch f = {
		.size = size_of(sizeof(f)), .flags = byte() < 200 ? BRAID_FETCH_NONBLOCK : number(0),
		.wants = array(1024, sizeof(*want), 1), .jobs = array(4096, sizeof(*jobs), 16),
		.slices = array(32768, sizeof(struct braid_slice), 64),
		.events = array(49152, sizeof(*events), 16),
	};
	struct itimerval soon = { .it_value.tv_usec = 20000 }, never = { 0 };
	int ret;

	*want = (struct braid_want){ some(&w.models), number(4), number(0) };
	if (!(f.flags & BRAID_FETCH_NONBLOCK)) {
		soon.it_interval = soon.it_value;
		setitimer(ITIMER_REAL, &soon, NULL);
	}
	ret = go(w.agent, BRAID_NR_FETCH, &f, sizeof(f));
	setitimer(ITIMER_REAL, &never, NULL);
	if (!ret && f.jobs.ptr == (uintptr_t)jobs && f.jobs.stride == sizeof(*jobs))
		for (uint32_t i = 0; i < f.jobs.count && i < 16; i++)
			keep(&w.cookies, jobs[i].cookie);
	return ret;
}

static int commit(void)
{
	struct braid_result *r = (void *)(room + 1024);
	unsigned int n = 1 + byte() % 4;
	struct braid_commit c = {
		.size = size_of(sizeof(c)), .flags = number(0), .generation = number(w.generation),
		.results = array(1024, sizeof(*r), n), .reserved = number(0),
	};

	for (unsigned int i = 0; i < n; i++)
		r[i] = (struct braid_result){ some(&w.cookies), number(100), number(0), number(1),
					      number(1), 0 };
	return go(w.agent, BRAID_NR_COMMIT, &c, sizeof(c));
}

static int buf_get_fd(void)
{
	struct braid_buf_get_fd g = { .size = size_of(sizeof(g)), .flags = number(0),
				      .id = some(&w.buffers), .reserved = number(0) };
	int ret = go(w.agent, BRAID_NR_BUF_GET_FD, &g, sizeof(g));

	if (!ret)
		got_file(g.fd);
	return ret;
}

static int buf_put(void)
{
	struct braid_buf_put p = { .size = size_of(sizeof(p)), .flags = number(0),
				   .id = some(&w.buffers) };

	return go(w.agent, BRAID_NR_BUF_PUT, &p, sizeof(p));
}

/* Any command with any bytes. */
static int raw(void)
{
	unsigned int nr = byte(), size = size_of(64 + byte());
	int fd = byte() < 128 ? tenant() : w.agent;

	memset(room, byte(), 1024);
	memcpy(room, &size, sizeof(size));
	return dev_call(fd, nr, room);
}

static int take(void)
{
	uint64_t to = address(4096, 4096);
	ssize_t n = read(tenant(), (void *)(uintptr_t)to, number(4096));

	return n < 0 ? -errno : (int)n;
}

static int look(void)
{
	struct pollfd p[3] = { { w.agent, POLLIN }, { w.tenants[0], POLLIN }, { w.tenants[1], POLLIN } };

	return poll(p, 3, 0);
}

static int map(void)
{
	int fd = w.n_files ? w.files[byte() % w.n_files] : w.tenants[0];
	void *p = mmap(NULL, number(BRAID_BUF_ALIGN), byte() < 200 ? PROT_READ | PROT_WRITE : byte() & 7,
		       byte() < 200 ? MAP_SHARED : MAP_PRIVATE, fd, number(0) & ~4095ull);

	if (p == MAP_FAILED)
		return -errno;
	if (w.n_maps < KEEP)
		w.maps[w.n_maps++] = p;
	else
		munmap(p, BRAID_BUF_ALIGN);
	return 0;
}

static int unmap(void)
{
	if (!w.n_maps)
		return -ENOENT;
	return munmap(w.maps[--w.n_maps], BRAID_BUF_ALIGN) ? -errno : 0;
}

static int close_file(void)
{
	if (!w.n_files)
		return -ENOENT;
	return close(w.files[--w.n_files]) ? -errno : 0;
}

static int new_tenant(void)
{
	unsigned int i = byte() % TENANTS;

	close(w.tenants[i]);
	w.tenants[i] = dev_open(DEV_TENANT, O_NONBLOCK);
	return w.tenants[i];
}

static int new_agent(void)
{
	if (w.agent >= 0)
		close(w.agent);
	w.agent = dev_open(DEV_AGENT, 0);
	return w.agent;
}

static int knob(void)
{
	static const char *const texts[] = {
		"1", "8", "64", "0", "-1", "4294967295", "99999999999999999999", "adaptive", "fixed",
		"merge", "none", "uid", "cgroup", "\n", "", "x",
	};
	static const char *const names[] = {
		"window_max", "window_timeout_us", "window_policy", "fusion_policy", "tenant_depth",
		"max_attempts", "share_by", "depth",
	};
	char path[96] = DEV_SYSFS;

	strcat(path, names[byte() % 8]);
	return dev_write(path, texts[byte() % 16]);
}

static int other_call(void)
{
	int fd = w.n_files && byte() < 128 ? w.files[byte() % w.n_files] : tenant();

	switch (byte() % 8) {
	case 0:
		return ftruncate(fd, 0) ? -errno : 0;
	case 1:
		return write(fd, room, 64) < 0 ? -errno : 0;
	case 2:
		return lseek(fd, number(0), SEEK_SET) < 0 ? -errno : 0;
	case 3:
		return ioctl(fd, number(_IO(BRAID_IOC_TYPE, 0)), room) < 0 ? -errno : 0;
	case 4:
		return fsync(fd) ? -errno : 0;
	case 5:
		return fcntl(fd, F_SETFL, number(O_NONBLOCK) & ~(uint64_t)O_ASYNC) ? -errno : 0;
	case 6:
		return w.n_maps ? madvise(w.maps[0], BRAID_BUF_ALIGN, byte() % 26) : -ENOENT;
	default:
		return w.n_maps ? mprotect(w.maps[0], BRAID_BUF_ALIGN, PROT_READ | PROT_WRITE) : -ENOENT;
	}
}

/* The common ones stand several times. */
static int (*const kinds[])(void) = {
	submit, submit, submit, submit, fetch, fetch, fetch, fetch, commit, commit, commit,
	buf_alloc, buf_alloc, buf_free, take, take, cancel, model_put, model_del, ready,
	get_info, model_get, buf_get_fd, buf_put, raw, look, map, unmap, close_file, new_tenant,
	new_agent, knob, other_call,
};

static void *flipper(void *unused)
{
	unsigned int seed = 1;

	for (;;) {
		while (flip)
			room[rand_r(&seed) % 192 + (rand_r(&seed) % 2 ? 1024 : 0)] ^=
				1 << rand_r(&seed) % 8;
		usleep(100);
	}
	return NULL;
}

void fuzz_start(unsigned int number)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	sigset_t alarms;
	pthread_t thread;

	sigaction(SIGALRM, &sa, NULL);
	w.number = number;
	w.agent = w.tenants[0] = w.tenants[1] = -1;
	room = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(room + ROOM, 4096, PROT_NONE);
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarms, NULL);
	pthread_create(&thread, NULL, flipper, NULL);
	pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
}

void fuzz_reset(void)
{
	static const struct fuzz_call plain;

	while (w.n_maps)
		munmap(w.maps[--w.n_maps], BRAID_BUF_ALIGN);
	while (w.n_files)
		close(w.files[--w.n_files]);
	for (unsigned int i = 0; i < TENANTS; i++) {
		if (w.tenants[i] >= 0)
			close(w.tenants[i]);
		w.tenants[i] = dev_open(DEV_TENANT, O_NONBLOCK);
	}
	memset(&w.models, 0, sizeof(w.models));
	memset(&w.buffers, 0, sizeof(w.buffers));
	memset(&w.requests, 0, sizeof(w.requests));
	memset(&w.cookies, 0, sizeof(w.cookies));
	call = &plain;
	at = 0;
	/* The first process has the agent as a rule; the others try at times. */
	if (w.number == 0) {
		if (w.agent < 0)
			new_agent();
		model_put();
		ready();
	} else if (w.agent >= 0) {
		close(w.agent);
		w.agent = -1;
	}
	model_get();
	buf_alloc();
}

int fuzz_do(const struct fuzz_call *c)
{
	call = c;
	at = 0;
	return kinds[c->kind % (sizeof(kinds) / sizeof(kinds[0]))]();
}
