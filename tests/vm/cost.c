// SPDX-License-Identifier: MIT
/*
 * What a request costs in system calls over the device: one SUBMIT and one
 * read() a batch for the tenant, one FETCH a window and one COMMIT a group for
 * the agent. Every call of this process goes through the wrappers below; the
 * agent is this process too, on the runner's own link.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <braid.h>

#include "agent/runner/link.h"
#include "tests/tap.h"

#define BYTES	64
#define BATCH	16
#define ROUNDS	50

static unsigned int n_read, n_poll, n_ioctl[256];

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	n_ioctl[request & 0xff]++;
	return syscall(SYS_ioctl, fd, request, arg);
}

ssize_t read(int fd, void *buf, size_t bytes)
{
	n_read++;
	return syscall(SYS_read, fd, buf, bytes);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec ts = { timeout / 1000, timeout % 1000 * 1000000l };

	n_poll++;
	/* Not every architecture has the old one. */
	return syscall(SYS_ppoll, fds, n, timeout < 0 ? NULL : &ts, NULL, 8);
}

static void from_here(void)
{
	n_read = n_poll = 0;
	memset(n_ioctl, 0, sizeof(n_ioctl));
}

static struct link *l;
static struct link_window w;
static uint64_t generation, model;

static int serve(void)
{
	struct braid_tensor t[2] = {
		{ .name = "x", .type = BRAID_TYPE_U8, .rank = 1, .dims = { BYTES }, .bytes = BYTES },
		{ .name = "y", .type = BRAID_TYPE_U8, .rank = 1, .dims = { BYTES }, .bytes = BYTES },
	};
	struct braid_model_put p = {
		.size = sizeof(p), .name = "m", .digest = { 1 }, .device_ns = 1000, .n_inputs = 1,
		.n_outputs = 1, .tensors = { sizeof(t[0]), 2, (uintptr_t)t },
	};
	struct braid_ready r = { .size = sizeof(r) };
	int ret = link_call(l, BRAID_NR_MODEL_PUT, &p, NULL);

	model = p.id;
	ret = ret ? ret : link_call(l, BRAID_NR_READY, &r, NULL);
	generation = r.generation;
	return ret;
}

/* As the runner's loop: take a window that is announced, commit it as one group. */
static bool take_and_commit(void)
{
	const struct braid_want all = { .model = model, .count = BATCH };
	struct braid_want rest = all;
	struct braid_result res[BRAID_MAX_BATCH];
	uint32_t n;

	if (link_take(l, &w) != 1)
		return false;
	n = w.arg.jobs.count;
	rest.count -= n;
	link_fetch(l, &rest, rest.count ? 1 : 0, BRAID_MAX_BATCH);	/* lanes are busy */
	for (uint32_t i = 0; i < n; i++)
		res[i] = (struct braid_result){ .cookie = w.jobs[i].cookie, .device_ns = 1000,
						.merge_degree = n, .fuse_degree = 1 };
	if (link_commit(l, generation, res, n))
		return false;
	link_fetch(l, &all, 1, BRAID_MAX_BATCH);				/* and free again */
	return !link_kept(l) || link_take(l, &w) == 0;
}

int main(void)
{
	const struct braid_want all = { 0 };
	struct braid_completion c[BATCH];
	struct braid_job_desc jobs[BATCH];
	struct braid_at at[2];
	unsigned int taken = 0, served = 0;
	struct braid_model *m;
	struct braid_buf *buf;
	struct braid *b;
	int fd;

	if (access("/dev/braid0-agent", R_OK | W_OK))
		tap_skip_all("no agent's device that is ours to open");
	fd = open("/dev/braid0-agent", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		tap_skip_all("there is another agent");
	ok(!link_open(fd, &l) && !serve(), "an agent");
	if (!ok(!braid_open("/dev/braid0", &b) && !braid_model_find(b, "m", &m) &&
		!braid_buf_new(b, 8192, &buf), "a tenant"))
		return tap_done();
	at[0] = (struct braid_at){ buf, 0 };
	at[1] = (struct braid_at){ buf, 4096 };
	for (int i = 0; i < BATCH; i++)
		jobs[i] = (struct braid_job_desc){ .model = m, .io = at, .user_data = i, .priority = 1 };
	/* Told of the buffer, and of what can be taken. */
	link_fetch(l, &all, 0, BRAID_MAX_BATCH);
	while (link_take(l, &w) == 1)
		;
	link_fetch(l, &(struct braid_want){ .model = model, .count = BATCH }, 1, BRAID_MAX_BATCH);
	link_take(l, &w);

	from_here();
	for (int i = 0; i < ROUNDS; i++) {
		taken += braid_submit(b, jobs, BATCH) == BATCH;
		served += take_and_commit();
		taken += braid_wait(b, c, BATCH, -1) == BATCH;
	}
	is_int(taken, 2 * ROUNDS, "%d batches of %d are submitted and answered", ROUNDS, BATCH);
	is_int(served, ROUNDS, "each as one window and one group");
	is_int(n_ioctl[BRAID_NR_SUBMIT], ROUNDS, "one SUBMIT a batch");
	is_int(n_read, ROUNDS, "one read() a batch");
	is_int(n_ioctl[BRAID_NR_FETCH], ROUNDS, "one FETCH a window");
	is_int(n_ioctl[BRAID_NR_COMMIT], ROUNDS, "one COMMIT a group");
	is_int(n_poll, 0, "and nothing else of the library's");
	braid_close(b);
	link_close(l);
	return tap_done();
}
