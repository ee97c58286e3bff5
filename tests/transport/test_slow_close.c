// SPDX-License-Identifier: MIT
/*
 * Descriptors whose close() takes as long as a tenant likes, here TCP sockets
 * that linger: however they come, the queue serves all others, and the sender
 * again as soon as they are closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/wire_fd.h"
#include "tests/tap.h"
#include "tests/transport/daemon.h"
#include "tests/transport/raw.h"

#define LINGER_S	60
#define WAIT_MS		15000
#define SEALS		(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static struct daemon d;

/* A socket with more to send than its reader @peer takes. */
static int slow(int *peer)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct linger lg = { 1, LINGER_S };
	socklen_t n = sizeof(a);
	static char junk[65536];
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(l, (void *)&a, n) || getsockname(l, (void *)&a, &n) || listen(l, 1) ||
	    connect(c, (void *)&a, n)) {
		printf("Bail out! no socket of its own\n");
		exit(1);
	}
	*peer = accept(l, NULL, NULL);
	close(l);
	for (int i = 0; i < 4; i++) {
		while (send(c, junk, sizeof(junk), MSG_DONTWAIT) > 0)
			;
		usleep(20000);
	}
	setsockopt(c, SOL_SOCKET, SO_LINGER, &lg, sizeof(lg));
	return c;
}

