// SPDX-License-Identifier: MIT
/*
 * Tenants' connections: accept, receive, reply, completions, and the end.
 *
 * Nothing here ever waits for a tenant. One that does not read its replies is
 * not read from until it does; one that does not read completions fills its
 * own socket, then its own places in tenant_depth.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/supervisor/server.h"
#include "agent/supervisor/trace.h"
#include "lib/wire_fd.h"

#define COMPLETIONS_A_MESSAGE	64

static void client_ready(struct loop_watch *w, uint32_t events);
static bool client_rung(struct rings *r);

static bool may_read(const struct client *c)
{
	return !c->closed && !c->out_bytes && !c->hang_up && !c->job && !c->refused.busy &&
	       !c->waits_for_room && !c->srv->draining;
}

/* What is to go down the ring waits for a bell instead of the socket. */
static void watch_for(struct client *c)
{
	uint32_t ev = 0;
	struct braid_completion done;

	if (c->closed)
		return;
	if (may_read(c)) {
		ev |= EPOLLIN;
		if (c->rings.mem && !ring_empty(&c->rings.in))
			rings_active(&c->rings);
	}
	if (c->out_bytes ? !c->out_ring :
	    !c->rings.used && bq_completion_peek(&c->tenant, &done))
		ev |= EPOLLOUT;
	loop_change(c->srv->loop, &c->watch, ev);
}

static void nobody_waits(struct server *s, struct parcel *p)
{
}

/* Close its socket. In it may be descriptors that were sent and not yet received. */
static void end_socket(struct client *c, uint64_t owner)
{
	shutdown(c->watch.fd, SHUT_RDWR);
	c->ended = (struct parcel){ .owner = owner, .fds = &c->watch.fd, .n = 1,
				    .done = nobody_waits };
	closer_put(c->srv, &c->ended);
}

/* One that is not let in: it never was a tenant. */
static void turn_away(struct client *c, uint64_t owner)
{
	struct server *s = c->srv;

	c->closed = true;
	c->reaped = true;
	c->next = s->dead;
	s->dead = c;
	end_socket(c, owner);
}

static void refused_closed(struct server *s, struct parcel *p)
{
	watch_for(bq_entry(p, struct client, refused));
}

static void wait_for_room(struct client *c, bool wait)
{
	c->srv->n_wait_for_room += wait - c->waits_for_room;
	c->waits_for_room = wait;
}

/* Descriptors have been closed: who brings some may be read again. */
void client_room(struct server *s)
{
	for (struct client *c = s->clients; c && s->n_wait_for_room; c = c->next) {
		if (!c->waits_for_room)
			continue;
		wait_for_room(c, false);
		watch_for(c);
	}
}

void client_accept(struct loop_watch *w, uint32_t events)
{
	struct server *s = bq_entry(w, struct server, listener);
	int size = 4 * WIRE_MAX_BYTES, fd;
	socklen_t len = sizeof(struct ucred);
	struct bq_owner *owner = NULL;
	struct ucred cred = { .uid = -1 };
	struct client *c;

	/* Its memory first: a socket that is there can't be closed without. */
	c = server_has_descriptors(s, s->fd_limit) ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		server_no_descriptors(s);
		return;
	}
	fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			server_no_descriptors(s);
		free(c);
		return;
	}
	c->srv = s;
	c->out_fd = -1;
	c->watch = (struct loop_watch){ .fd = fd, .events = EPOLLIN, .ready = client_ready };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ||
	    s->n_clients >= s->cfg.max_tenants) {
		if (server_may_tell(s))
			log_line(LOG_WARNING, "tenant refused", "tenants=%u max_tenants=%u",
				 s->n_clients, s->cfg.max_tenants);
		turn_away(c, cred.uid);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	owner = owner_of(s, cred.pid, cred.uid);
	if (owner && !owner_may_connect(s, owner)) {
		if (server_may_tell(s))
			log_line(LOG_WARNING, "tenant refused: its owner has most places",
				 "owner=%llu pid=%d", (unsigned long long)owner->key, cred.pid);
		turn_away(c, owner->key);
		return;
	}
	if (!owner) {
		turn_away(c, cred.uid);
		return;
	}
	node_owner_tenant(owner, 1);
	c->pid = cred.pid;
	c->uid = cred.uid;
	timens_of(c);
	rings_init(&c->rings, s, client_rung);
	bq_tenant_add(&s->q, &c->tenant, owner);
	c->next = s->clients;
	s->clients = c;
	s->n_clients++;
	if (loop_add(s->loop, &c->watch)) {
		client_close(c, "no memory to watch it");
		return;
	}
	log_line(LOG_DEBUG, "tenant came", "tenant=%llu pid=%d uid=%u",
		 (unsigned long long)c->tenant.id, c->pid, c->uid);
	event_tenant(c, true);
}

