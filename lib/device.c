// SPDX-License-Identifier: MIT
/*
 * The device transport: a command is an ioctl, done when it returns, and
 * completions are read. The queue outlives every agent and never goes away
 * while it is open, so nothing is ever sent again.
 *
 * Everything here runs with struct braid.lock held; it is dropped where a
 * thread sleeps. Only the reader (see conn.h) reads.
 */
#include "lib/conn.h"
#include "lib/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RECORDS_A_READ	64

static int command(int fd, uint32_t nr, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, _IO(BRAID_IOC_TYPE, nr), arg);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

static int device_open(struct braid *b)
{
	struct braid_get_info info = { .size = sizeof(info) };
	int ret;

	b->fd = open(b->path, O_RDWR | O_CLOEXEC);
	if (b->fd < 0) {
		ret = -errno;
		return braid_fail(ret, "%s: %s", b->path,
				  ret == -EACCES ? "not in the group that may use it" :
				  strerror(-ret));
	}
	ret = command(b->fd, BRAID_NR_GET_INFO, &info);
	if (ret == -ENOTTY)
		return braid_fail(-ENODEV, "%s: not a queue of Braid's", b->path);
	if (ret)
		return braid_fail(ret, "%s: greeting: %s", b->path, strerror(-ret));
	if (info.abi != BRAID_ABI)
		return braid_fail(-EPROTONOSUPPORT, "%s: the queue speaks version %u, not %u",
				  b->path, info.abi, BRAID_ABI);
	b->max_message = UINT32_MAX;	/* nothing is put into messages */
	return 0;
}

static void device_shut(struct braid *b)
{
	if (b->fd >= 0)
		close(b->fd);
}

static int device_send(struct braid *b, struct call *call)
{
	uint8_t *arg = call->arg;
	int fd = b->fd;

	/* Giving much memory its pages takes a while: nobody is to wait for it. */
	if (call->cmd->nr == BRAID_NR_BUF_ALLOC) {
		conn_unlock(b);
		call->ret = command(fd, call->cmd->nr, arg);
		conn_lock(b);
	} else {
		call->ret = command(fd, call->cmd->nr, arg);
	}
	call->fd = -1;
	if (!call->ret && call->cmd->fd_offset)
		memcpy(&call->fd, arg + call->cmd->fd_offset, sizeof(call->fd));
	call->done = true;
	if (call->taken)
		call->taken(b, call);
	if (call->fd >= 0)
		close(call->fd);
	return 0;
}

/* Completions; 0: nothing there, negative: there never will be. */
static ssize_t take_records(struct braid *b, bool wait)
{
	struct braid_completion records[RECORDS_A_READ];
	ssize_t n;

	if (wait)
		conn_unlock(b);		/* what was taken for others is told before sleeping */
	n = read(b->fd, records, sizeof(records));
	if (n < 0)
		n = errno == EINTR || errno == EAGAIN ? 0 : -errno;
	else if (!n)
		n = -ENODEV;
	if (wait)
		conn_lock(b);
	if (n > 0 && request_records(b, records, n))
		n = -EBADMSG;
	return n;
}

static bool there(struct braid *b, int ms)
{
	struct pollfd pfd = { .fd = b->fd, .events = POLLIN };
	int n;

	if (ms)
		conn_unlock(b);		/* as above */
	n = poll(&pfd, 1, ms);
	if (ms)
		conn_lock(b);
	return n > 0;
}

/*
 * The file is a blocking one, so that with no limit a read does the waiting;
 * otherwise poll() says first whether there is something.
 */
static void device_read(struct braid *b, conn_until until, const void *arg, uint64_t deadline)
{
	const ssize_t full = RECORDS_A_READ * sizeof(struct braid_completion);
	ssize_t n;

	if (deadline == UINT64_MAX)
		n = take_records(b, true);
	else
		n = there(b, conn_remaining_ms(deadline, UINT64_MAX)) ? take_records(b, false) : 0;
	while (n == full && !until(arg) && there(b, 0))
		n = take_records(b, false);
	if (n < 0) {
		b->dead = true;
		b->up = false;
		request_fail_all(b, -ECONNRESET);
	}
}

const struct transport transport_device = {
	.open = device_open,
	.shut = device_shut,
	.send = device_send,
	.read = device_read,
};
