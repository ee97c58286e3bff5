// SPDX-License-Identifier: MIT
/*
 * Pairs of rings: see rings.h. The one thread that serves does all of it.
 *
 * The other side is given an epoll descriptor that contains its bell instead
 * of the bell: a tenant could make that one block, and the queue with it.
 */
#include "agent/supervisor/rings.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/supervisor/server.h"

#define SPIN_RINGS	16u	/* more are too many to look at */
#define BESIDE_US	500u	/* longest look while the runner polls */
#define BESIDE_RINGS	128u	/* then, more are too many */
#define VISITS_A_POLL	4096u	/* of rings, for a look at descriptors */

void rings_init(struct rings *r, struct server *s, bool (*take)(struct rings *r))
{
	*r = (struct rings){ .srv = s, .take = take, .their_bell = -1, .parts = { -1, -1, -1 } };
	bq_list_init(&r->active);
}

void rings_active(struct rings *r)
{
	if (!r->mem || !bq_list_empty(&r->active))
		return;
	ring_disarm(&r->in);
	bq_list_add_tail(&r->srv->active, &r->active);
}

static void rung(struct loop_watch *w, uint32_t events)
{
	rings_active(bq_entry(w, struct rings, bell));
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void rings_close(struct rings *r)
{
	if (!r->mem)
		return;
	bq_list_del(&r->active);
	loop_del(r->srv->loop, &r->bell);
	close(r->bell.fd);
	close_fd(&r->their_bell);
	for (int i = 0; i < 3; i++)
		close_fd(&r->parts[i]);
	munmap(r->mem, r->bytes);
	r->mem = NULL;
}

/* An epoll descriptor that is woken by @bell. */
static int waiter(int bell)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, bell, &ev))
		close_fd(&fd);
	return fd;
}

static int make(struct rings *r, uint32_t up_bytes, uint32_t down_bytes)
{
	int *parts = r->parts, ret;

	r->bytes = ring_span(up_bytes, down_bytes);
	ret = parts[BRAID_RING_MEMORY] = memfd_new("rings");
	if (ret >= 0)
		ret = memfd_fill(parts[BRAID_RING_MEMORY], r->bytes);
	if (ret < 0)
		goto err;
	r->mem = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      parts[BRAID_RING_MEMORY], 0);
	if (r->mem == MAP_FAILED) {
		r->mem = NULL;
		ret = -ENOMEM;
		goto err;
	}
	ring_map(r->mem, &r->in, up_bytes, &r->out, down_bytes);
	ring_arm(&r->in);
	ret = -ENOMEM;
	r->bell = (struct loop_watch){ .events = EPOLLIN | EPOLLET, .ready = rung };
	r->bell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->their_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->bell.fd < 0 || r->their_bell < 0)
		goto err_bells;
	parts[BRAID_RING_BELL] = dup(r->bell.fd);
	parts[BRAID_RING_WAIT] = waiter(r->their_bell);
	if (parts[BRAID_RING_BELL] < 0 || parts[BRAID_RING_WAIT] < 0)
		goto err_bells;
	ret = loop_add(r->srv->loop, &r->bell);
	if (ret)
		goto err_bells;
	return 0;

err_bells:
	close_fd(&r->bell.fd);
	close_fd(&r->their_bell);
	munmap(r->mem, r->bytes);
	r->mem = NULL;
err:
	for (int i = 0; i < 3; i++)
		close_fd(&parts[i]);
	return ret;
}

int rings_part(struct rings *r, struct wire_call *call, uint32_t up_bytes, uint32_t down_bytes)
{
	struct braid_ring *arg = &call->arg.ring;
	int ret;

	if (arg->part > BRAID_RING_WAIT)
		return -EOPNOTSUPP;
	if (arg->reserved)
		return -E2BIG;
	if (!r->mem) {
		if (arg->part != BRAID_RING_MEMORY)
			return -ENOENT;
		ret = make(r, up_bytes, down_bytes);
		if (ret)
			return ret;
	}
	if (r->parts[arg->part] < 0)
		return -EBUSY;
	call->fd = r->parts[arg->part];
	r->parts[arg->part] = -1;
	arg->up_bytes = up_bytes;
	arg->down_bytes = down_bytes;
	arg->fd = -1;
	return 0;
}

int rings_descriptors(const struct rings *r)
{
	int n = 2;

	for (int i = 0; i < 3; i++)
		n += r->parts[i] >= 0;
	return r->mem ? n : 0;
}

void rings_given(const struct wire_call *call)
{
	if (call->cmd && call->cmd->nr == BRAID_NR_RING && call->fd >= 0)
		close(call->fd);
}

