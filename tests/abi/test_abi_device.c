// SPDX-License-Identifier: MIT
/*
 * What only the device has: read() of every size, poll(), O_NONBLOCK, memory
 * that can't be read or written, descriptors that are shared, tracepoints.
 */
#include "tests/abi/abi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORD	sizeof(struct braid_completion)

static struct peer a, t;
static struct abi_fetch f;
static uint64_t model, other;
static uint8_t *none, *fixed;		/* pages: not to be touched; to be read only */
static long page;

/* So many completions to read; the id of the first. */
static uint64_t complete(unsigned int n)
{
	uint64_t first = 0, id;

	for (unsigned int i = 0; i < n; i++) {
		abi_submit(&t, model, 1, 0, &id);
		first = first ? first : id;
	}
	for (unsigned int done = 0; done < n; done += f.arg.jobs.count) {
		if (abi_jobs(&a, &f, model, n, ABI_LONG))
			break;
		abi_commit_all(&a, &f);
	}
	return first;
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

/* Reading @size bytes with three there: whole records, in order, the rest stays. */
static bool cut(size_t size)
{
	static uint8_t buf[4096];
	uint64_t first = complete(3);
	size_t want = size / RECORD > 3 ? 3 : size / RECORD, got = 0;
	struct braid_completion *c = (struct braid_completion *)buf;
	ssize_t n;
	bool right;

	memset(buf, 0xa5, sizeof(buf));
	n = read(t.fd, buf, size);
	right = want ? n == (ssize_t)(want * RECORD) : n < 0 && errno == EINVAL;
	for (size_t i = want * RECORD; i < sizeof(buf); i++)
		right &= buf[i] == 0xa5;
	for (; got < want; got++)
		right &= c[got].id == first + got && c[got].size == RECORD && !c[got].reserved;
	for (; got < 3; got++)
		right &= readable(t.fd) && read(t.fd, buf, RECORD) == RECORD &&
			 c->id == first + got;
	return right && !readable(t.fd);
}

static void test_read(void)
{
	unsigned int wrong = 0;

	for (size_t size = 0; size <= 4 * RECORD + 1; size++)
		wrong += !cut(size);
	is_int(wrong, 0, "read() of every size from 0 to %zu", 4 * RECORD + 1);
	ok(cut(4096), "and of more than there is");
	ok(pread(t.fd, none, RECORD, 0) < 0 && errno == ESPIPE, "pread(): ESPIPE");
	ok(lseek(t.fd, 0, SEEK_SET) < 0 && errno == ESPIPE, "lseek(): ESPIPE");
	ok(write(t.fd, "x", 1) < 0 && errno == EINVAL, "write(): EINVAL");
	ok(read(a.fd, fixed, 1) < 0 && errno == EINVAL, "read() by the agent: EINVAL");
}

static void test_nonblock(void)
{
	struct braid_completion c;

	fcntl(t.fd, F_SETFL, O_NONBLOCK);
	ok(read(t.fd, &c, sizeof(c)) < 0 && errno == EAGAIN, "O_NONBLOCK and nothing there: EAGAIN");
	ok(!readable(t.fd), "which poll() says as well");
	complete(1);
	ok(readable(t.fd) && read(t.fd, &c, sizeof(c)) == sizeof(c), "with something it is read");
	fcntl(t.fd, F_SETFL, 0);
}

static void *read_one(void *arg)
{
	static struct braid_completion c;

	return read(t.fd, &c, sizeof(c)) == sizeof(c) ? &c : NULL;
}

static void test_block(void)
{
	pthread_t thread;
	void *got = NULL;

	pthread_create(&thread, NULL, read_one, NULL);
	abi_sleep_ms(ABI_SOON);
	complete(1);
	pthread_join(thread, &got);
	ok(got, "a read() that waits is woken");
}

/* A record that can't be copied stays. */
static void test_read_fault(void)
{
	struct braid_completion c;
	uint64_t first = complete(2);
	ssize_t n;

	ok(read(t.fd, none, 2 * RECORD) < 0 && errno == EFAULT, "into no memory: EFAULT");
	ok(read(t.fd, none - 8, 2 * RECORD) < 0 && errno == EFAULT, "almost none: EFAULT");
	n = read(t.fd, none - RECORD, 2 * RECORD);
	ok(n == (ssize_t)RECORD, "room for one only: one");
	memcpy(&c, none - RECORD, sizeof(c));
	is_int(c.id, first, "the first");
	ok(read(t.fd, &c, sizeof(c)) == sizeof(c) && c.id == first + 1, "the other one is still there");
	ok(!readable(t.fd), "and that was all");
}

/* A command with its structure at @at. */
static int at(struct peer *p, uint32_t nr, void *arg)
{
	return ioctl(p->fd, _IO(BRAID_IOC_TYPE, nr), arg) ? -errno : 0;
}

static const struct {
	uint32_t nr;
	size_t size;
	bool agent;
} commands[] = {
	{ BRAID_NR_GET_INFO, sizeof(struct braid_get_info), false },
	{ BRAID_NR_MODEL_GET, sizeof(struct braid_model_get), false },
	{ BRAID_NR_BUF_ALLOC, sizeof(struct braid_buf_alloc), false },
	{ BRAID_NR_BUF_FREE, sizeof(struct braid_buf_free), false },
	{ BRAID_NR_SUBMIT, sizeof(struct braid_submit), false },
	{ BRAID_NR_CANCEL, sizeof(struct braid_cancel), false },
	{ BRAID_NR_GET_INFO, sizeof(struct braid_get_info), true },
	{ BRAID_NR_MODEL_GET, sizeof(struct braid_model_get), true },
	{ BRAID_NR_MODEL_PUT, sizeof(struct braid_model_put), true },
	{ BRAID_NR_MODEL_DEL, sizeof(struct braid_model_del), true },
	{ BRAID_NR_READY, sizeof(struct braid_ready), true },
	{ BRAID_NR_FETCH, sizeof(struct braid_fetch), true },
	{ BRAID_NR_COMMIT, sizeof(struct braid_commit), true },
	{ BRAID_NR_BUF_GET_FD, sizeof(struct braid_buf_get_fd), true },
	{ BRAID_NR_BUF_PUT, sizeof(struct braid_buf_put), true },
};

/* Structures that end where memory does, at every byte of them. */
static void test_struct_fault(void)
{
	unsigned int wrong = 0;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct peer *p = commands[i].agent ? &a : &t;
		uint32_t size = commands[i].size;

		wrong += at(p, commands[i].nr, NULL) != -EFAULT;
		wrong += at(p, commands[i].nr, none) != -EFAULT;
		for (size_t cut = 1; cut < size; cut++) {
			memset(none - cut, 0, cut);
			memcpy(none - cut, &size, cut < 4 ? cut : 4);
			wrong += at(p, commands[i].nr, none - cut) != -EFAULT;
		}
	}
	is_int(wrong, 0, "a structure that is not all there, cut at every byte: EFAULT");
}