/* Closed for good: what was to be sent has nobody to read it. */
static void end_slow(int peer)
{
	close(peer);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Is somebody who comes now served, long before the other descriptor is closed? */
static void others(const char *when)
{
	static struct raw r;
	struct braid_get_info i = { .size = sizeof(i) };
	double start = seconds();
	int ret = raw_open(&r, d.socket);

	if (!ret)
		ret = raw_call(&r, BRAID_NR_GET_INFO, &i, -1, NULL);
	ok(!ret && seconds() - start < LINGER_S / 2, "others are served: %s", when);
	raw_close(&r);
}

/* The next reply's ret; 1 when there is none within the time. */
static int told(struct raw *r, int timeout_ms)
{
	struct pollfd p = { .fd = r->sock, .events = POLLIN };
	struct braid_msg head = { .ret = 1 };
	ssize_t n;

	if (poll(&p, 1, timeout_ms) != 1)
		return 1;
	n = wire_recv(r->sock, r->buf, sizeof(r->buf), 0, NULL);
	if (n < (ssize_t)sizeof(head))
		return -EPIPE;
	memcpy(&head, r->buf, sizeof(head));
	return head.ret;
}

static void say(struct raw *r, uint32_t nr, void *arg, int fd)
{
	ssize_t n = wire_encode_command(wire_cmd(nr), arg, ++r->seq, r->seen, r->buf,
					sizeof(r->buf));

	wire_send(r->sock, r->buf, n, fd, 0);
}

/* With a command; the queue's copy is the last one before it looks at it. */
static void say_slow(struct raw *r, uint32_t nr, void *arg, int *peer)
{
	int fd = slow(peer);

	kill(d.pid, SIGSTOP);
	say(r, nr, arg, fd);
	close(fd);
	kill(d.pid, SIGCONT);
}

static void say_adopt(struct raw *r, uint64_t bytes)
{
	struct braid_buf_alloc a = { .size = sizeof(a), .flags = BRAID_BUF_ADOPT,
				     .length = bytes };
	int fd = memfd_create("mine", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && !ftruncate(fd, bytes) && !fcntl(fd, F_ADD_SEALS, SEALS))
		say(r, BRAID_NR_BUF_ALLOC, &a, fd);
	close(fd);
}

static void test_beside_a_command(void)
{
	static struct raw bad, good;
	struct braid_get_info i = { .size = sizeof(i) };
	int peer;

	raw_open(&bad, d.socket);
	raw_open(&good, d.socket);
	say_slow(&bad, BRAID_NR_GET_INFO, &i, &peer);
	is_int(told(&bad, WAIT_MS), 0, "a command that wants none is carried out");
	others("one beside a command that wants none");
	say(&bad, BRAID_NR_GET_INFO, &i, -1);
	is_int(told(&bad, 200), 1, "its sender is not read from meanwhile");
	is_int(raw_call(&good, BRAID_NR_GET_INFO, &i, -1, NULL), 0, "but others of its owner");
	say_adopt(&good, 4096);
	is_int(told(&good, 200), 1, "as long as they bring none either");
	end_slow(peer);
	is_int(told(&bad, WAIT_MS), 0, "both when it is closed");
	is_int(told(&good, WAIT_MS), 0, "each with its answer");
	raw_close(&bad);
	raw_close(&good);
}

static void test_as_buffer(void)
{
	static struct raw bad, good;
	struct braid_buf_alloc a = { .size = sizeof(a), .flags = BRAID_BUF_ADOPT,
				     .length = 4096 };
	struct braid_buf_alloc plain = { .size = sizeof(plain), .length = 1 << 20 };
	int peer, fd = -1;

	raw_open(&bad, d.socket);
	raw_open(&good, d.socket);
	say_slow(&bad, BRAID_NR_BUF_ALLOC, &a, &peer);
	is_int(told(&bad, WAIT_MS), -EINVAL, "no small buffer");
	others("a small buffer to adopt");
	end_slow(peer);
	a.length = 1 << 20;
	say_slow(&bad, BRAID_NR_BUF_ALLOC, &a, &peer);
	is_int(told(&bad, WAIT_MS), -EINVAL, "no large buffer");
	others("a large buffer to adopt");
	is_int(raw_call(&good, BRAID_NR_BUF_ALLOC, &plain, -1, &fd), 0,
	       "and large buffers are filled");
	close(fd);
	end_slow(peer);
	say_adopt(&bad, 4096);
	is_int(told(&bad, WAIT_MS), 0, "a buffer that is one is adopted afterwards");
	say_adopt(&bad, 1 << 20);
	is_int(told(&bad, WAIT_MS), 0, "a large one as well");
	raw_close(&bad);
	raw_close(&good);
}

/* The queue never reads it: it goes with the socket. */
static void test_in_the_socket(void)
{
	static struct raw bad;
	struct braid_get_info i = { .size = sizeof(i) };
	int peers[2];

	raw_open(&bad, d.socket);
	say_slow(&bad, BRAID_NR_GET_INFO, &i, &peers[0]);
	others("first of two");
	say_slow(&bad, BRAID_NR_GET_INFO, &i, &peers[1]);
	raw_close(&bad);
	others("a socket that ends with one unread in it");
	end_slow(peers[0]);
	end_slow(peers[1]);
}

/* As many as a message takes, and more messages than that. */
static void test_many(void)
{
	static struct raw bad;
	struct braid_get_info i = { .size = sizeof(i) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * WIRE_MAX_FDS)];
	} ctl = { .room = { 0 } };
	struct iovec iov = { bad.buf, 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
			     .msg_controllen = sizeof(ctl.room) };
	int peer, fd = slow(&peer), files = process_files(d.pid), sent = 0;

	raw_open(&bad, d.socket);
	ctl.head.cmsg_level = SOL_SOCKET;
	ctl.head.cmsg_type = SCM_RIGHTS;
	ctl.head.cmsg_len = CMSG_LEN(sizeof(int) * WIRE_MAX_FDS);
	for (int k = 0; k < WIRE_MAX_FDS; k++)
		memcpy(CMSG_DATA(&ctl.head) + k * sizeof(fd), &fd, sizeof(fd));
	iov.iov_len = wire_encode_command(wire_cmd(BRAID_NR_GET_INFO), &i, 1, 0, bad.buf,
					  sizeof(bad.buf));
	kill(d.pid, SIGSTOP);
	for (int k = 0; k < 4; k++)
		sent += sendmsg(bad.sock, &mh, MSG_DONTWAIT) > 0;
	close(fd);
	kill(d.pid, SIGCONT);
	is_int(sent, 4, "%d descriptors in a message, and again", WIRE_MAX_FDS);
	others("hundreds in messages");
	raw_close(&bad);
	others("and in the socket");
	end_slow(peer);
	for (int k = 0; k < 1000 && process_files(d.pid) > files; k++)
		usleep(10000);
	ok(process_files(d.pid) <= files, "none is left");
}

#ifdef BRAID_METRICS

/* To who reads figures it is no different. */
static void test_metrics(const char *path)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int peer, fd = slow(&peer), sock = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	is_int(connect(sock, (struct sockaddr *)&sa, sizeof(sa)), 0, "a reader of metrics");
	kill(d.pid, SIGSTOP);
	wire_send(sock, request, sizeof(request) - 1, fd, 0);
	close(fd);
	kill(d.pid, SIGCONT);
	usleep(100000);
	others("one to the metrics");
	end_slow(peer);
	close(sock);
}

#else

static void test_metrics(const char *path)
{
	tap_skip("others are served: one to the metrics", "built without libmicrohttpd");
}

#endif

int main(void)
{
	static const char *const zoo[] = { "null", NULL };
	char path[64], extra[96] = "";

	snprintf(path, sizeof(path), "/tmp/braid-metrics-%d", getpid());
#ifdef BRAID_METRICS
	snprintf(extra, sizeof(extra), "metrics=%s\n", path);
#endif
	daemon_start(&d, zoo, extra);
	test_beside_a_command();
	test_as_buffer();
	test_in_the_socket();
	test_many();
	test_metrics(path);
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
