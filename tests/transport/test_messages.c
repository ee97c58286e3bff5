// SPDX-License-Identifier: MIT
/*
 * What is of the socket alone, by a tenant: malformed messages, completions
 * that count as read when they were seen, buffers that are adopted. The rest
 * is the conformance suite's (tests/abi/).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/transport/daemon.h"
#include "tests/transport/raw.h"

static struct daemon d;
static struct raw r;

static int with_head(struct braid_msg head, size_t bytes)
{
	struct raw x;
	uint8_t msg[512] = { 0 };
	int ret;

	ret = raw_open(&x, d.socket);
	if (ret)
		return ret;
	memcpy(msg, &head, sizeof(head));
	ret = raw_bytes(&x, msg, bytes);
	if (!raw_hung_up(&x))
		ret = 1;
	raw_close(&x);
	return ret;
}

static void test_messages(void)
{
	struct braid_msg good = { .size = sizeof(good) + 80, .abi = BRAID_ABI,
				  .type = BRAID_MSG_COMMAND, .cmd = BRAID_NR_GET_INFO }, h;

	h = good;
	h.abi = BRAID_ABI + 1;
	is_int(with_head(h, h.size), -EPROTONOSUPPORT, "another version: EPROTONOSUPPORT, closed");
	h = good;
	h.abi = 0;
	is_int(with_head(h, h.size), -EPROTONOSUPPORT, "too old a version: the same");
	h = good;
	h.size--;
	is_int(with_head(h, good.size), -EBADMSG, "length other than the message's: EBADMSG, closed");
	h = good;
	h.type = BRAID_MSG_REPLY;
	is_int(with_head(h, h.size), -EBADMSG, "a reply to the queue: EBADMSG, closed");
	is_int(with_head(good, sizeof(good) - 1), -EBADMSG, "less than a head: EBADMSG, closed");
}

static void test_sizes(void)
{
	struct raw x;

	raw_open(&x, d.socket);
	is_int(raw_sized(&x, BRAID_NR_GET_INFO, 4096, false), 0,
	       "a structure of a later version, all zeros: as ever");
	is_int(raw_sized(&x, BRAID_NR_GET_INFO, 4097, false), -E2BIG, "of more than a page: E2BIG");
	is_int(raw_sized(&x, BRAID_NR_GET_INFO, WIRE_MAX_BYTES - sizeof(struct braid_msg), false),
	       -E2BIG, "as long as a message may be: E2BIG, and still connected");
	is_int(raw_sized(&x, BRAID_NR_GET_INFO, sizeof(struct braid_get_info), false), 0,
	       "and served");
	raw_close(&x);
}

static int alloc(uint64_t length, uint32_t flags, int fd_in, uint64_t *id)
{
	struct braid_buf_alloc a = { .size = sizeof(a), .length = length, .flags = flags };
	int fd, ret = raw_call(&r, BRAID_NR_BUF_ALLOC, &a, fd_in, &fd);

	if (!ret && fd >= 0)
		close(fd);
	if (id)
		*id = a.id;
	return ret;
}

static int buf_free(uint64_t id)
{
	struct braid_buf_free f = { .size = sizeof(f), .id = id };

	return raw_call(&r, BRAID_NR_BUF_FREE, &f, -1, NULL);
}

static void test_adopt(void)
{
	struct braid_buf_alloc a = { .size = sizeof(a), .length = 4096 };
	int fd, memfd;
	uint64_t id;

	is_int(alloc(4096, BRAID_BUF_ADOPT, -1, NULL), -EINVAL, "ADOPT without one: EINVAL");
	memfd = memfd_create("x", MFD_CLOEXEC);
	is_int(ftruncate(memfd, 4096), 0, "a memfd that is not sealed");
	is_int(alloc(4096, BRAID_BUF_ADOPT, memfd, NULL), -EINVAL, "is not adopted: EINVAL");
	is_int(alloc(4096, 0, memfd, NULL), -EINVAL, "a descriptor nobody asked for: EINVAL");
	close(memfd);
	raw_call(&r, BRAID_NR_BUF_ALLOC, &a, -1, &fd);
	is_int(alloc(4096, BRAID_BUF_ADOPT, fd, &id), 0, "one of the queue's own is adopted");
	is_int(alloc(8192, BRAID_BUF_ADOPT, fd, NULL), -EINVAL, "of another length: EINVAL");
	close(fd);
	is_int(buf_free(a.id), 0, "both are buffers of their own");
	is_int(buf_free(id), 0, "to be freed by themselves");
}

/* A tenant that never reads is held at tenant_depth and nobody else is. */
static void test_depth(const struct braid_model_get *m, const struct braid_tensor *t)
{
	struct raw lazy;
	struct braid_submit out;
	struct braid_slice s[2];
	struct braid_request q = { .model = m->id, .priority = 1, .n_inputs = 1, .n_outputs = 1 };
	struct braid_get_info i = { .size = sizeof(i) };
	unsigned int taken = 0;
	uint64_t buf;
	int err, ret;

	raw_open(&lazy, d.socket);
	raw_buf(&lazy, 65536, &buf, &err);
	s[0] = (struct braid_slice){ buf, 0, t[0].bytes };
	s[1] = (struct braid_slice){ buf, 32768, t[1].bytes };
	raw_call(&lazy, BRAID_NR_GET_INFO, &i, -1, NULL);
	while (!(ret = raw_submit(&lazy, &q, s, 2, &out)) && taken < 100000)
		taken++;
	is_int(ret, -EAGAIN, "a tenant that takes no completions meets EAGAIN");
	is_int(taken, i.tenant_depth, "after tenant_depth requests");
	is_int(raw_wait(&lazy, taken, 20000), taken, "it gets them all when it looks");
	is_int(raw_submit(&lazy, &q, s, 2, &out), -EAGAIN, "which alone frees no place");
	lazy.seen = taken;
	is_int(raw_submit(&lazy, &q, s, 2, &out), 0, "having seen them does");
	raw_wait(&lazy, taken + 1, 20000);
	lazy.seen = taken + 100;
	is_int(raw_submit(&lazy, &q, s, 2, &out), -EBADMSG, "having seen more than came: EBADMSG");
	ok(raw_hung_up(&lazy), "and the connection is closed");
	raw_close(&lazy);
}