static uint64_t bytes_used(void)
{
	struct braid_get_info i = { .size = sizeof(i) };

	abi_call(&t, BRAID_NR_GET_INFO, &i);
	return i.bytes_used;
}

static int lowest_fd(void)
{
	int fd = dup(t.fd);

	close(fd);
	return fd;
}

/* What can't be told has not happened. */
static void test_out_fault(void)
{
	const struct braid_get_info info = { .size = sizeof(info) };
	const struct braid_buf_alloc alloc = { .size = sizeof(alloc), .length = 4096 };
	uint64_t before = bytes_used();
	int fd = lowest_fd();

	memcpy(fixed, &info, sizeof(info));
	mprotect(fixed, page, PROT_READ);
	is_int(at(&t, BRAID_NR_GET_INFO, fixed), -EFAULT, "GET_INFO in memory to be read only: EFAULT");
	mprotect(fixed, page, PROT_READ | PROT_WRITE);
	memcpy(fixed, &alloc, sizeof(alloc));
	mprotect(fixed, page, PROT_READ);
	is_int(at(&t, BRAID_NR_BUF_ALLOC, fixed), -EFAULT, "BUF_ALLOC: EFAULT");
	mprotect(fixed, page, PROT_READ | PROT_WRITE);
	abi_drain(&a);
	is_int(bytes_used(), before, "and there is no buffer");
	is_int(lowest_fd(), fd, "nor a descriptor");
}

static uint32_t outstanding(void)
{
	struct braid_get_info i = { .size = sizeof(i) };

	abi_call(&t, BRAID_NR_GET_INFO, &i);
	return i.outstanding;
}

