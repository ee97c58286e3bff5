// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who a file's share and quota belong to: the uid or the cgroup of the process
 * that opens it. Both are those of the first namespaces, so that containers
 * can't choose to be somebody. And what memory each of them is charged.
 *
 * Who may make a user namespace may have subordinate ids in it, thousands of
 * them, and would be as many owners. So what is in there belongs to whoever made
 * it: that is where the chain of namespaces leaves the first one.
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

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

static kuid_t uid_of_current(void)
{
	struct user_namespace *ns = current_user_ns();
	kuid_t root;

	if (ns == &init_user_ns)
		return current_euid();
	while (ns->parent != &init_user_ns)
		ns = ns->parent;
	if (!uid_eq(ns->owner, GLOBAL_ROOT_UID))
		return ns->owner;
	/*
	 * A container that root has made: the ids that root gave it are one owner,
	 * named by the first of them. If root gave it itself, its users are ours.
	 */
	root = make_kuid(ns, 0);
	if (!uid_valid(root) || uid_eq(root, GLOBAL_ROOT_UID))
		return current_euid();
	return root;
}

/* A change of the knob right now concerns the next one to open. */
u64 braid_owner_key(struct braid_queue *q)
{
	u32 by;

	braid_queue_lock_clean(q);
	by = q->bq.knobs[BQ_SHARE_BY];
	braid_queue_unlock_clean(q);
	if (by == BQ_SHARE_CGROUP)
		return cgroup_of_current();
	return from_kuid(&init_user_ns, uid_of_current());
}

struct bq_owner *braid_owner_alloc(void)
{
	return kmalloc(sizeof(struct bq_owner), GFP_KERNEL_ACCOUNT);
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

static bool charge_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	return container_of(na, struct braid_charge, by_key)->key <
	       container_of(nb, struct braid_charge, by_key)->key;
}

static struct braid_charge *charge_find(const struct braid_queue *q, u64 key)
{
	struct bq_rb_node *n = q->charges.node;
	struct braid_charge *c;

	lockdep_assert_held(&q->charge_lock);
	while (n) {
		c = container_of(n, struct braid_charge, by_key);
		if (c->key == key)
			return c;
		n = n->child[c->key < key];
	}
	return NULL;
}

/*
 * The agent maps every buffer, and a process has only so many mappings
 * (vm.max_map_count). Whoever has none gets one as long as there is any, so the
 * last quarter is not for those who have.
 */
static bool may_have_buffer(const struct braid_queue *q, u32 has)
{
	u32 most = READ_ONCE(braid_max_buffers);

	lockdep_assert_held(&q->charge_lock);
	return has < READ_ONCE(braid_buffer_quota) &&
	       q->n_buffers < (has ? most - most / 4 : most);
}

struct braid_charge *braid_charge(struct braid_queue *q, u64 key, u64 bytes, u64 quota,
				  struct braid_charge **spare)
{
	struct braid_charge *c;

	spin_lock(&q->charge_lock);
	c = charge_find(q, key);
	if (!c) {
		c = *spare;
		*spare = NULL;
		*c = (struct braid_charge){ .key = key };
		bq_rb_insert(&q->charges, &c->by_key, charge_less);
	}
	if (c->bytes > quota || bytes > quota - c->bytes || !may_have_buffer(q, c->buffers)) {
		if (!c->buffers) {
			bq_rb_erase(&q->charges, &c->by_key);
			*spare = c;
		}
		c = ERR_PTR(-EDQUOT);
	} else {
		c->bytes += bytes;
		c->buffers++;
		q->n_buffers++;
	}
	spin_unlock(&q->charge_lock);
	return c;
}

void braid_uncharge(struct braid_queue *q, struct braid_charge *c, u64 bytes)
{
	bool last;

	spin_lock(&q->charge_lock);
	c->bytes -= bytes;
	q->n_buffers--;
	last = !--c->buffers;
	if (last)
		bq_rb_erase(&q->charges, &c->by_key);
	spin_unlock(&q->charge_lock);
	if (last)
		kfree(c);
}

u64 braid_charged(struct braid_queue *q, u64 key)
{
	struct braid_charge *c;
	u64 bytes;

	spin_lock(&q->charge_lock);
	c = charge_find(q, key);
	bytes = c ? c->bytes : 0;
	spin_unlock(&q->charge_lock);
	return bytes;
}
