// SPDX-License-Identifier: MIT
/*
 * The suite over /dev/braid0 and /dev/braid0-agent: see abi.h. A command is an
 * ioctl; a FETCH that may wait has a thread of its own. The agent dies by
 * closing its file, which is all the kernel sees of a death.
 */
#include "tests/abi/abi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TENANT	"/dev/braid0"
#define AGENT	"/dev/braid0-agent"
#define SYSFS	"/sys/class/braid/braid0/"

static struct {
	const char *name;
	char value[32];
} knobs[] = {
	{ "window_max" }, { "window_timeout_us" }, { "window_policy" }, { "fusion_policy" },
	{ "tenant_depth" }, { "max_requests" }, { "max_attempts" }, { "grace_ms" },
	{ "share_by" },
};

static int file(const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), SYSFS "%s", name);
	return open(path, flags | O_CLOEXEC);
}

static int device_knob(const char *name, const char *value)
{
	int fd = file(name, O_WRONLY), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static void read_file(const char *name, char *buf, size_t len)
{
	int fd = file(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, len - 1);

	buf[n < 0 ? 0 : n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	if (fd >= 0)
		close(fd);
}

static long long device_counter(const char *name)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), "counters/%s", name);
	read_file(path, text, sizeof(text));
	if (!*text)
		read_file(name, text, sizeof(text));
	return *text ? strtoll(text, NULL, 10) : -1;
}

/* What a test turns is turned back, for the next one. */
static void device_start(int argc, char **argv)
{
	if (access(TENANT, F_OK))
		tap_skip_all("no " TENANT ": the module is not loaded");
	if (access(AGENT, R_OK | W_OK))
		tap_skip_all(AGENT " is not ours to open");
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++)
		read_file(knobs[i].name, knobs[i].value, sizeof(knobs[i].value));
}

static void device_stop(void)
{
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++)
		device_knob(knobs[i].name, knobs[i].value);
}

static int device_tenant(struct peer *p)
{
	p->fd = open(TENANT, O_RDWR | O_CLOEXEC);
	return p->fd < 0 ? -errno : 0;
}

static int device_agent(struct peer *p)
{
	p->fd = open(AGENT, O_RDWR | O_CLOEXEC);
	return p->fd < 0 ? -errno : 0;
}

static int device_call(struct peer *p, uint32_t nr, void *arg, int *fd)
{
	int ret = ioctl(p->fd, _IO(BRAID_IOC_TYPE, nr), arg) < 0 ? -errno : 0;

	*fd = -1;
	if (!ret && nr == BRAID_NR_BUF_ALLOC)
		*fd = ((struct braid_buf_alloc *)arg)->fd;
	if (!ret && nr == BRAID_NR_BUF_GET_FD)
		*fd = ((struct braid_buf_get_fd *)arg)->fd;
	return ret;
}

static int device_take(struct peer *p, struct braid_completion *c, unsigned int n,
		       int timeout_ms)
{
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
	ssize_t got;

	if (poll(&pfd, 1, timeout_ms) <= 0)
		return 0;
	got = read(p->fd, c, n * sizeof(*c));
	return got < 0 ? -errno : (int)(got / (ssize_t)sizeof(*c));
}

static void *wait_for_window(void *arg)
{
	struct abi_fetch *f = arg;
	int ret = ioctl(f->peer->fd, BRAID_FETCH, &f->arg) < 0 ? -errno : 0;

	pthread_mutex_lock(&f->lock);
	f->ret = ret;
	f->done = true;
	pthread_cond_signal(&f->cond);
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/*
 * Its fetches, so that none is left in the kernel when the file is closed. A
 * test has few at a time.
 */
static struct abi_fetch *fetches[16];

static void reap(struct abi_fetch *f)
{
	pthread_join(f->thread, NULL);
	for (size_t i = 0; i < sizeof(fetches) / sizeof(fetches[0]); i++)
		if (fetches[i] == f)
			fetches[i] = NULL;
}

static int device_fetched(struct peer *p, struct abi_fetch *f, int timeout_ms)
{
	uint64_t until = abi_now() + timeout_ms * 1000000ull;
	struct timespec ts = { until / 1000000000ull, until % 1000000000ull };
	bool done;

	pthread_mutex_lock(&f->lock);
	while (!f->done)
		if (pthread_cond_timedwait(&f->cond, &f->lock, &ts))
			break;
	done = f->done;
	pthread_mutex_unlock(&f->lock);
	if (!done)
		return -ETIMEDOUT;
	reap(f);
	return f->ret;
}

/* A FETCH that waits holds the file: it is replaced until it is gone. */
static void end_fetch(struct abi_fetch *f)
{
	struct braid_event event;

	do {
		struct braid_fetch a = {
			.size = sizeof(a), .flags = BRAID_FETCH_NONBLOCK,
			.events = { sizeof(event), 1, (uintptr_t)&event },
		};

		ioctl(f->peer->fd, BRAID_FETCH, &a);
	} while (device_fetched(f->peer, f, 20) == -ETIMEDOUT);
	f->running = false;
}

static void end_fetches(struct peer *p)
{
	for (size_t i = 0; i < sizeof(fetches) / sizeof(fetches[0]); i++)
		if (fetches[i] && fetches[i]->peer == p)
			end_fetch(fetches[i]);
}

static void device_fetch(struct peer *p, struct abi_fetch *f)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->cond, &attr);
	f->done = false;
	for (size_t i = 0; i < sizeof(fetches) / sizeof(fetches[0]); i++) {
		if (fetches[i])
			continue;
		fetches[i] = f;
		break;
	}
	if (pthread_create(&f->thread, NULL, wait_for_window, f)) {
		printf("Bail out! no thread\n");
		exit(1);
	}
}

static void device_close(struct peer *p)
{
	if (p->agent)
		end_fetches(p);
	close(p->fd);
	p->fd = -1;
}

static int device_open_to_all(void)
{
	return chmod(TENANT, 0666) ? -errno : 0;
}

const struct abi_transport abi_device = {
	.name = "device",
	.device = true,
	.start = device_start,
	.stop = device_stop,
	.tenant = device_tenant,
	.agent = device_agent,
	.close = device_close,
	.call = device_call,
	.take = device_take,
	.fetch = device_fetch,
	.fetched = device_fetched,
	.knob = device_knob,
	.counter = device_counter,
	.open_to_all = device_open_to_all,
	.owner = abi_netlink_owner,
};