/* The same for what can't be undone: requests, their cancelling, their end. */
static void test_told_or_not(void)
{
	uint8_t *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	struct braid_slice s[2] = { { t.buf, 0, ABI_BYTES }, { t.buf, 1024, ABI_BYTES } };
	struct braid_request q = { .model = model, .priority = 1, .n_inputs = 1, .n_outputs = 1 };
	const struct braid_submit sub = {
		.size = sizeof(sub), .requests = { sizeof(q), 1, (uintptr_t)&q },
		.slices = { sizeof(s[0]), 2, (uintptr_t)s },
	};
	struct braid_cancel cancel = { .size = sizeof(cancel) };
	uint64_t id = 0;
	struct braid_result res = { .device_ns = 1 };
	struct braid_commit commit = { .size = sizeof(commit), .generation = a.generation,
				       .results = { sizeof(res), 1, (uintptr_t)&res } };

	memcpy(fixed, &sub, sizeof(sub));
	mprotect(fixed, page, PROT_READ);
	is_int(at(&t, BRAID_NR_SUBMIT, fixed), -EFAULT, "SUBMIT in memory to be read only: EFAULT");
	is_int(outstanding(), 0, "and nothing is accepted");
	mprotect(fixed, page, PROT_READ | PROT_WRITE);
	memcpy(two + page - sizeof(sub) + 1, &sub, sizeof(sub));
	mprotect(two + page, page, PROT_READ);
	is_int(at(&t, BRAID_NR_SUBMIT, two + page - sizeof(sub) + 1), -EFAULT,
	       "with its last byte alone in such memory: EFAULT");
	is_int(outstanding(), 0, "and nothing is accepted");
	munmap(two, 2 * page);

	is_int(abi_submit(&t, model, 1, 0, &id), 0, "a request");
	cancel.id = id;
	memcpy(fixed, &cancel, sizeof(cancel));
	mprotect(fixed, page, PROT_READ);
	is_int(at(&t, BRAID_NR_CANCEL, fixed), -EFAULT, "CANCEL there: EFAULT");
	mprotect(fixed, page, PROT_READ | PROT_WRITE);
	is_int(abi_jobs(&a, &f, model, 8, ABI_LONG), 0, "it is not cancelled");
	res.cookie = f.jobs[0].cookie;
	memcpy(fixed, &commit, sizeof(commit));
	mprotect(fixed, page, PROT_READ);
	is_int(at(&a, BRAID_NR_COMMIT, fixed), -EFAULT, "COMMIT there: EFAULT");
	mprotect(fixed, page, PROT_READ | PROT_WRITE);
	is_int(abi_status(&t, NULL, ABI_SOON), 1, "and it has not ended");
	abi_commit_all(&a, &f);
	is_int(abi_status(&t, NULL, ABI_LONG), 0, "before the next one");
}

#define TRACING	"/sys/kernel/tracing/"

static int tell_tracing(const char *file, const char *text)
{
	FILE *to = fopen(file, "w");
	int ret;

	if (!to)
		return -errno;
	ret = fputs(text, to) < 0 ? -EIO : 0;
	return fclose(to) ? -errno : ret;
}

static unsigned int traced(const char *event)
{
	FILE *from = fopen(TRACING "trace", "r");
	unsigned int n = 0;
	char line[512];

	while (from && fgets(line, sizeof(line), from))
		n += line[0] != '#' && strstr(line, event);
	if (from)
		fclose(from);
	return n;
}

/*
 * Every end is traced, also one whose time comes while its tenant's next request
 * waits for memory: what a deadline ends is ended by whoever comes first.
 */
static void test_traced(void)
{
	const unsigned int rounds = 300;
	unsigned int ended = 0;

	if (tell_tracing(TRACING "events/braid/braid_complete/enable", "1")) {
		tap_skip("every end is traced", "no tracing here");
		return;
	}
	tell_tracing(TRACING "trace", "");
	for (unsigned int i = 0; i < rounds; i++) {
		struct braid_request q[2] = {
			{ .model = model, .priority = 1, .n_inputs = 1, .n_outputs = 1 },
			{ .model = other, .priority = 1, .n_inputs = 1, .n_outputs = 1 },
		};
		struct braid_slice s[2] = { { 0, 0, ABI_BYTES }, { 0, 1024, ABI_BYTES } };
		struct braid_submit sub = {
			.size = sizeof(sub), .requests = { sizeof(q[0]), 2, (uintptr_t)q },
			.slices = { sizeof(s[0]), 2, (uintptr_t)s },
		};
		struct peer p;

		abi_tenant(&p);
		s[0].buffer = s[1].buffer = abi_buf(&p, 4096);
		q[0].deadline_ns = abi_now() + 2000 * (i % 100);
		abi_call(&p, BRAID_NR_SUBMIT, &sub);
		ended += abi_status(&p, NULL, ABI_LONG) == -ETIME;
		abi_close(&p);
		if (i % 32 == 31)
			abi_drain(&a);
	}
	is_int(ended, rounds, "requests whose time is over while others are taken");
	is_int(traced("braid_complete:"), rounds, "every end is traced");
	tell_tracing(TRACING "events/braid/braid_complete/enable", "0");
}

