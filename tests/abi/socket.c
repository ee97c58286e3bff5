// SPDX-License-Identifier: MIT
/*
 * The suite over the socket: see abi.h. A braidd is started whose runner this
 * program is (tests/transport/fake.h), so the agent is its private socket, and
 * dies as a runner does. Messages are put together here, without the checks of
 * lib/wire.c: what is wrong is to be refused by the other side.
 */
#include "tests/abi/abi.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/wire_fd.h"
#include "tests/transport/fake.h"

#define KEPT	4096u
#define LATE	4u

/* What came while something else was waited for. */
struct late {
	size_t bytes;
	uint8_t msg[WIRE_MAX_BYTES];
};

struct own {
	struct fake fake;			/* agent */
	uint64_t seq, seen;
	struct braid_completion kept[KEPT];
	unsigned int n_kept;
	struct late late[LATE];
	uint8_t out[WIRE_MAX_BYTES], in[WIRE_MAX_BYTES];
};

static struct daemon d;

static void socket_start(int argc, char **argv)
{
	fake_main(argc, argv);
	/* Long enough for a test to see what is held back. */
	fake_daemon(&d, "[queue]\ngrace_ms=5000\n");
}

static void socket_stop(void)
{
	is_int(daemon_stop(&d), 0, "braidd ends well");
}

static int socket_tenant(struct peer *p)
{
	static struct raw r;
	int ret = 0;

	p->own = calloc(1, sizeof(struct own));
	/* It may be starting. */
	for (int i = 0; p->own && i < 1000; i++) {
		ret = raw_open(&r, d.socket);
		if (!ret)
			break;
		raw_close(&r);
		abi_sleep_ms(10);
	}
	p->fd = r.sock;
	return p->own ? ret : -ENOMEM;
}

static int socket_agent(struct peer *p)
{
	struct own *o = calloc(1, sizeof(*o));

	p->own = o;
	if (!o || !fake_take(&o->fake))
		return -ETIMEDOUT;
	p->fd = o->fake.q.sock;
	return 0;
}

static void socket_close(struct peer *p)
{
	struct own *o = p->own;

	if (p->agent) {
		fake_kill(&o->fake);
		fake_drop(&o->fake);
	} else {
		close(p->fd);
	}
	p->fd = -1;
	free(o);
}

static struct braid_array array_of(const void *arg, const struct wire_array *a)
{
	struct braid_array v;

	memcpy(&v, (const uint8_t *)arg + a->offset, sizeof(v));
	return v;
}

/* Arrays that are read are sent if they have an address. */
static size_t encode(struct own *o, uint32_t nr, const void *arg)
{
	const struct wire_cmd *cmd = wire_cmd(nr);
	struct braid_msg head = { .abi = BRAID_ABI, .type = BRAID_MSG_COMMAND, .cmd = nr,
				  .seq = ++o->seq, .seen = o->seen };
	uint32_t size, body;
	size_t at = sizeof(head);

	memcpy(&size, arg, sizeof(size));
	body = size < sizeof(size) ? sizeof(size) : size > 4096 ? 4096 : size;
	memcpy(o->out + at, arg, body);
	for (unsigned int i = 0; cmd && size >= cmd->min && i < cmd->n_arrays; i++)
		memset(o->out + at + cmd->arrays[i].offset + offsetof(struct braid_array, ptr), 0,
		       sizeof(uint64_t));
	at += body;
	for (unsigned int i = 0; cmd && size >= cmd->min && i < cmd->n_arrays; i++) {
		struct braid_array v = array_of(arg, &cmd->arrays[i]);
		size_t bytes = (size_t)v.stride * v.count, start = (at + 7) & ~(size_t)7;

		if (!(cmd->arrays[i].dir & WIRE_IN) || !v.ptr || !v.count ||
		    start + bytes > sizeof(o->out))
			continue;
		memset(o->out + at, 0, start - at);
		memcpy(o->out + start, (const void *)(uintptr_t)v.ptr, bytes);
		at = start + bytes;
	}
	head.size = at;
	memcpy(o->out, &head, sizeof(head));
	return at;
}

static void keep(struct own *o, const uint8_t *msg, size_t bytes)
{
	size_t at = sizeof(struct braid_msg);

	for (; at + sizeof(o->kept[0]) <= bytes && o->n_kept < KEPT; at += sizeof(o->kept[0]))
		memcpy(&o->kept[o->n_kept++], msg + at, sizeof(o->kept[0]));
}

static void put_aside(struct own *o, size_t bytes)
{
	for (unsigned int i = 0; i < LATE; i++) {
		if (o->late[i].bytes)
			continue;
		memcpy(o->late[i].msg, o->in, bytes);
		o->late[i].bytes = bytes;
		return;
	}
}

