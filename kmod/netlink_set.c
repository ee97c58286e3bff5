// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generic netlink: limits of an owner, by its key or by one of its tenants.
 * They are the owner's, so they outlive the tenant.
 */
#include <linux/slab.h>

#include "kmod/netlink.h"

static bool names_limits(struct genl_info *info)
{
	return info->attrs[BRAID_A_OWNER_WEIGHT] || info->attrs[BRAID_A_OWNER_PRIORITY_CEILING] ||
	       info->attrs[BRAID_A_OWNER_REQUEST_QUOTA] || info->attrs[BRAID_A_OWNER_BYTE_QUOTA];
}

static int check(struct genl_info *info)
{
	if (names_limits(info) == !!info->attrs[BRAID_A_OWNER_RESET]) {
		GENL_SET_ERR_MSG(info, "either limits or a reset");
		return -EINVAL;
	}
	return 0;
}

/* What is not named stays as it is. Under the lock. */
static int set(struct braid_queue *q, struct bq_owner *o, struct genl_info *info)
{
	struct bq_owner_limits l = o->limits;
	struct nlattr **a = info->attrs;

	if (a[BRAID_A_OWNER_RESET])
		return bq_owner_set(&q->bq, o, NULL);
	if (a[BRAID_A_OWNER_WEIGHT])
		l.weight = nla_get_u32(a[BRAID_A_OWNER_WEIGHT]);
	if (a[BRAID_A_OWNER_PRIORITY_CEILING])
		l.priority_ceiling = nla_get_u32(a[BRAID_A_OWNER_PRIORITY_CEILING]);
	if (a[BRAID_A_OWNER_REQUEST_QUOTA])
		l.request_quota = nla_get_u32(a[BRAID_A_OWNER_REQUEST_QUOTA]);
	if (a[BRAID_A_OWNER_BYTE_QUOTA])
		l.byte_quota = nla_get_u64(a[BRAID_A_OWNER_BYTE_QUOTA]);
	return bq_owner_set(&q->bq, o, &l);
}

int braid_netlink_tenant_set(struct sk_buff *asked, struct genl_info *info)
{
	struct braid_queue *q = braid_netlink_queue(info->attrs[BRAID_A_QUEUE], info->extack);
	struct nlattr *id = info->attrs[BRAID_A_OWNER_TENANT];
	struct bq_tenant *t;
	int ret;

	if (IS_ERR(q))
		return PTR_ERR(q);
	if (!id) {
		GENL_SET_ERR_MSG(info, "which tenant?");
		return -EINVAL;
	}
	ret = check(info);
	if (ret)
		return ret;
	braid_queue_lock(q);
	t = bq_tenant_find(&q->bq, nla_get_u64(id));
	ret = t ? set(q, t->owner, info) : -ENOENT;
	braid_queue_unlock(q);
	if (!t)
		NL_SET_ERR_MSG_ATTR(info->extack, id, "no such tenant");
	return ret;
}

int braid_netlink_owner_set(struct sk_buff *asked, struct genl_info *info)
{
	struct braid_queue *q = braid_netlink_queue(info->attrs[BRAID_A_QUEUE], info->extack);
	struct nlattr *key = info->attrs[BRAID_A_OWNER_KEY];
	struct bq_owner *o, *spare = NULL;
	int ret;

	if (IS_ERR(q))
		return PTR_ERR(q);
	if (!key) {
		GENL_SET_ERR_MSG(info, "which owner?");
		return -EINVAL;
	}
	ret = check(info);
	if (ret)
		return ret;
	/* Who is not there has no limits to be reset. */
	if (!info->attrs[BRAID_A_OWNER_RESET]) {
		spare = braid_owner_alloc();
		if (!spare)
			return -ENOMEM;
	}
	braid_queue_lock(q);
	o = braid_owner_find(q, nla_get_u64(key), &spare);
	if (o)
		ret = set(q, o, info);
	/* One that was made for this goes again. */
	if (ret && !o->refs && !o->set)
		bq_owner_set(&q->bq, o, NULL);
	braid_queue_unlock(q);
	kfree(spare);
	return ret;
}