/* Arrays. */
static void test_array_fault(void)
{
	struct braid_slice s[2] = { { t.buf, 0, ABI_BYTES }, { t.buf, 1024, ABI_BYTES } };
	struct braid_request q = { .model = model, .priority = 1, .n_inputs = 1, .n_outputs = 1 };
	struct braid_submit sub = { .size = sizeof(sub) };
	struct braid_model_get g = { .size = sizeof(g), .id = model,
				     .tensors = { sizeof(struct braid_tensor), 2, (uintptr_t)none } };
	struct braid_model_put p = { .size = sizeof(p), .name = "fault", .device_ns = 1,
				     .n_inputs = 1, .n_outputs = 1,
				     .tensors = { sizeof(struct braid_tensor), 2, (uintptr_t)none } };
	struct braid_commit c = { .size = sizeof(c), .generation = a.generation,
				  .results = { sizeof(struct braid_result), 2, (uintptr_t)none } };
	struct braid_result res = { .device_ns = 1 };

	sub.requests = (struct braid_array){ sizeof(q), 1, (uintptr_t)none };
	sub.slices = (struct braid_array){ sizeof(s[0]), 2, (uintptr_t)s };
	is_int(abi_call(&t, BRAID_NR_SUBMIT, &sub), -EFAULT, "SUBMIT: requests nowhere: EFAULT");
	sub.requests.ptr = (uintptr_t)&q;
	sub.slices.ptr = (uintptr_t)none;
	is_int(abi_call(&t, BRAID_NR_SUBMIT, &sub), -EFAULT, "slices nowhere: EFAULT");
	sub.slices.ptr = ~0ull - 8;
	is_int(abi_call(&t, BRAID_NR_SUBMIT, &sub), -EFAULT, "at the end of all addresses: EFAULT");
	sub.slices.ptr = 1ull << 63 | (uintptr_t)s;
	is_int(abi_call(&t, BRAID_NR_SUBMIT, &sub), -EFAULT, "at an address that is none: EFAULT");
	sub.slices = (struct braid_array){ sizeof(s[0]), 2, (uintptr_t)none - sizeof(s[0]) };
	memcpy(none - sizeof(s[0]), &s[0], sizeof(s[0]));
	is_int(abi_call(&t, BRAID_NR_SUBMIT, &sub), -EFAULT, "the second one nowhere: EFAULT");
	is_int(sub.accepted, 0, "nothing was accepted");
	is_int(abi_call(&t, BRAID_NR_MODEL_GET, &g), -EFAULT, "MODEL_GET: tensors nowhere: EFAULT");
	is_int(abi_call(&a, BRAID_NR_MODEL_PUT, &p), -EFAULT, "MODEL_PUT likewise");
	is_int(abi_call(&a, BRAID_NR_COMMIT, &c), -EFAULT, "COMMIT: results nowhere: EFAULT");

	abi_submit(&t, model, 1, 0, NULL);
	is_int(abi_jobs(&a, &f, model, 8, ABI_LONG), 0, "a job");
	res.cookie = f.jobs[0].cookie;
	memcpy(none - sizeof(res), &res, sizeof(res));
	c.results = (struct braid_array){ sizeof(res), 2, (uintptr_t)none - sizeof(res) };
	is_int(abi_call(&a, BRAID_NR_COMMIT, &c), -EFAULT, "COMMIT: the second one nowhere: EFAULT");
	is_int(abi_status(&t, NULL, ABI_SOON), 1, "then the first is not taken either");
	abi_commit_all(&a, &f);
	is_int(abi_status(&t, NULL, ABI_LONG), 0, "and still can be");
}