void client_close(struct client *c, const char *why)
{
	struct server *s = c->srv;
	struct client **at;

	if (c->closed)
		return;
	c->closed = true;
	log_line(LOG_DEBUG, "tenant went", "tenant=%llu pid=%d why=\"%s\" outstanding=%u",
		 (unsigned long long)c->tenant.id, c->pid, why, c->tenant.outstanding);
	wait_for_room(c, false);
	loop_del(s->loop, &c->watch);
	end_socket(c, c->tenant.owner->key);
	node_owner_extra(c->tenant.owner, -(rings_descriptors(&c->rings) + (c->out_fd >= 0)));
	rings_close(&c->rings);
	mem_forget(c);
	for (at = &s->clients; *at != c; at = &(*at)->next)
		;
	*at = c->next;
	s->n_clients--;
	c->next = s->dead;
	s->dead = c;
	event_tenant(c, false);
	node_owner_tenant(c->tenant.owner, -1);
	bq_tenant_gone(&s->q, &c->tenant);
	s->again = true;
}

/* The round is over: no event of it can name them any more. */
void client_free_dead(struct server *s)
{
	struct client **at = &s->dead;

	while (*at) {
		struct client *c = *at;

		if (!c->reaped || c->refused.busy || c->ended.busy) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		if (c->out_fd >= 0)
			mem_close(s, c->out_fd);
		free(c->out);
		free(c);
	}
}

/* Keep what does not fit; reading goes on when it has been sent. */
static int reply(struct client *c, const void *msg, size_t bytes, int fd)
{
	bool ring = c->by_ring && fd < 0;
	int ret;

	ret = ring ? rings_send(&c->rings, msg, bytes) :
	      wire_send(c->watch.fd, msg, bytes, fd, MSG_DONTWAIT);
	if (ret != -EAGAIN)
		return ret;
	c->out_ring = ring;
	if (fd >= 0) {
		c->out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (c->out_fd < 0)
			return -errno;
		node_owner_extra(c->tenant.owner, 1);
	}
	c->out = malloc(bytes);
	if (!c->out)
		return -ENOMEM;
	memcpy(c->out, msg, bytes);
	c->out_bytes = bytes;
	return 0;
}

static int flush_reply(struct client *c)
{
	int ret;

	if (!c->out_bytes)
		return 0;
	ret = c->out_ring ? rings_send(&c->rings, c->out, c->out_bytes) :
	      wire_send(c->watch.fd, c->out, c->out_bytes, c->out_fd, MSG_DONTWAIT);
	if (ret)
		return ret;
	if (c->out_fd >= 0) {
		node_owner_extra(c->tenant.owner, -1);
		close(c->out_fd);
	}
	c->out_fd = -1;
	free(c->out);
	c->out = NULL;
	c->out_bytes = 0;
	return 0;
}

static void its_times(const struct client *c, struct braid_completion *done)
{
	done->enqueue_ns = timens_out(c, done->enqueue_ns);
	done->fetch_ns = timens_out(c, done->fetch_ns);
	done->done_ns = timens_out(c, done->done_ns);
}

/* Send what has completed; the places stay taken until the tenant has seen it. */
void client_completions(struct client *c)
{
	struct {
		struct braid_msg head;
		struct braid_completion done[COMPLETIONS_A_MESSAGE];
	} m;
	unsigned int n;
	int ret;

	trace_completions(c);
	while (!c->closed && !c->out_bytes) {
		uint64_t before = c->tenant.sent;

		for (n = 0; n < COMPLETIONS_A_MESSAGE; n++) {
			if (!bq_completion_peek(&c->tenant, &m.done[n]))
				break;
			bq_completion_sent(&c->tenant);
			if (c->clock_ahead)
				its_times(c, &m.done[n]);
		}
		if (!n)
			break;
		m.head = (struct braid_msg){
			.size = sizeof(m.head) + n * sizeof(m.done[0]),
			.abi = BRAID_ABI,
			.type = BRAID_MSG_COMPLETIONS,
			.seq = before,
		};
		ret = c->rings.used ? rings_send(&c->rings, &m, m.head.size) :
		      wire_send(c->watch.fd, &m, m.head.size, -1, MSG_DONTWAIT);
		if (ret == -EAGAIN) {
			bq_completion_unsent(&c->tenant, n);
			break;
		}
		if (ret)
			client_close(c, "completions can't be sent");
	}
	watch_for(c);
}

