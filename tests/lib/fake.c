// SPDX-License-Identifier: MIT
/*
 * A queue played by the test: see fake.h.
 */
#include "tests/lib/fake.h"
#include "lib/wire_fd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void bail(const char *what)
{
	printf("Bail out! fake queue: %s: %s\n", what, strerror(errno));
	exit(1);
}

void fake_start(struct fake *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	memset(f, 0, sizeof(*f));
	f->max_message = WIRE_MAX_BYTES;
	f->sock = -1;
	strcpy(f->dir, "/tmp/braid-fake-XXXXXX");
	if (!mkdtemp(f->dir))
		bail("mkdtemp");
	snprintf(f->path, sizeof(f->path), "%s/q", f->dir);
	strcpy(sa.sun_path, f->path);
	f->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(f->listener, (struct sockaddr *)&sa, sizeof(sa)) || listen(f->listener, 8))
		bail(f->path);
}

void fake_stop(struct fake *f)
{
	fake_hang_up(f);
	close(f->listener);
	unlink(f->path);
	rmdir(f->dir);
}

void fake_accept(struct fake *f)
{
	f->sock = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	if (f->sock < 0)
		bail("accept");
	f->links++;
	f->last_buf = f->last_id = f->links * 1000;
}

void fake_hang_up(struct fake *f)
{
	if (f->sock >= 0)
		close(f->sock);
	f->sock = -1;
}

static void send_out(struct fake *f, size_t bytes, int fd)
{
	/* The tenant may be gone; the test sees that by itself. */
	wire_send(f->sock, f->out, bytes, fd, 0);
}

void fake_answer(struct fake *f, int ret)
{
	struct wire_reply r;

	if (ret && !f->call.cmd->out_on_error) {
		send_out(f, wire_reply_error(f->call.cmd->nr, f->call.seq, ret, f->out), -1);
		return;
	}
	wire_reply_start(&r, &f->call, f->out, sizeof(f->out));
	send_out(f, wire_reply_end(&r, ret), f->call.fd);
}

void fake_taken(struct fake *f, uint32_t accepted, int error)
{
	f->call.arg.submit.first_id = f->last_id + 1;
	f->last_id += accepted;
	f->call.arg.submit.accepted = accepted;
	f->call.arg.submit.error = error;
	fake_answer(f, accepted ? 0 : error);
}

uint64_t fake_user_data(struct fake *f, uint32_t i)
{
	struct braid_request req;

	return i < f->call.count[0] && !wire_get(&f->call, 0, i, &req) ? req.user_data : 0;
}

void fake_complete(struct fake *f, uint64_t user_data, int status, unsigned int n)
{
	struct braid_completion c = { .size = sizeof(c), .status = status,
				      .user_data = user_data };
	struct braid_msg head = { .size = sizeof(head) + n * sizeof(c), .abi = BRAID_ABI,
				  .type = BRAID_MSG_COMPLETIONS };

	memcpy(f->out, &head, sizeof(head));
	for (unsigned int i = 0; i < n; i++)
		memcpy(f->out + sizeof(head) + i * sizeof(c), &c, sizeof(c));
	send_out(f, head.size, -1);
}

static void get_model(struct fake *f)
{
	struct braid_tensor t[2] = {
		{ .name = "in", .type = BRAID_TYPE_F32, .rank = 1, .dims = { 16 }, .bytes = 64 },
		{ .name = "out", .type = BRAID_TYPE_F32, .rank = 1, .dims = { 16 }, .bytes = 64 },
	};
	struct braid_model_get *g = &f->call.arg.model_get;
	struct wire_reply r;

	g->id = f->links * 100;
	strcpy(g->name, "m");
	g->n_inputs = g->n_outputs = 1;
	wire_reply_start(&r, &f->call, f->out, sizeof(f->out));
	wire_reply_put(&r, 0, t, wire_reply_room(&r, 0) < 2 ? wire_reply_room(&r, 0) : 2, 2);
	send_out(f, wire_reply_end(&r, 0), -1);
}

static void get_buffer(struct fake *f)
{
	struct braid_buf_alloc *a = &f->call.arg.buf_alloc;

	a->length = (a->length + BRAID_BUF_ALIGN - 1) & ~(uint64_t)(BRAID_BUF_ALIGN - 1);
	a->id = ++f->last_buf;
	if (a->flags & BRAID_BUF_ADOPT) {
		atomic_fetch_add(&f->adopted, 1);
	} else {
		f->call.fd = memfd_create("fake", MFD_CLOEXEC);
		if (ftruncate(f->call.fd, a->length))
			bail("memfd");
	}
	fake_answer(f, 0);
	if (f->call.fd >= 0)
		close(f->call.fd);
}

int fake_serve(struct fake *f, int but)
{
	for (;;) {
		ssize_t n = recv(f->sock, f->in, sizeof(f->in), 0);

		if (n <= 0 || wire_parse_command(f->in, n, false, &f->call))
			return -1;
		if ((int)f->call.cmd->nr == but)
			return but;
		switch (f->call.cmd->nr) {
		case BRAID_NR_GET_INFO:
			f->call.arg.get_info.agent_up = 1;
			f->call.arg.get_info.max_message = f->max_message;
			fake_answer(f, 0);
			break;
		case BRAID_NR_RING:
			fake_answer(f, -ENOTTY);	/* the socket does all of it */
			break;
		case BRAID_NR_MODEL_GET:
			get_model(f);
			break;
		case BRAID_NR_BUF_ALLOC:
			get_buffer(f);
			break;
		default:
			return f->call.cmd->nr;
		}
	}
}