/* A FETCH whose answer can't be written takes nothing. */
static void test_fetch_fault(void)
{
	struct braid_want w = { .model = model, .count = 8 };
	struct braid_fetch good = {
		.size = sizeof(good), .flags = BRAID_FETCH_NONBLOCK,
		.wants = { sizeof(w), 1, (uintptr_t)&w },
		.jobs = { sizeof(f.jobs[0]), 4, (uintptr_t)f.jobs },
		.slices = { sizeof(f.slices[0]), 8, (uintptr_t)f.slices },
		.events = { sizeof(f.events[0]), 4, (uintptr_t)f.events },
	}, x;

	abi_submit(&t, model, 1, 0, NULL);
	x = good;
	x.wants.ptr = (uintptr_t)none;
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), -EFAULT, "FETCH: wants nowhere: EFAULT");
	x = good;
	x.jobs.ptr = (uintptr_t)none;
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), -EFAULT, "jobs nowhere: EFAULT");
	x = good;
	x.slices.ptr = (uintptr_t)none;
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), -EFAULT, "slices nowhere: EFAULT");
	x = good;
	x.events.ptr = (uintptr_t)none;
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), -EFAULT, "events nowhere: EFAULT");
	x = good;
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), 0, "the job is still there");
	ok(x.jobs.count == 1 && !f.jobs[0].attempt, "as if nothing had been");
	f.arg.jobs.count = 1;
	abi_commit_all(&a, &f);
	is_int(abi_status(&t, NULL, ABI_LONG), 0, "and completes");
}

/* More than the machine has, though the quota allows it. */
static void test_memory(void)
{
	struct braid_buf_alloc b = { .size = sizeof(b), .length = 1ull << 44 };
	uint64_t before = bytes_used();

	is_int(abi->owner(getuid(), "byte_quota", 1ull << 50), 0, "a quota beyond all memory");
	is_int(abi_call(&t, BRAID_NR_BUF_ALLOC, &b), -ENOMEM, "memory that is not there: ENOMEM");
	is_int(bytes_used(), before, "nothing of it is charged");
	abi->owner(getuid(), NULL, 0);
}

static void *fetch_there(void *arg)
{
	return (void *)(intptr_t)(ioctl(a.fd, BRAID_FETCH, arg) ? -errno : 0);
}

/*
 * The memory of a FETCH goes while it waits: the jobs that it took can't be
 * told, so to the queue this agent is dead, and the next one may come.
 */
static void test_lost(void)
{
	uint8_t *there = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct braid_model_del del = { .size = sizeof(del), .id = model };
	struct braid_buf_get_fd get = { .size = sizeof(get), .id = t.buf };
	struct braid_want w = { .model = model, .count = 1 };
	struct braid_fetch x = {
		.size = sizeof(x), .wants = { sizeof(w), 1, (uintptr_t)&w },
		.jobs = { sizeof(f.jobs[0]), 1, (uintptr_t)there },
		.slices = { sizeof(f.slices[0]), 2, (uintptr_t)f.slices },
		.events = { sizeof(f.events[0]), 4, (uintptr_t)f.events },
	};
	struct pollfd p = { .fd = a.fd, .events = POLLIN };
	struct braid_completion c;
	struct peer next;
	pthread_t thread;
	void *ret = NULL;
	int err = 0;

	abi_drain(&a);
	pthread_create(&thread, NULL, fetch_there, &x);
	abi_sleep_ms(ABI_SOON);
	mprotect(there, page, PROT_NONE);
	abi_submit(&t, model, 1, 0, NULL);
	pthread_join(thread, &ret);
	is_int((intptr_t)ret, -EFAULT, "a FETCH whose memory goes while it waits: EFAULT");
	ok(poll(&p, 1, ABI_LONG) == 1 && p.revents & POLLERR && p.revents & POLLHUP,
	   "poll() says that this agent is none");
	abi_agent(&next);
	ok(true, "so there may be another one");
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), -EFAULT, "FETCH of the replaced one: its memory");
	x.jobs.ptr = (uintptr_t)f.jobs;
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), -ENODEV, "FETCH: ENODEV");
	is_int(abi_commit(&a, a.generation, 1, 0), -ENODEV, "COMMIT: ENODEV");
	is_int(abi_ready(&a), -ENODEV, "READY: ENODEV");
	is_int(abi_model(&a, "m", 1, ABI_BYTES, &err), 0, "MODEL_PUT");
	is_int(err, -ENODEV, "likewise: ENODEV");
	is_int(abi_call(&a, BRAID_NR_MODEL_DEL, &del), -ENODEV, "MODEL_DEL: ENODEV");
	is_int(abi_call(&a, BRAID_NR_BUF_GET_FD, &get), -ENODEV, "BUF_GET_FD: ENODEV");
	is_int(abi_put(&a, t.buf), -ENODEV, "BUF_PUT: ENODEV");
	model = abi_serve(&next);
	abi_close(&a);
	a = next;
	is_int(abi_jobs(&a, &f, model, 8, ABI_LONG), 0, "the next one gets the job");
	ok(f.arg.jobs.count == 1 && f.jobs[0].attempt == 1 && f.jobs[0].flags == BRAID_JOB_ALONE,
	   "alone, as after any death");
	abi_commit_all(&a, &f);
	ok(!abi_status(&t, &c, ABI_LONG) && c.attempt == 1, "and its end is nothing to that one");
	munmap(there, page);
}