/* Random bytes, and good messages with random damage. */
static void test_noise(void)
{
	uint8_t msg[2048];
	unsigned int seed = 12345, opened = 0;
	struct braid_get_info i = { .size = sizeof(i) };
	struct raw x;

	for (int round = 0; round < 3000; round++) {
		size_t n = rand_r(&seed) % sizeof(msg) + 1;
		struct braid_msg h = { .abi = BRAID_ABI, .type = BRAID_MSG_COMMAND,
				       .cmd = rand_r(&seed) % 8 };

		if (!opened && raw_open(&x, d.socket))
			break;
		opened = 1;
		for (size_t k = 0; k < n; k++)
			msg[k] = rand_r(&seed) % 7 ? 0 : rand_r(&seed);
		if (round % 3) {
			if (n < sizeof(h) + 4)
				n = sizeof(h) + 4;
			h.size = n;
			memcpy(msg, &h, sizeof(h));
			msg[sizeof(h)] = rand_r(&seed) % 120;
			msg[sizeof(h) + 1] = msg[sizeof(h) + 2] = msg[sizeof(h) + 3] = 0;
		}
		if (send(x.sock, msg, n, MSG_NOSIGNAL) < 0 || !(round % 16)) {
			raw_close(&x);
			opened = 0;
		}
		/* Replies are not read: the queue must live with that too. */
	}
	if (opened)
		raw_close(&x);
	is_int(raw_call(&r, BRAID_NR_GET_INFO, &i, -1, NULL), 0,
	       "3,000 random messages later the queue still answers");
	is_int(daemon_status(&d, "runner_starts"), 1, "and the runner never noticed");
}

int main(void)
{
	static const char *const zoo[] = { "tiny_mlp", NULL };
	struct braid_tensor t[8];
	struct braid_model_get m;

	daemon_start(&d, zoo, NULL);
	is_int(raw_open(&r, d.socket), 0, "connected");
	is_int(raw_model(&r, "tiny_mlp", &m, t, 8), 0, "a model");
	test_messages();
	test_sizes();
	test_adopt();
	test_depth(&m, t);
	test_noise();
	raw_close(&r);
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
