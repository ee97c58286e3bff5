// SPDX-License-Identifier: MIT
/*
 * Buffers pinned for long, as a device's driver does with memory that it
 * registers: FOLL_LONGTERM, writable. Two ways from user space: the memory of
 * an AF_XDP socket, which every kernel takes, and io_uring's registered
 * buffers, which older kernels refuse for mappings of files.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_xdp.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/vm/dev.h"

#ifndef AF_XDP
#define AF_XDP	44
#endif
#ifndef SOL_XDP
#define SOL_XDP	283
#endif

#define PAGES	64

static long page;

/* Pins taken and given back so far, in pages; -1: this kernel does not say. */
static long long pins(const char *which)
{
	char name[64];
	long long n = -1;
	FILE *f = fopen("/proc/vmstat", "re");

	while (f && fscanf(f, "%63s %lld", name, &n) == 2) {
		if (!strcmp(name, which)) {
			fclose(f);
			return n;
		}
	}
	if (f)
		fclose(f);
	return -1;
}

/* So many more than @before, in the end: CPUs add theirs up about once a second. */
static bool more_pins(const char *which, long long before, long long n)
{
	int tries = 250;

	while (pins(which) - before < n && tries--)
		dev_sleep_ms(20);
	return pins(which) - before >= n;
}

/* A socket that has @bytes at @p pinned, or a negative errno. */
static int pin_xdp(void *p, size_t bytes)
{
	struct xdp_umem_reg reg = {
		.addr = (uintptr_t)p, .len = bytes, .chunk_size = 4096,
	};
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), ret;

	if (fd < 0)
		return -errno;
	if (!setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

static bool holds(const uint8_t *p, size_t bytes, uint8_t value)
{
	size_t i;

	for (i = 0; i < bytes && p[i] == value; i++)
		;
	return i == bytes;
}

/* Map what the agent was told of last. */
static uint8_t *agents_view(struct agent *a, uint64_t id, size_t bytes)
{
	struct braid_buf_get_fd g = { .size = sizeof(g), .id = id };
	uint8_t *p;

	if (dev_call(a->fd, BRAID_NR_BUF_GET_FD, &g))
		return MAP_FAILED;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, g.fd, 0);
	close(g.fd);
	return p;
}

static void test_xdp(struct agent *a)
{
	long long taken = pins("nr_foll_pin_acquired"), given = pins("nr_foll_pin_released");
	size_t bytes = PAGES * page;
	uint8_t *mine, *theirs;
	int tenant = dev_open(DEV_TENANT, O_RDWR), xdp, err;
	uint64_t id;

	mine = dev_buf(tenant, bytes, &id, NULL, &err);
	ok(mine, "a buffer of %d pages", PAGES);
	ok(!agent_fetch(a, 0, 0, 0), "the agent is told");
	theirs = agents_view(a, id, bytes);
	ok(theirs != MAP_FAILED, "and maps it");
	xdp = pin_xdp(theirs, bytes);
	if (xdp == -EAFNOSUPPORT) {
		tap_skip("the agent pins it", "this kernel has no AF_XDP");
		return;
	}
	ok(xdp >= 0, "the agent pins it for long");
	if (taken >= 0)
		ok(more_pins("nr_foll_pin_acquired", taken, PAGES), "that took pins");

	/* Whatever the tenant does, the pages stay what they are. */
	memset(mine, 0x11, bytes);
	ok(!madvise(mine, bytes, MADV_DONTNEED), "the tenant drops its page table entries");
	ok(holds(mine, bytes, 0x11), "the same pages are there again");
	memset(mine, 0x22, bytes);
	ok(holds(theirs, bytes, 0x22), "the agent sees what is written through them");
	munmap(mine, bytes);
	close(tenant);
	ok(!agent_fetch(a, 0, 0, 0) && a->arg.events.count == 1 &&
	   a->events[0].type == BRAID_EVENT_BUF_RETIRED, "the tenant dies");
	ok(holds(theirs, bytes, 0x22), "the agent still has all of it");
	munmap(theirs, bytes);
	ok(!dev_call(a->fd, BRAID_NR_BUF_PUT,
		     &(struct braid_buf_put){ .size = sizeof(struct braid_buf_put), .id = id }),
	   "the agent puts it, pinned as it is");
	close(xdp);
	if (given >= 0)
		ok(more_pins("nr_foll_pin_released", given, PAGES), "and the pins are given back");
}

/* One READ_FIXED of @bytes of @file into @p, through rings; 0 or a negative errno. */
static int ring_read(int ring, const struct io_uring_params *par, int file, void *p,
		     unsigned int bytes)
{
	size_t sq_bytes = par->sq_off.array + par->sq_entries * sizeof(unsigned int);
	size_t cq_bytes = par->cq_off.cqes + par->cq_entries * sizeof(struct io_uring_cqe);
	uint8_t *sq = mmap(NULL, sq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
			   IORING_OFF_SQ_RING);
	uint8_t *cq = mmap(NULL, cq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
			   IORING_OFF_CQ_RING);
	struct io_uring_sqe *sqe = mmap(NULL, par->sq_entries * sizeof(*sqe),
					PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	int ret;

	if (sq == MAP_FAILED || cq == MAP_FAILED || (void *)sqe == MAP_FAILED)
		return -ENOMEM;
	*sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_READ_FIXED, .fd = file, .addr = (uintptr_t)p, .len = bytes,
	};
	((unsigned int *)(sq + par->sq_off.array))[0] = 0;
	__atomic_store_n((unsigned int *)(sq + par->sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	ret = ((struct io_uring_cqe *)(cq + par->cq_off.cqes))->res;
	return ret == (int)bytes ? 0 : ret < 0 ? ret : -EIO;
}

static void test_ring(struct agent *a)
{
	struct io_uring_params par = { 0 };
	uint8_t want[256], *mine, *theirs;
	int tenant = dev_open(DEV_TENANT, O_RDWR), ring, file, err;
	size_t bytes = 4 * page;
	struct iovec iov;
	uint64_t id;

	mine = dev_buf(tenant, bytes, &id, NULL, &err);
	ok(mine && !agent_fetch(a, 0, 0, 0), "another buffer");
	theirs = agents_view(a, id, bytes);
	ring = syscall(SYS_io_uring_setup, 1, &par);
	if (ring < 0) {
		tap_skip("io_uring registers it", "no io_uring here");
		return;
	}
	iov = (struct iovec){ .iov_base = theirs, .iov_len = bytes };
	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1)) {
		ok(errno == EOPNOTSUPP, "io_uring does not take mappings of files here");
		tap_skip("io_uring reads into it", "this kernel's io_uring refuses it");
	} else {
		munmap(mine, bytes);
		mine = NULL;
		file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		ok(pread(file, want, sizeof(want), 0) == sizeof(want), "io_uring registers it");
		ok(!ring_read(ring, &par, file, theirs + page, sizeof(want)) &&
		   !memcmp(theirs + page, want, sizeof(want)), "io_uring reads into it");
		close(file);
	}
	close(ring);
	munmap(theirs, bytes);
	if (mine)
		munmap(mine, bytes);
	close(tenant);
}

int main(void)
{
	static struct agent a;

	dev_require();
	page = sysconf(_SC_PAGESIZE);
	if (!agent_start(&a, SLOT_BYTES)) {
		printf("Bail out! no agent\n");
		return 1;
	}
	test_xdp(&a);
	test_ring(&a);
	agent_close(&a);
	return tap_done();
}
