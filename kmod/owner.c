// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who a file's share and quota belong to: the uid or the cgroup of the process
 * that opens it. Both are those of the first namespaces, so that containers
 * can't choose to be somebody.
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "kmod/braid_priv.h"

/* The id of a cgroup is the inode number of its directory; 0 without cgroups. */
static u64 cgroup_of_current(void)
{
	u64 id = 0;

#ifdef CONFIG_CGROUPS
	rcu_read_lock();
	id = cgroup_id(task_dfl_cgroup(current));
	rcu_read_unlock();
#endif
	return id;
}

/* A change of the knob right now concerns the next one to open. */
u64 braid_owner_key(struct braid_queue *q)
{
	if (READ_ONCE(q->bq.knobs[BQ_SHARE_BY]) == BQ_SHARE_CGROUP)
		return cgroup_of_current();
	return from_kuid(&init_user_ns, current_euid());
}

struct bq_owner *braid_owner_alloc(void)
{
	struct braid_owner *o = kzalloc(sizeof(*o), GFP_KERNEL_ACCOUNT);

	return o ? &o->o : NULL;
}

struct bq_owner *braid_owner_find(struct braid_queue *q, u64 key, struct bq_owner **spare)
{
	struct bq_owner *o;

	lockdep_assert_held(&q->lock);
	o = bq_owner_find(&q->bq, key);
	if (o || !*spare)
		return o;
	o = *spare;
	*spare = NULL;
	bq_owner_add(&q->bq, o, key);
	return o;
}
