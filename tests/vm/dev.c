// SPDX-License-Identifier: MIT
/*
 * The device without libbraid, the tenant's side: see dev.h.
 */
#include "tests/vm/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/tap.h"

int dev_open(const char *path, int flags)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | flags);

	return fd < 0 ? -errno : fd;
}

int dev_call(int fd, unsigned int nr, void *arg)
{
	return ioctl(fd, _IO(BRAID_IOC_TYPE, nr), arg) < 0 ? -errno : 0;
}

void *dev_buf(int tenant, uint64_t bytes, uint64_t *id, int *fd, int *err)
{
	struct braid_buf_alloc a = { .size = sizeof(a), .length = bytes };
	void *p;

	*err = dev_call(tenant, BRAID_NR_BUF_ALLOC, &a);
	if (*err)
		return NULL;
	*id = a.id;
	p = mmap(NULL, a.length, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, 0);
	if (p == MAP_FAILED) {
		*err = -errno;
		p = NULL;
	}
	if (fd)
		*fd = a.fd;
	else
		close(a.fd);
	return p;
}

int dev_buf_free(int tenant, uint64_t id)
{
	struct braid_buf_free f = { .size = sizeof(f), .id = id };

	return dev_call(tenant, BRAID_NR_BUF_FREE, &f);
}

int dev_submit(int tenant, uint64_t model, uint64_t buffer, unsigned int n, uint64_t user_data,
	       uint64_t deadline_ns, uint64_t *first_id)
{
	struct braid_request r[BRAID_MAX_BATCH] = { 0 };
	struct braid_slice s[BRAID_MAX_BATCH * 2];
	struct braid_submit submit = {
		.size = sizeof(submit),
		.requests = { sizeof(r[0]), n, (uintptr_t)r },
		.slices = { sizeof(s[0]), 2 * n, (uintptr_t)s },
	};
	int ret;

	for (unsigned int i = 0; i < n; i++) {
		r[i] = (struct braid_request){
			.user_data = user_data + i, .model = model,
			.priority = BRAID_PRIORITY_NORMAL, .deadline_ns = deadline_ns,
			.first_slice = 2 * i, .n_inputs = 1, .n_outputs = 1,
		};
		for (unsigned int k = 2 * i; k < 2 * i + 2; k++)
			s[k] = (struct braid_slice){ buffer, (uint64_t)k * SLOT_BYTES, SLOT_BYTES };
	}
	ret = dev_call(tenant, BRAID_NR_SUBMIT, &submit);
	if (first_id)
		*first_id = submit.first_id;
	return ret ? ret : (int)submit.accepted;
}

int dev_cancel(int tenant, uint64_t id)
{
	struct braid_cancel c = { .size = sizeof(c), .id = id };
	int ret = dev_call(tenant, BRAID_NR_CANCEL, &c);

	return ret ? ret : (int)c.state;
}

int dev_wait(int tenant, struct braid_completion *c, unsigned int n, int timeout_ms)
{
	struct pollfd p = { .fd = tenant, .events = POLLIN };
	ssize_t got;

	if (poll(&p, 1, timeout_ms) <= 0)
		return 0;
	got = read(tenant, c, n * sizeof(*c));
	return got < 0 ? -errno : (int)(got / (ssize_t)sizeof(*c));
}

int dev_info(int fd, struct braid_get_info *info)
{
	*info = (struct braid_get_info){ .size = sizeof(*info) };
	return dev_call(fd, BRAID_NR_GET_INFO, info);
}

uint64_t dev_charged(int tenant, uint64_t bytes)
{
	struct braid_get_info info = { 0 };

	for (unsigned int i = 0; i < 1000; i++) {
		if (!dev_info(tenant, &info) && info.bytes_used == bytes)
			break;
		dev_sleep_ms(5);
	}
	return info.bytes_used;
}

uint64_t dev_model(int fd, const char *name)
{
	struct braid_model_get g = { .size = sizeof(g) };

	snprintf(g.name, sizeof(g.name), "%s", name);
	return dev_call(fd, BRAID_NR_MODEL_GET, &g) ? 0 : g.id;
}

void dev_require(void)
{
	if (access(DEV_TENANT, F_OK))
		tap_skip_all("no " DEV_TENANT);
}

unsigned long dev_env(const char *name, unsigned long otherwise)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 0) : otherwise;
}

uint64_t dev_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void dev_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

long long dev_number(const char *path)
{
	long long n = -1;
	FILE *f = fopen(path, "r");

	if (f) {
		if (fscanf(f, "%lld", &n) != 1)
			n = -1;
		fclose(f);
	}
	return n;
}

int dev_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}