int rings_send(struct rings *r, const void *msg, size_t bytes)
{
	int ret;

	/* Whom the bell wakes may answer before it returns: to one that is awake. */
	rings_active(r);
	ret = ring_put(&r->out, msg, bytes);
	/* A small message that fits says nothing of the large one that did not. */
	if (ret == -EAGAIN)
		r->blocked = true;
	if (!ret && ring_wake(&r->out))
		ring_bell(r->their_bell);
	return ret;
}

ssize_t rings_receive(struct rings *r, void *buf, size_t cap)
{
	ssize_t n = ring_take(&r->in, buf, cap);

	if (n > 0 && ring_wanted(&r->in))
		ring_bell(r->their_bell);
	return n;
}

void rings_drain(struct rings *r)
{
	struct ring *in = &r->in;
	uint32_t from, last, there;

	if (!r->mem)
		return;
	there = ring_there(in);
	if (there > in->bytes)
		there = in->bytes;
	from = in->pos;
	/* The other side may take its head back: go on only while something comes. */
	do {
		last = in->pos;
	} while (last - from < there && r->take(r) && in->pos != last);
}

void rings_serve(struct server *s)
{
	struct bq_list *at, *next;

	for (at = s->active.next; at != &s->active; at = next) {
		struct rings *r = bq_entry(at, struct rings, active);

		next = at->next;
		if ((r->blocked || !ring_empty(&r->in)) && !r->take(r))
			bq_list_del(&r->active);
	}
}

static bool anything(const void *arg)
{
	const struct server *s = arg;

	for (const struct bq_list *at = s->active.next; at != &s->active; at = at->next)
		if (!ring_empty(&bq_entry(at, struct rings, active)->in))
			return true;
	return false;
}

/*
 * Nothing to do, but tenants that may submit at any moment: wait for that
 * awake? Not while the runner has something to do, which shares this CPU.
 */
static bool spin(struct server *s)
{
	const struct rings *agent = &s->agent.rings;
	unsigned int n = 0;

	if (!s->cfg.spin_us || s->q.fetched || s->draining)
		return false;
	for (const struct bq_list *at = s->active.next; at != &s->active; at = at->next) {
		const struct rings *r = bq_entry(at, struct rings, active);

		if (r == agent)
			continue;
		if (++n > SPIN_RINGS || !spin_elsewhere(&r->in))
			return false;
	}
	if (!n || !spin_worth(&s->spin))
		return false;
	/* It goes to sleep after it has committed: let it. */
	if (agent->mem && !ring_asleep(&agent->out))
		sched_yield();
	return spin_until(&s->spin, s->cfg.spin_us, anything, s);
}

/* Looking beside a runner that polls. */
struct beside {
	const struct server *s;
	unsigned int rings, visits;
	bool bell;
};

/* Who sleeps on his ring rings a bell, which is a descriptor: now and then look there. */
static bool anything_new(const void *arg)
{
	struct beside *b = (struct beside *)arg;

	b->visits += b->rings;
	if (b->visits >= VISITS_A_POLL) {
		b->visits = 0;
		b->bell = loop_pending(b->s->loop);
	}
	return b->bell || anything(b->s) || ring_asleep(&b->s->agent.rings.out);
}

/*
 * While the device works and the runner polls it, on a CPU of its own, both tenants
 * and the runner may say something at any moment: to be woken for each would cost
 * more than all else on the way of a request. Over when the runner sleeps.
 */
static bool spin_beside(struct server *s, uint64_t most_us)
{
	const struct rings *agent = &s->agent.rings;
	uint64_t us = most_us / SPIN_LONGER;
	struct beside b = { .s = s };

	if (!s->beside || !s->q.fetched || s->draining || !agent->mem ||
	    ring_asleep(&agent->out) || !spin_elsewhere(&agent->in) || !spin_worth(&s->spin_beside))
		return false;
	for (const struct bq_list *at = s->active.next; at != &s->active; at = at->next)
		if (++b.rings > BESIDE_RINGS)
			return false;
	us = us < BESIDE_US ? us : BESIDE_US;
	if (!us || !spin_until(&s->spin_beside, us, anything_new, &b))
		return false;
	if (b.bell)
		loop_look(s->loop);
	return b.bell || anything(s);
}

bool rings_rest(struct server *s, uint64_t most_us)
{
	if (anything(s) || spin_beside(s, most_us) || spin(s))
		return false;
	while (!bq_list_empty(&s->active)) {
		struct rings *r = bq_entry(s->active.next, struct rings, active);

		if (!ring_arm(&r->in))
			return false;
		bq_list_del(&r->active);
	}
	return true;
}
