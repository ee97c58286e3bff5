// SPDX-License-Identifier: MIT
/*
 * How many descriptors and mappings an owner may have of those that there are:
 * the supervisor's rules alone, no daemon.
 */
#include <stdlib.h>

#include "agent/supervisor/server.h"
#include "tests/tap.h"

static struct server s;

static struct bq_owner *owner(uint64_t key)
{
	struct bq_owner *o = node_owner();

	if (!o) {
		printf("Bail out! no memory\n");
		exit(1);
	}
	bq_owner_add(&s.q, o, key);
	return o;
}

static struct bq_buffer *nodes[1000];
static unsigned int n_nodes;

/* As many buffers as it may have. */
static unsigned int fill(struct bq_owner *o)
{
	unsigned int n = 0;

	while (n_nodes < 1000 && owner_may_have_buffer(&s, o)) {
		nodes[n_nodes++] = node_buffer(-1, o);
		s.n_buffers++;
		n++;
	}
	return n;
}

static void limits(int fds, unsigned int maps)
{
	s.fd_limit = fds;
	s.map_limit = maps;
	s.n_buffers = 0;
}

int main(void)
{
	struct bq_owner *o;

	bq_init(&s.q);
	s.cfg.buffer_quota = 500;
	s.cfg.max_tenants = 100;
	s.loop = loop_new();
	if (!s.loop || closer_start(&s)) {
		printf("Bail out! no loop\n");
		return 1;
	}
	limits(10000, 10000);
	is_int(fill(owner(1)), 500, "buffers: the quota");
	limits(10000, 100);
	is_int(fill(owner(2)), 75, "mappings: three quarters of them");
	is_int(fill(owner(3)), 1, "of the last quarter one, for who has none");
	is_int(fill(owner(4)), 1, "another owner as well");

	limits(100, 10000);
	o = owner(5);
	for (int i = 0; i < 4; i++) {
		node_owner_tenant(o, 1);
		node_owner_extra(o, RINGS_DESCRIPTORS);
	}
	is_int(fill(o), 75 - 4 * (1 + RINGS_DESCRIPTORS),
	       "descriptors: three quarters, those of connections and rings included");
	ok(!owner_may_connect(&s, o), "then it may not connect");
	ok(!owner_may_have_rings(&s, o), "nor have rings");
	node_owner_extra(o, -3);
	ok(owner_may_connect(&s, o), "before it has taken its parts of them");
	ok(!owner_may_have_rings(&s, o), "a new pair costs more than that");
	closer_stop(&s);
	loop_free(s.loop);
	return tap_done();
}
