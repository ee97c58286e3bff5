// SPDX-License-Identifier: MIT
/*
 * Who a connection's share and quota belong to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/supervisor/server.h"

/*
 * The id of a process's cgroup is the inode number of its directory. The
 * process may have died and its number be another's by now; then the
 * connection is about to close anyway. 0 where there are no cgroups.
 */
static uint64_t cgroup_of(pid_t pid)
{
	char path[64], line[512], dir[600];
	uint64_t id = 0;
	struct stat st;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "0::", 3))
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(dir, sizeof(dir), "/sys/fs/cgroup%s", line + 3);
		if (!stat(dir, &st))
			id = st.st_ino;
	}
	fclose(f);
	return id;
}

/* Find or make the owner; NULL without memory. */
struct bq_owner *owner_of(struct server *s, pid_t pid, uid_t uid)
{
	uint64_t key = uid;
	struct bq_owner *o;

	if (s->q.knobs[BQ_SHARE_BY] == BQ_SHARE_CGROUP)
		key = cgroup_of(pid);
	o = bq_owner_find(&s->q, key);
	if (o)
		return o;
	o = node_owner();
	if (o)
		bq_owner_add(&s->q, o, key);
	return o;
}

/* All but a quarter: the rest is for others. */
static unsigned int most(unsigned int n)
{
	return n - n / 4;
}

static bool has_descriptors(struct server *s, const struct bq_owner *o, unsigned int more)
{
	return node_owner_descriptors(o) + closer_pending(s, o->key) + more <= most(s->fd_limit);
}

/* May it have another connection? */
bool owner_may_connect(struct server *s, const struct bq_owner *o)
{
	return node_owner_tenants(o) < most(s->cfg.max_tenants) && has_descriptors(s, o, 1);
}

/*
 * May it have another buffer? Each costs a descriptor here, as connections do,
 * and a mapping in the runner, of which a process has only so many. An owner
 * gets three quarters of those, and the last quarter is for who has none.
 */
bool owner_may_have_buffer(struct server *s, const struct bq_owner *o)
{
	unsigned int has = node_owner_buffers(o), shared = most(s->map_limit);

	return has < s->cfg.buffer_quota && has < shared &&
	       s->n_buffers < (has ? shared : s->map_limit) && has_descriptors(s, o, 1);
}

/* May it have another pair of rings? */
bool owner_may_have_rings(struct server *s, const struct bq_owner *o)
{
	return has_descriptors(s, o, RINGS_DESCRIPTORS);
}