/* The agent's file is readable when the last FETCH's wants could be served. */
static void test_poll(void)
{
	struct braid_want w = { .model = model, .count = 1 };
	const struct braid_fetch good = {
		.size = sizeof(good), .flags = BRAID_FETCH_NONBLOCK,
		.wants = { sizeof(w), 1, (uintptr_t)&w },
		.jobs = { sizeof(f.jobs[0]), 4, (uintptr_t)f.jobs },
		.slices = { sizeof(f.slices[0]), 8, (uintptr_t)f.slices },
		.events = { sizeof(f.events[0]), 4, (uintptr_t)f.events },
	};
	struct pollfd p = { .fd = a.fd, .events = POLLIN };
	struct braid_fetch x = good;

	is_int(abi_call(&a, BRAID_NR_FETCH, &x), -EAGAIN, "nothing to fetch");
	ok(!readable(a.fd), "nor to be read");
	abi_submit(&t, model, 1, 0, NULL);
	is_int(poll(&p, 1, ABI_LONG), 1, "a request makes it readable");
	x = good;
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), 0, "it is fetched");
	ok(!readable(a.fd), "no more");
	abi_submit(&t, model, 1, 0, NULL);
	is_int(poll(&p, 1, ABI_LONG), 1, "the next one makes it readable without another FETCH");
	abi_commit(&a, a.generation, f.jobs[0].cookie, 0);
	x = good;
	x.wants = (struct braid_array){ 0 };
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), -EAGAIN, "who wants nothing gets nothing");
	is_int(poll(&p, 1, ABI_SOON), 0, "and hears nothing");
	x = good;
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), 0, "who does, does");
	abi_commit(&a, a.generation, f.jobs[0].cookie, 0);
	ok(!abi_status(&t, NULL, ABI_LONG) && !abi_status(&t, NULL, ABI_LONG), "both complete");
	ok(abi_buf(&t, 4096), "a buffer");
	is_int(poll(&p, 1, ABI_LONG), 1, "makes it readable as well");
	abi_drain(&a);
}

/* One tenant an open file, however many descriptors. */
static void test_shared(void)
{
	struct braid_get_info i = { .size = sizeof(i) }, j = { .size = sizeof(j) };
	struct peer copy = t;
	int status = -1;
	pid_t pid;

	copy.fd = dup(t.fd);
	abi_call(&t, BRAID_NR_GET_INFO, &i);
	abi_call(&copy, BRAID_NR_GET_INFO, &j);
	is_int(j.tenant, i.tenant, "a copy of the descriptor is the same tenant");
	close(copy.fd);
	is_int(abi_submit(&t, model, 1, 0, NULL), 0, "which stays when one is closed");
	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(abi_call(&t, BRAID_NR_GET_INFO, &i) || i.tenant != j.tenant ||
		      i.outstanding != 1);
	waitpid(pid, &status, 0);
	is_int(status, 0, "a child has it too");
	abi_jobs(&a, &f, model, 8, ABI_LONG);
	abi_commit_all(&a, &f);
	is_int(abi_status(&t, NULL, ABI_LONG), 0, "and its end is nothing to the parent");
	ok(fcntl(t.fd, F_GETFD) >= 0, "whose file is open");
}

int main(int argc, char **argv)
{
	if (!abi_over_device())
		tap_skip_all("over the socket there is no file to read");
	abi_start(argc, argv);
	page = sysconf(_SC_PAGESIZE);
	none = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	none += 2 * page;
	mprotect(none, page, PROT_NONE);
	fixed = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	abi_agent(&a);
	other = abi_model(&a, "n", 7, ABI_BYTES, NULL);
	model = abi_serve(&a);
	abi_tenant(&t);
	ok(abi_buf(&t, 4096), "a buffer");
	test_read();
	test_nonblock();
	test_block();
	test_read_fault();
	test_struct_fault();
	test_out_fault();
	test_told_or_not();
	test_traced();
	test_array_fault();
	test_fetch_fault();
	test_poll();
	test_shared();
	test_memory();
	test_lost();
	abi_close(&t);
	abi_close(&a);
	return abi_stop();
}
