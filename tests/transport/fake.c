// SPDX-License-Identifier: MIT
/*
 * The test itself as the runner: see fake.h.
 */
#include "tests/transport/fake.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WHERE	"BRAID_TEST_FAKE"

static int meeting = -1;

static struct sockaddr_un address(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", name);
	return sa;
}

/* In the process that braidd started: give the descriptors away, then sleep. */
static void __attribute__((noreturn)) be_runner(void)
{
	struct sockaddr_un sa = address(getenv(WHERE));
	char ctl[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	pid_t pid = getpid();
	struct iovec iov = { &pid, sizeof(pid) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl,
			     .msg_controllen = sizeof(ctl) };
	struct cmsghdr *c = (struct cmsghdr *)ctl;
	const int fds[2] = { 3, 4 };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	if (connect(sock, (struct sockaddr *)&sa, sizeof(sa)) || sendmsg(sock, &mh, 0) < 0)
		_exit(9);
	close(3);
	close(4);
	signal(SIGTERM, SIG_DFL);
	for (;;)
		pause();
}

void fake_main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--runner"))
		be_runner();
}

void fake_daemon(struct daemon *d, const char *extra)
{
	char self[PATH_MAX], where[96], config[PATH_MAX + 512];
	struct sockaddr_un sa;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n < 0 ? 0 : n] = 0;
	snprintf(config, sizeof(config), "[debug]\nrunner=%s\n%s", self, extra ? extra : "");
	daemon_prepare(d, NULL, config);
	snprintf(where, sizeof(where), "%s/fake", d->dir);
	setenv(WHERE, where, 1);
	sa = address(where);
	meeting = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(meeting, (struct sockaddr *)&sa, sizeof(sa)) || listen(meeting, 8)) {
		printf("Bail out! %s: %s\n", where, strerror(errno));
		exit(1);
	}
	daemon_spawn(d);
}

bool fake_take(struct fake *f)
{
	char ctl[CMSG_SPACE(2 * sizeof(int))];
	struct iovec iov = { &f->pid, sizeof(f->pid) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl,
			     .msg_controllen = sizeof(ctl) };
	struct pollfd p = { .fd = meeting, .events = POLLIN };
	struct cmsghdr *c;
	int sock, fds[2] = { -1, -1 };

	memset(f, 0, sizeof(*f));
	if (poll(&p, 1, 20000) <= 0)
		return false;
	sock = accept(meeting, NULL, NULL);
	if (recvmsg(sock, &mh, MSG_CMSG_CLOEXEC) == sizeof(f->pid)) {
		c = CMSG_FIRSTHDR(&mh);
		if (c && c->cmsg_len == CMSG_LEN(sizeof(fds)))
			memcpy(fds, CMSG_DATA(c), sizeof(fds));
	}
	close(sock);
	f->q.sock = fds[0];
	f->control = fds[1];
	return fds[0] >= 0;
}

void fake_kill(struct fake *f)
{
	kill(f->pid, SIGKILL);
}

void fake_drop(struct fake *f)
{
	close(f->q.sock);
	close(f->control);
}

uint64_t fake_model(struct fake *f, const char *name, uint8_t digest, uint64_t bytes, int *err)
{
	struct braid_tensor t[2] = {
		{ .name = "x", .type = BRAID_TYPE_U8, .rank = 1, .dims = { bytes },
		  .bytes = bytes },
		{ .name = "y", .type = BRAID_TYPE_U8, .rank = 1, .dims = { bytes },
		  .bytes = bytes },
	};
	struct braid_model_put p = {
		.size = sizeof(p), .device_ns = 300000000, .n_inputs = 1, .n_outputs = 1,
		.tensors = { sizeof(t[0]), 2, (uintptr_t)t },
	};
	int ret;

	snprintf(p.name, sizeof(p.name), "%s", name);
	p.digest[0] = digest;
	ret = raw_call(&f->q, BRAID_NR_MODEL_PUT, &p, -1, NULL);
	if (err)
		*err = ret;
	return ret ? 0 : p.id;
}

int fake_ready(struct fake *f)
{
	struct braid_ready r = { .size = sizeof(r) };
	int ret = raw_call(&f->q, BRAID_NR_READY, &r, -1, NULL);

	if (!ret)
		f->generation = r.generation;
	return ret;
}

static void fake_fetch(struct fake *f, uint64_t model, uint32_t count)
{
	struct braid_want want = { .model = model, .count = count };
	ssize_t n;

	f->arg = (struct braid_fetch){
		.size = sizeof(f->arg),
		.wants = { sizeof(want), model ? 1 : 0, (uintptr_t)&want },
		.jobs = { sizeof(f->jobs[0]), BRAID_MAX_BATCH, 0 },
		.slices = { sizeof(f->slices[0]), BRAID_MAX_BATCH, 0 },
		.events = { sizeof(f->events[0]), 128, 0 },
	};
	n = wire_encode_command(wire_cmd(BRAID_NR_FETCH), &f->arg, ++f->q.seq, 0, f->q.buf,
				sizeof(f->q.buf));
	f->fetch_seq = f->q.seq;
	if (send(f->q.sock, f->q.buf, n, MSG_NOSIGNAL) < 0)
		f->fetch_seq = 0;
}

int fake_answer(struct fake *f, int timeout_ms)
{
	struct pollfd p = { .fd = f->q.sock, .events = POLLIN };
	struct braid_msg head;
	ssize_t n;

	for (;;) {
		if (poll(&p, 1, timeout_ms) <= 0)
			return -ETIMEDOUT;
		n = recv(f->q.sock, f->q.buf, sizeof(f->q.buf), 0);
		if (n < (ssize_t)sizeof(head))
			return -EPIPE;
		memcpy(&head, f->q.buf, sizeof(head));
		if (head.cmd != BRAID_NR_FETCH)
			continue;
		f->answer_seq = head.seq;
		f->arg.wants.ptr = 0;
		f->arg.jobs = (struct braid_array){ sizeof(f->jobs[0]), BRAID_MAX_BATCH,
						    (uintptr_t)f->jobs };
		f->arg.slices = (struct braid_array){ sizeof(f->slices[0]), BRAID_MAX_BATCH,
						      (uintptr_t)f->slices };
		f->arg.events = (struct braid_array){ sizeof(f->events[0]), 128,
						      (uintptr_t)f->events };
		return wire_decode_reply(wire_cmd(BRAID_NR_FETCH), f->q.buf, n, &f->arg);
	}
}

int fake_jobs(struct fake *f, uint64_t model, uint32_t count, int timeout_ms)
{
	int ret;

	do {
		fake_fetch(f, model, count);
		do {
			ret = fake_answer(f, timeout_ms);
		} while (ret == -ECANCELED && f->answer_seq != f->fetch_seq);
		for (uint32_t i = 0; !ret && i < f->arg.events.count; i++) {
			struct braid_buf_put put = { .size = sizeof(put), .id = f->events[i].id };

			if (f->events[i].type == BRAID_EVENT_BUF_RETIRED)
				raw_call(&f->q, BRAID_NR_BUF_PUT, &put, -1, NULL);
		}
	} while (!ret && !f->arg.jobs.count);
	return ret;
}