/* Wait for the reply with this number: its bytes, 0 in time, negative: over. */
static ssize_t reply(struct peer *p, uint64_t seq, int timeout_ms, int *fd)
{
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
	uint64_t until = abi_now() + timeout_ms * 1000000ull, now;
	struct own *o = p->own;
	struct braid_msg head;
	ssize_t n;

	for (unsigned int i = 0; i < LATE; i++) {
		memcpy(&head, o->late[i].msg, sizeof(head));
		if (!o->late[i].bytes || head.seq != seq)
			continue;
		n = o->late[i].bytes;
		memcpy(o->in, o->late[i].msg, n);
		o->late[i].bytes = 0;
		return n;
	}
	for (;;) {
		now = abi_now();
		if (poll(&pfd, 1, now < until ? (until - now) / 1000000 + 1 : 0) <= 0)
			return 0;
		n = wire_recv(p->fd, o->in, sizeof(o->in), 0, fd);
		if (n < (ssize_t)sizeof(head))
			return -EPIPE;
		memcpy(&head, o->in, sizeof(head));
		if (head.type == BRAID_MSG_COMPLETIONS)
			keep(o, o->in, n);
		else if (head.seq == seq)
			return n;
		else
			put_aside(o, n);
	}
}

/* What a reply says, as an ioctl would have left it. */
static int decode(struct own *o, uint32_t nr, size_t bytes, void *arg)
{
	const struct wire_cmd *cmd = wire_cmd(nr);
	struct braid_msg head;

	memcpy(&head, o->in, sizeof(head));
	return cmd && *(uint32_t *)arg >= cmd->min ? wire_decode_reply(cmd, o->in, bytes, arg) :
						     head.ret;
}

static int socket_call(struct peer *p, uint32_t nr, void *arg, int *fd)
{
	struct own *o = p->own;
	size_t bytes = encode(o, nr, arg);
	ssize_t n;

	*fd = -1;
	if (send(p->fd, o->out, bytes, MSG_NOSIGNAL) < 0)
		return -errno;
	n = reply(p, o->seq, ABI_LONG, fd);
	if (n <= 0)
		return n ? (int)n : -ETIMEDOUT;
	return decode(o, nr, n, arg);
}

static int socket_take(struct peer *p, struct braid_completion *c, unsigned int n,
		       int timeout_ms)
{
	struct own *o = p->own;

	if (!o->n_kept)
		reply(p, 0, 0, NULL);
	if (!o->n_kept) {
		/* Any message: completions are the only ones that come unasked. */
		struct pollfd pfd = { .fd = p->fd, .events = POLLIN };

		if (poll(&pfd, 1, timeout_ms) > 0)
			reply(p, 0, 0, NULL);
	}
	if (n > o->n_kept)
		n = o->n_kept;
	memcpy(c, o->kept, n * sizeof(*c));
	o->n_kept -= n;
	memmove(o->kept, o->kept + n, o->n_kept * sizeof(*c));
	o->seen += n;
	return n;
}

static void socket_fetch(struct peer *p, struct abi_fetch *f)
{
	struct own *o = p->own;
	size_t bytes = encode(o, BRAID_NR_FETCH, &f->arg);

	f->seq = o->seq;
	if (send(p->fd, o->out, bytes, MSG_NOSIGNAL) < 0)
		f->seq = 0;
}

static int socket_fetched(struct peer *p, struct abi_fetch *f, int timeout_ms)
{
	ssize_t n = reply(p, f->seq, timeout_ms, NULL);

	if (n <= 0)
		return n ? (int)n : -ETIMEDOUT;
	return decode(p->own, BRAID_NR_FETCH, n, &f->arg);
}

static int ask(json_t *req)
{
	char *text = json_dumps(req, JSON_COMPACT);
	json_t *o = daemon_answer(&d, text, strlen(text));
	int ret = json_is_true(json_object_get(o, "ok")) ? 0 : -EINVAL;

	free(text);
	json_decref(o);
	json_decref(req);
	return ret;
}

static int socket_knob(const char *name, const char *value)
{
	return ask(json_pack("{s:s,s:s,s:s}", "cmd", "set", "knob", name, "value", value));
}

static long long socket_counter(const char *name)
{
	long long v = daemon_counter(&d, name);

	return v >= 0 ? v : daemon_status(&d, name);
}

static int socket_open_to_all(void)
{
	return chmod(d.dir, 0711) || chmod(d.socket, 0666) ? -errno : 0;
}

static int socket_owner(uint64_t owner, const char *limit, uint64_t value)
{
	if (!limit)
		return ask(json_pack("{s:s,s:I,s:b}", "cmd", "owner", "owner", (json_int_t)owner,
				     "reset", 1));
	return ask(json_pack("{s:s,s:I,s:I}", "cmd", "owner", "owner", (json_int_t)owner, limit,
			     (json_int_t)value));
}

const struct abi_transport abi_socket = {
	.name = "socket",
	.start = socket_start,
	.stop = socket_stop,
	.tenant = socket_tenant,
	.agent = socket_agent,
	.close = socket_close,
	.call = socket_call,
	.take = socket_take,
	.fetch = socket_fetch,
	.fetched = socket_fetched,
	.knob = socket_knob,
	.counter = socket_counter,
	.open_to_all = socket_open_to_all,
	.owner = socket_owner,
};
