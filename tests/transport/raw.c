// SPDX-License-Identifier: MIT
/*
 * A tenant without libbraid: see raw.h. Over the device a command is an ioctl
 * and completions are read; what is about messages is the socket's.
 */
#include "tests/transport/raw.h"
#include "lib/wire_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int raw_open(struct raw *r, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	memset(r, 0, sizeof(*r));
	if (!strncmp(path, "/dev/", 5)) {
		r->device = true;
		r->sock = open(path, O_RDWR | O_CLOEXEC);
		return r->sock < 0 ? -errno : 0;
	}
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	r->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connect(r->sock, (struct sockaddr *)&sa, sizeof(sa)))
		return -errno;
	return 0;
}

void raw_close(struct raw *r)
{
	close(r->sock);
	r->sock = -1;
}

static void keep(struct raw *r, size_t bytes)
{
	size_t at = sizeof(struct braid_msg);

	while (at + sizeof(r->done[0]) <= bytes && r->n_done < 4096) {
		memcpy(&r->done[r->n_done++], r->buf + at, sizeof(r->done[0]));
		at += sizeof(r->done[0]);
	}
}

/* A message: its bytes, 0 for none in time, negative when it is over. */
static ssize_t next(struct raw *r, int timeout_ms, int *fd_out)
{
	struct pollfd p = { .fd = r->sock, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, timeout_ms) <= 0)
		return 0;
	n = wire_recv(r->sock, r->buf, sizeof(r->buf), 0, fd_out);
	return n <= 0 ? -EPIPE : n;
}

/* The reply to the last command, completions on the way are kept. */
static ssize_t reply(struct raw *r, struct braid_msg *head, int *fd_out)
{
	ssize_t n;

	for (;;) {
		n = next(r, 20000, fd_out);
		if (n < (ssize_t)sizeof(*head))
			return n ? -EPIPE : -ETIMEDOUT;
		memcpy(head, r->buf, sizeof(*head));
		if (head->type != BRAID_MSG_COMPLETIONS)
			return n;
		keep(r, n);
	}
}

static int by_ioctl(struct raw *r, uint32_t nr, void *arg, int *fd_out)
{
	int ret = ioctl(r->sock, _IO(BRAID_IOC_TYPE, nr), arg) < 0 ? -errno : 0, fd = -1;

	if (!ret && nr == BRAID_NR_BUF_ALLOC)
		fd = ((struct braid_buf_alloc *)arg)->fd;
	if (fd_out)
		*fd_out = fd;
	else if (fd >= 0)
		close(fd);
	return ret;
}

int raw_call(struct raw *r, uint32_t nr, void *arg, int fd_in, int *fd_out)
{
	struct braid_msg head;
	ssize_t n;
	int ret;

	if (r->device)
		return by_ioctl(r, nr, arg, fd_out);
	n = wire_encode_command(wire_cmd(nr), arg, ++r->seq, r->seen, r->buf, sizeof(r->buf));
	if (n < 0)
		return n;
	ret = wire_send(r->sock, r->buf, n, fd_in, 0);
	if (ret)
		return ret;
	n = reply(r, &head, fd_out);
	if (n < 0)
		return n;
	return head.seq == r->seq ? wire_decode_reply(wire_cmd(nr), r->buf, n, arg) : -EBADMSG;
}

int raw_sized(struct raw *r, uint32_t nr, size_t claim, bool tail)
{
	static uint8_t msg[WIRE_MAX_BYTES];
	struct braid_msg head = { .size = sizeof(head) + claim, .abi = BRAID_ABI,
				  .type = BRAID_MSG_COMMAND, .cmd = nr, .seq = ++r->seq,
				  .seen = r->seen };
	uint32_t size = claim;

	memset(msg, 0, head.size);
	memcpy(msg, &head, sizeof(head));
	memcpy(msg + sizeof(head), &size, sizeof(size));
	if (tail)
		msg[sizeof(head) + claim - 1] = 1;
	return raw_bytes(r, msg, head.size);
}

int raw_bytes(struct raw *r, const void *msg, size_t bytes)
{
	struct braid_msg head;
	ssize_t n;

	if (send(r->sock, msg, bytes, MSG_NOSIGNAL) < 0)
		return -errno;
	n = reply(r, &head, NULL);
	return n < 0 ? (int)n : head.ret;
}

bool raw_hung_up(struct raw *r)
{
	ssize_t n;

	while ((n = next(r, 1000, NULL)) > 0)
		;
	return n < 0;
}

unsigned int raw_wait(struct raw *r, unsigned int n, int timeout_ms)
{
	ssize_t got;

	while (r->device && r->n_done < n && r->n_done < 4096) {
		struct pollfd p = { .fd = r->sock, .events = POLLIN };

		if (poll(&p, 1, timeout_ms) <= 0)
			return r->n_done;
		got = read(r->sock, r->done + r->n_done, (4096 - r->n_done) * sizeof(r->done[0]));
		if (got <= 0)
			return r->n_done;
		r->n_done += got / sizeof(r->done[0]);
	}
	while (r->n_done < n) {
		got = next(r, timeout_ms, NULL);
		if (got <= 0)
			break;
		keep(r, got);
	}
	return r->n_done;
}

void *raw_buf(struct raw *r, uint64_t bytes, uint64_t *id, int *err)
{
	struct braid_buf_alloc a = { .size = sizeof(a), .length = bytes };
	void *p;
	int fd = -1;

	*err = raw_call(r, BRAID_NR_BUF_ALLOC, &a, -1, &fd);
	if (*err || fd < 0)
		return NULL;
	*id = a.id;
	p = mmap(NULL, a.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

int raw_model(struct raw *r, const char *name, struct braid_model_get *out,
	      struct braid_tensor *tensors, unsigned int room)
{
	*out = (struct braid_model_get){
		.size = sizeof(*out),
		.tensors = { sizeof(*tensors), room, (uintptr_t)tensors },
	};
	snprintf(out->name, sizeof(out->name), "%s", name);
	return raw_call(r, BRAID_NR_MODEL_GET, out, -1, NULL);
}

int raw_submit(struct raw *r, const struct braid_request *req, const struct braid_slice *slices,
	       unsigned int n_slices, struct braid_submit *out)
{
	*out = (struct braid_submit){
		.size = sizeof(*out),
		.requests = { sizeof(*req), 1, (uintptr_t)req },
		.slices = { sizeof(*slices), n_slices, (uintptr_t)slices },
	};
	return raw_call(r, BRAID_NR_SUBMIT, out, -1, NULL);
}

int raw_infer(struct raw *r, const struct braid_model_get *m, const struct braid_tensor *t,
	      uint64_t buf, uint64_t deadline_ns, struct braid_completion *done)
{
	struct braid_slice s[2] = { { buf, 0, t[0].bytes }, { buf, 32768, t[1].bytes } };
	struct braid_request q = { .model = m->id, .priority = 1, .n_inputs = 1, .n_outputs = 1,
				   .deadline_ns = deadline_ns };
	struct braid_submit out;
	int ret = raw_submit(r, &q, s, 2, &out);

	if (ret)
		return ret;
	if (raw_wait(r, 1, 20000) != 1)
		return -ETIMEDOUT;
	*done = r->done[0];
	r->n_done = 0;
	r->seen++;
	return 0;
}