/* The answer to a command that had to wait; the next ones are read again. */
void client_answer(struct client *c, struct wire_call *call, int ret)
{
	struct server *s = c->srv;
	struct wire_reply r = { .buf = s->out };
	size_t n;

	if (ret) {
		n = wire_reply_error(call->cmd->nr, call->seq, ret, s->out);
	} else {
		wire_reply_start(&r, call, s->out, sizeof(s->out));
		n = wire_reply_end(&r, 0);
	}
	if (reply(c, s->out, n, call->fd))
		client_close(c, "reply can't be sent");
	else
		watch_for(c);
}

static void handle(struct client *c, size_t bytes, int *fd_in)
{
	struct server *s = c->srv;
	struct wire_reply r = { .buf = s->out };
	struct wire_call call;
	uint32_t nr = 0;
	size_t n;
	int ret;

	s->round_ns = 0;
	ret = wire_parse_command(s->in, bytes, false, &call);
	if (!ret && c->by_ring && call.cmd->fd_offset)
		ret = -EINVAL;
	if (ret) {
		if (bytes >= sizeof(struct braid_msg))
			nr = ((struct braid_msg *)s->in)->cmd;
		n = wire_reply_error(nr, call.seq, ret, s->out);
		if (ret != -EBADMSG && ret != -EPROTONOSUPPORT)
			ret = 0;
	} else {
		ret = tenant_command(c, &call, fd_in, &r, &n);
	}
	if (n && reply(c, s->out, n, call.fd))
		client_close(c, "reply can't be sent");
	rings_given(&call);
	if (ret && !c->closed) {
		c->hang_up = true;
		if (server_may_tell(s))
			log_line(LOG_NOTICE, "malformed message",
				 "tenant=%llu pid=%d uid=%u error=%d",
				 (unsigned long long)c->tenant.id, c->pid, c->uid, ret);
	}
}

/* After a command: hang up as soon as the tenant has been told why. */
static void settle(struct client *c)
{
	if (c->hang_up && !c->out_bytes)
		client_close(c, "malformed message");
	else
		watch_for(c);
}

/* The ring may have a message, or room for what waits for it. */
static bool client_rung(struct rings *r)
{
	struct client *c = bq_entry(r, struct client, rings);
	struct server *s = c->srv;
	int none = -1, ret;
	ssize_t n;

	if (r->blocked) {
		r->blocked = false;
		ret = c->out_ring ? flush_reply(c) : 0;
		if (ret && ret != -EAGAIN) {
			client_close(c, "reply can't be sent");
			return false;
		}
		client_completions(c);
	}
	if (!may_read(c))
		return false;
	n = rings_receive(r, s->in, sizeof(s->in));
	if (n < 0) {
		client_close(c, "malformed ring");
		return false;
	}
	if (!n)
		return true;
	c->by_ring = true;
	handle(c, n, &none);
	c->by_ring = false;
	if (!r->used) {
		/* From now on this is where completions go, those that wait too. */
		r->used = true;
		client_completions(c);
	}
	settle(c);
	return !c->closed;
}

/* 0, or negative: the connection is over. */
static int receive(struct client *c)
{
	struct server *s = c->srv;
	uint64_t owner = c->tenant.owner->key;
	int none = -1, *fd = &none;
	unsigned int n_fds;
	ssize_t n;

	if (!closer_has_room(s, owner, WIRE_MAX_FDS) && wire_brings_fds(c->watch.fd)) {
		wait_for_room(c, true);
		return 0;
	}
	n = wire_recv_fds(c->watch.fd, s->in, sizeof(s->in), MSG_DONTWAIT, c->came, &n_fds);
	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? 0 : n;
	if (n_fds)
		fd = &c->came[0];
	/* A message that was cut is not what its head says: EBADMSG. */
	if (n)
		handle(c, n, fd);
	if (n_fds > 1 || *fd >= 0) {
		c->refused = (struct parcel){ .owner = owner, .fds = c->came, .n = n_fds,
					      .sent = true, .done = refused_closed };
		closer_put(s, &c->refused);
	}
	return n ? 0 : -ECONNRESET;
}

static void client_ready(struct loop_watch *w, uint32_t events)
{
	struct client *c = bq_entry(w, struct client, watch);
	int ret;

	if (events & EPOLLOUT) {
		ret = c->out_ring ? 0 : flush_reply(c);
		if (ret && ret != -EAGAIN) {
			client_close(c, "reply can't be sent");
			return;
		}
		client_completions(c);
	}
	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN)) {
		client_close(c, "hung up");
		return;
	}
	/*
	 * One message, then it is another tenant's turn. Most tenants wait for
	 * the answer, so looking for a second one would find none. What the
	 * ring holds was sent before what the socket has.
	 */
	if (events & EPOLLIN && may_read(c))
		rings_drain(&c->rings);
	if (events & EPOLLIN && may_read(c) && receive(c) < 0) {
		client_close(c, "hung up");
		return;
	}
	if (!c->closed)
		settle(c);
}
