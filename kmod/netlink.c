// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generic netlink: what can be seen of the queues, and limits of owners. The
 * family and its rules are told in linux/braid_netlink.h; events are in
 * netlink_event.c, sets in netlink_set.c.
 *
 * A dump keeps the least id that it has not told yet, never a pointer: it
 * finds its place again for each object, and holds the queue's lock for that
 * one alone. Nothing is allocated under it.
 */
#include "kmod/compat.h"
#include "kmod/netlink.h"

/* Where a dump is; in netlink_callback.ctx, zero at its start. */
struct dump_at {
	u64 from;	/* the least key that was not told yet */
	u32 index;	/* of the queue */
	bool begun;
	bool end;
};

static struct dump_at *dump_at(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(struct dump_at) > sizeof(cb->ctx));
	return (struct dump_at *)cb->ctx;
}

/* The answer to one question: taken from @info, sent by finish(). */
static struct sk_buff *answer(struct genl_info *info, size_t more, void **head)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE + more, GFP_KERNEL);

	if (!skb)
		return NULL;
	*head = genlmsg_put_reply(skb, info, &braid_family, 0, info->genlhdr->cmd);
	if (*head)
		return skb;
	nlmsg_free(skb);
	return NULL;
}

static int finish(struct genl_info *info, struct sk_buff *skb, void *head, int ret)
{
	if (ret) {
		nlmsg_free(skb);
		return ret;
	}
	genlmsg_end(skb, head);
	return genlmsg_reply(skb, info);
}

struct braid_queue *braid_netlink_queue(const struct nlattr *a, struct netlink_ext_ack *extack)
{
	struct braid_queue *q;

	if (!a) {
		NL_SET_ERR_MSG(extack, "which queue?");
		return ERR_PTR(-EINVAL);
	}
	q = braid_queue_get(nla_get_u32(a));
	if (!q) {
		NL_SET_ERR_MSG_ATTR(extack, a, "no such queue");
		return ERR_PTR(-ENODEV);
	}
	return q;
}

/*
 * A dump is of all that a queue has; of queues, of all of them. Not in the
 * start callback, where older kernels do not take words for it.
 */
static int dump_begin(struct netlink_callback *cb)
{
	const struct genlmsghdr *h = nlmsg_data(cb->nlh);
	const struct nlattr *a, *queue = NULL;
	struct dump_at *at = dump_at(cb);
	struct braid_queue *q;
	int left;

	if (at->begun)
		return 0;
	nlmsg_for_each_attr(a, cb->nlh, GENL_HDRLEN, left) {
		if (h->cmd == BRAID_CMD_DEVICE_GET || nla_type(a) != BRAID_A_QUEUE) {
			NL_SET_ERR_MSG_ATTR(cb->extack, a, "a dump is not of one");
			return -EINVAL;
		}
		queue = a;
	}
	if (h->cmd != BRAID_CMD_DEVICE_GET) {
		q = braid_netlink_queue(queue, cb->extack);
		if (IS_ERR(q))
			return PTR_ERR(q);
		at->index = q->index;
	}
	at->begun = true;
	return 0;
}

static struct braid_queue *queue_of(struct genl_info *info)
{
	return braid_netlink_queue(info->attrs[BRAID_A_QUEUE], info->extack);
}

static void *dump_head(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &braid_family,
			   NLM_F_MULTI, cmd);
}

/*
 * After a message was filled as far as it went: if not even one object fits,
 * that is an error.
 */
static int dumped(struct sk_buff *skb, int ret)
{
	return ret == -EMSGSIZE && !skb->len ? ret : skb->len;
}

int braid_put_knob(struct sk_buff *skb, enum bq_knob knob, u32 value)
{
	struct nlattr *nest = nla_nest_start(skb, BRAID_A_DEVICE_KNOB);
	char text[16];

	if (!nest ||
	    nla_put_string(skb, BRAID_A_KNOB_NAME, braid_knob_name(knob)) ||
	    nla_put_string(skb, BRAID_A_KNOB_VALUE,
			   braid_knob_text(knob, value, text, sizeof(text))))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_counters(struct sk_buff *skb, const struct bq_counters *c)
{
	const struct {
		int attr;
		u64 value;
	} all[] = {
		{ BRAID_A_COUNTERS_SUBMITTED, c->submitted },
		{ BRAID_A_COUNTERS_COMPLETED, c->completed },
		{ BRAID_A_COUNTERS_DONE, c->done },
		{ BRAID_A_COUNTERS_FAILED, c->failed },
		{ BRAID_A_COUNTERS_EXPIRED, c->expired },
		{ BRAID_A_COUNTERS_CANCELLED, c->cancelled },
		{ BRAID_A_COUNTERS_WITHDRAWN, c->withdrawn },
		{ BRAID_A_COUNTERS_KILLED, c->killed },
		{ BRAID_A_COUNTERS_DROPPED, c->dropped },
		{ BRAID_A_COUNTERS_REQUEUED, c->requeued },
		{ BRAID_A_COUNTERS_WINDOWS, c->windows },
		{ BRAID_A_COUNTERS_CLOSED_FULL, c->closes[BRAID_CLOSE_FULL] },
		{ BRAID_A_COUNTERS_CLOSED_AGE, c->closes[BRAID_CLOSE_AGE] },
		{ BRAID_A_COUNTERS_CLOSED_DEADLINE, c->closes[BRAID_CLOSE_DEADLINE] },
		{ BRAID_A_COUNTERS_CLOSED_IDLE, c->closes[BRAID_CLOSE_IDLE] },
		{ BRAID_A_COUNTERS_CLOSED_SUSPECT, c->closes[BRAID_CLOSE_SUSPECT] },
		{ BRAID_A_COUNTERS_FETCHED, c->fetched },
		{ BRAID_A_COUNTERS_COMMITTED, c->committed },
		{ BRAID_A_COUNTERS_MERGED, c->merged },
		{ BRAID_A_COUNTERS_FUSED, c->fused },
		{ BRAID_A_COUNTERS_MERGE_SUM, c->merge_sum },
		{ BRAID_A_COUNTERS_FUSE_SUM, c->fuse_sum },
		{ BRAID_A_COUNTERS_DEVICE_NS, c->device_ns },
	};
	struct nlattr *nest = nla_nest_start(skb, BRAID_A_DEVICE_COUNTERS);
	u32 i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (braid_put_u64(skb, all[i].attr, all[i].value))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* Under the lock. */
static int put_queue(struct sk_buff *skb, struct braid_queue *q)
{
	const struct bq *bq = &q->bq;
	u32 i;

	if (nla_put_u32(skb, BRAID_A_DEVICE_INDEX, q->index) ||
	    braid_put_u64(skb, BRAID_A_DEVICE_GENERATION, bq->generation) ||
	    nla_put_u8(skb, BRAID_A_DEVICE_AGENT_UP, bq->ready) ||
	    nla_put_u32(skb, BRAID_A_DEVICE_TENANTS, bq->n_tenants) ||
	    nla_put_u32(skb, BRAID_A_DEVICE_MODELS, bq->n_models) ||
	    nla_put_u32(skb, BRAID_A_DEVICE_QUEUED, bq->queued) ||
	    nla_put_u32(skb, BRAID_A_DEVICE_SUSPECTS, bq->suspects) ||
	    nla_put_u32(skb, BRAID_A_DEVICE_FETCHED, bq->fetched))
		return -EMSGSIZE;
	for (i = 0; i < BQ_KNOBS; i++)
		if (braid_put_knob(skb, i, bq->knobs[i]))
			return -EMSGSIZE;
	return put_counters(skb, &bq->count);
}

static int device_get(struct sk_buff *asked, struct genl_info *info)
{
	struct braid_queue *q = queue_of(info);
	struct sk_buff *skb;
	void *head;
	int ret;

	if (IS_ERR(q))
		return PTR_ERR(q);
	skb = answer(info, 0, &head);
	if (!skb)
		return -ENOMEM;
	braid_queue_lock_clean(q);
	ret = put_queue(skb, q);
	braid_queue_unlock_clean(q);
	return finish(info, skb, head, ret);
}

static int device_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_at *at = dump_at(cb);
	int ret = dump_begin(cb);
	struct braid_queue *q;
	void *head;

	if (ret)
		return ret;
	while (!ret && (q = braid_queue_get(at->from))) {
		head = dump_head(skb, cb, BRAID_CMD_DEVICE_GET);
		if (!head)
			return dumped(skb, -EMSGSIZE);
		braid_queue_lock_clean(q);
		ret = put_queue(skb, q);
		braid_queue_unlock_clean(q);
		if (ret) {
			genlmsg_cancel(skb, head);
			break;
		}
		genlmsg_end(skb, head);
		at->from++;
	}
	return dumped(skb, ret);
}

static int put_tensor(struct sk_buff *skb, int attr, const struct braid_tensor *t)
{
	struct nlattr *nest = nla_nest_start(skb, attr);

	if (!nest ||
	    nla_put_string(skb, BRAID_A_TENSOR_NAME, t->name) ||
	    nla_put_u32(skb, BRAID_A_TENSOR_TYPE, t->type) ||
	    nla_put(skb, BRAID_A_TENSOR_DIMS, t->rank * sizeof(t->dims[0]), t->dims) ||
	    braid_put_u64(skb, BRAID_A_TENSOR_BYTES, t->bytes))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* Under the lock. */
static int put_model(struct sk_buff *skb, struct braid_queue *q, const struct bq_model *m)
{
	if (nla_put_u32(skb, BRAID_A_MODEL_DEVICE, q->index) ||
	    braid_put_u64(skb, BRAID_A_MODEL_ID, m->id) ||
	    nla_put_string(skb, BRAID_A_MODEL_NAME, m->name) ||
	    nla_put(skb, BRAID_A_MODEL_DIGEST, sizeof(m->digest), m->digest) ||
	    braid_put_u64(skb, BRAID_A_MODEL_DEVICE_NS, m->device_ns) ||
	    nla_put_u32(skb, BRAID_A_MODEL_QUEUED, m->queued) ||
	    nla_put_u32(skb, BRAID_A_MODEL_SUSPECTS, m->suspects) ||
	    nla_put_u32(skb, BRAID_A_MODEL_FETCHED, m->fetched))
		return -EMSGSIZE;
	return 0;
}

/* They never change, so there is no lock; the caller has a reference. */
static int put_tensors(struct sk_buff *skb, const struct bq_model *m)
{
	int ret = 0;
	u32 i;

	for (i = 0; !ret && i < m->n_inputs + m->n_outputs; i++)
		ret = put_tensor(skb, i < m->n_inputs ? BRAID_A_MODEL_INPUT : BRAID_A_MODEL_OUTPUT,
				 &m->tensors[i]);
	return ret;
}

static int model_get(struct sk_buff *asked, struct genl_info *info)
{
	/* Each with its name, extents and the heads of six attributes. */
	const size_t most = BRAID_MAX_TENSORS * (sizeof(struct braid_tensor) + 6 * NLA_HDRLEN);
	struct braid_queue *q = queue_of(info);
	struct nlattr *id = info->attrs[BRAID_A_MODEL_ID];
	struct sk_buff *skb;
	struct bq_model *m;
	int ret = -ENOENT;
	void *head;

	if (IS_ERR(q))
		return PTR_ERR(q);
	if (!id) {
		GENL_SET_ERR_MSG(info, "which model?");
		return -EINVAL;
	}
	skb = answer(info, most, &head);
	if (!skb)
		return -ENOMEM;
	braid_queue_lock_clean(q);
	m = bq_model_by_id(&q->bq, nla_get_u64(id));
	if (m) {
		kref_get(&braid_model(m)->ref);
		ret = put_model(skb, q, m);
	}
	braid_queue_unlock_clean(q);
	if (!m) {
		NL_SET_ERR_MSG_ATTR(info->extack, id, "no such model");
	} else {
		if (!ret)
			ret = put_tensors(skb, m);
		braid_model_put(braid_model(m));
	}
	return finish(info, skb, head, ret);
}

/* Under the lock. */
static int put_tenant(struct sk_buff *skb, struct braid_queue *q, const struct bq_tenant *t)
{
	if (nla_put_u32(skb, BRAID_A_TENANT_DEVICE, q->index) ||
	    braid_put_u64(skb, BRAID_A_TENANT_ID, t->id) ||
	    braid_put_u64(skb, BRAID_A_TENANT_OWNER, t->owner->key) ||
	    nla_put_u32(skb, BRAID_A_TENANT_PID,
			container_of(t, struct braid_tenant, t)->pid) ||
	    nla_put_u32(skb, BRAID_A_TENANT_OUTSTANDING, t->outstanding) ||
	    braid_put_u64(skb, BRAID_A_TENANT_SUBMITTED, t->submitted) ||
	    braid_put_u64(skb, BRAID_A_TENANT_DEVICE_NS, t->device_ns))
		return -EMSGSIZE;
	return 0;
}

static int tenant_get(struct sk_buff *asked, struct genl_info *info)
{
	struct braid_queue *q = queue_of(info);
	struct nlattr *id = info->attrs[BRAID_A_TENANT_ID];
	struct bq_tenant *t;
	struct sk_buff *skb;
	void *head;
	int ret;

	if (IS_ERR(q))
		return PTR_ERR(q);
	if (!id) {
		GENL_SET_ERR_MSG(info, "which tenant?");
		return -EINVAL;
	}
	skb = answer(info, 0, &head);
	if (!skb)
		return -ENOMEM;
	braid_queue_lock_clean(q);
	t = bq_tenant_find(&q->bq, nla_get_u64(id));
	ret = t ? put_tenant(skb, q, t) : -ENOENT;
	braid_queue_unlock_clean(q);
	if (!t)
		NL_SET_ERR_MSG_ATTR(info->extack, id, "no such tenant");
	return finish(info, skb, head, ret);
}

/* Under the lock. */
static int put_owner(struct sk_buff *skb, struct braid_queue *q, const struct bq_owner *o)
{
	if (nla_put_u32(skb, BRAID_A_OWNER_DEVICE, q->index) ||
	    braid_put_u64(skb, BRAID_A_OWNER_KEY, o->key) ||
	    nla_put_u32(skb, BRAID_A_OWNER_WEIGHT, o->limits.weight) ||
	    nla_put_u32(skb, BRAID_A_OWNER_PRIORITY_CEILING, o->limits.priority_ceiling) ||
	    nla_put_u32(skb, BRAID_A_OWNER_REQUEST_QUOTA, o->limits.request_quota) ||
	    braid_put_u64(skb, BRAID_A_OWNER_BYTE_QUOTA, o->limits.byte_quota) ||
	    nla_put_u8(skb, BRAID_A_OWNER_BY_HAND, o->set) ||
	    nla_put_u32(skb, BRAID_A_OWNER_REQUESTS, o->requests) ||
	    nla_put_u32(skb, BRAID_A_OWNER_TENANTS, o->n_tenants) ||
	    nla_put_u32(skb, BRAID_A_OWNER_BUFFERS, o->n_buffers) ||
	    braid_put_u64(skb, BRAID_A_OWNER_BYTES, braid_charged(q, o->key)) ||
	    braid_put_u64(skb, BRAID_A_OWNER_DEVICE_NS, o->device_ns) ||
	    braid_put_u64(skb, BRAID_A_OWNER_COMPLETED, o->completed))
		return -EMSGSIZE;
	return 0;
}

static int owner_get(struct sk_buff *asked, struct genl_info *info)
{
	struct braid_queue *q = queue_of(info);
	struct nlattr *key = info->attrs[BRAID_A_OWNER_KEY];
	struct bq_owner *o;
	struct sk_buff *skb;
	void *head;
	int ret;

	if (IS_ERR(q))
		return PTR_ERR(q);
	if (!key) {
		GENL_SET_ERR_MSG(info, "which owner?");
		return -EINVAL;
	}
	skb = answer(info, 0, &head);
	if (!skb)
		return -ENOMEM;
	braid_queue_lock_clean(q);
	o = bq_owner_find(&q->bq, nla_get_u64(key));
	ret = o ? put_owner(skb, q, o) : -ENOENT;
	braid_queue_unlock_clean(q);
	if (!o)
		NL_SET_ERR_MSG_ATTR(info->extack, key, "no such owner");
	return finish(info, skb, head, ret);
}

/*
 * Put the object with the least key not below @from into @skb and tell its
 * key; -ENOENT when there is none. Under the lock.
 */
typedef int put_from(struct sk_buff *skb, struct braid_queue *q, u64 from, u64 *key);

static int model_from(struct sk_buff *skb, struct braid_queue *q, u64 from, u64 *key)
{
	struct bq_model *m = bq_model_next(&q->bq, from ? from - 1 : 0);

	if (!m)
		return -ENOENT;
	*key = m->id;
	return put_model(skb, q, m);
}

static int tenant_from(struct sk_buff *skb, struct braid_queue *q, u64 from, u64 *key)
{
	struct bq_tenant *t = bq_tenant_next(&q->bq, from ? from - 1 : 0);

	if (!t)
		return -ENOENT;
	*key = t->id;
	return put_tenant(skb, q, t);
}

static int owner_from(struct sk_buff *skb, struct braid_queue *q, u64 from, u64 *key)
{
	struct bq_owner *o = bq_owner_from(&q->bq, from);

	if (!o)
		return -ENOENT;
	*key = o->key;
	return put_owner(skb, q, o);
}

/* Fill one message of a dump. */
static int dump(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd, put_from *put)
{
	struct dump_at *at = dump_at(cb);
	int ret = dump_begin(cb);
	struct braid_queue *q;
	void *head;
	u64 key;

	if (ret)
		return ret;
	q = braid_queue_get(at->index);
	while (!ret && !at->end) {
		head = dump_head(skb, cb, cmd);
		if (!head) {
			ret = -EMSGSIZE;
			break;
		}
		braid_queue_lock_clean(q);
		ret = put(skb, q, at->from, &key);
		braid_queue_unlock_clean(q);
		if (ret) {
			genlmsg_cancel(skb, head);
			break;
		}
		genlmsg_end(skb, head);
		at->from = key + 1;
		at->end = !at->from;
	}
	at->end |= ret == -ENOENT;
	return dumped(skb, ret);
}

static int model_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return dump(skb, cb, BRAID_CMD_MODEL_GET, model_from);
}

static int tenant_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return dump(skb, cb, BRAID_CMD_TENANT_GET, tenant_from);
}

static int owner_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return dump(skb, cb, BRAID_CMD_OWNER_GET, owner_from);
}

/* What is not in a policy is refused. */
static const struct nla_policy device_policy[BRAID_A_DEVICE_INDEX + 1] = {
	[BRAID_A_DEVICE_INDEX] = { .type = NLA_U32 },
};

static const struct nla_policy model_policy[BRAID_A_MODEL_ID + 1] = {
	[BRAID_A_MODEL_DEVICE] = { .type = NLA_U32 },
	[BRAID_A_MODEL_ID] = { .type = NLA_U64 },
};

static const struct nla_policy tenant_policy[BRAID_A_TENANT_ID + 1] = {
	[BRAID_A_TENANT_DEVICE] = { .type = NLA_U32 },
	[BRAID_A_TENANT_ID] = { .type = NLA_U64 },
};

static const struct nla_policy owner_policy[BRAID_A_OWNER_KEY + 1] = {
	[BRAID_A_OWNER_DEVICE] = { .type = NLA_U32 },
	[BRAID_A_OWNER_KEY] = { .type = NLA_U64 },
};

static const struct nla_policy tenant_set_policy[BRAID_A_OWNER_RESET + 1] = {
	[BRAID_A_OWNER_DEVICE] = { .type = NLA_U32 },
	[BRAID_A_OWNER_TENANT] = { .type = NLA_U64 },
	[BRAID_A_OWNER_WEIGHT] = NLA_POLICY_RANGE(NLA_U32, 1, BRAID_WEIGHT_MAX),
	[BRAID_A_OWNER_PRIORITY_CEILING] = NLA_POLICY_MAX(NLA_U32, BRAID_PRIORITIES - 1),
	[BRAID_A_OWNER_REQUEST_QUOTA] = { .type = NLA_U32 },
	[BRAID_A_OWNER_BYTE_QUOTA] = { .type = NLA_U64 },
	[BRAID_A_OWNER_RESET] = { .type = NLA_FLAG },
};

static const struct nla_policy owner_set_policy[BRAID_A_OWNER_RESET + 1] = {
	[BRAID_A_OWNER_DEVICE] = { .type = NLA_U32 },
	[BRAID_A_OWNER_KEY] = { .type = NLA_U64 },
	[BRAID_A_OWNER_WEIGHT] = NLA_POLICY_RANGE(NLA_U32, 1, BRAID_WEIGHT_MAX),
	[BRAID_A_OWNER_PRIORITY_CEILING] = NLA_POLICY_MAX(NLA_U32, BRAID_PRIORITIES - 1),
	[BRAID_A_OWNER_REQUEST_QUOTA] = { .type = NLA_U32 },
	[BRAID_A_OWNER_BYTE_QUOTA] = { .type = NLA_U64 },
	[BRAID_A_OWNER_RESET] = { .type = NLA_FLAG },
};

#define POLICY(p)	.policy = p, .maxattr = ARRAY_SIZE(p) - 1

static const struct genl_ops ops[] = {
	{
		.cmd = BRAID_CMD_DEVICE_GET,
		.doit = device_get,
		.dumpit = device_dump,
		POLICY(device_policy),
	},
	{
		.cmd = BRAID_CMD_MODEL_GET,
		.doit = model_get,
		.dumpit = model_dump,
		POLICY(model_policy),
	},
	{
		.cmd = BRAID_CMD_TENANT_GET,
		.doit = tenant_get,
		.dumpit = tenant_dump,
		.flags = GENL_ADMIN_PERM,
		POLICY(tenant_policy),
	},
	{
		.cmd = BRAID_CMD_OWNER_GET,
		.doit = owner_get,
		.dumpit = owner_dump,
		.flags = GENL_ADMIN_PERM,
		POLICY(owner_policy),
	},
	{
		.cmd = BRAID_CMD_TENANT_SET,
		.doit = braid_netlink_tenant_set,
		.flags = GENL_ADMIN_PERM,
		POLICY(tenant_set_policy),
	},
	{
		.cmd = BRAID_CMD_OWNER_SET,
		.doit = braid_netlink_owner_set,
		.flags = GENL_ADMIN_PERM,
		POLICY(owner_set_policy),
	},
};

static const struct genl_multicast_group groups[] = {
	[BRAID_MCGRP_EVENTS_NR] = { BRAID_ADMIN_MCGRP(BRAID_MCGRP_EVENTS) },
};

/* Only in the first network namespace: the queues belong to none. */
struct genl_family braid_family __ro_after_init = {
	.name = BRAID_FAMILY_NAME,
	.version = BRAID_FAMILY_VERSION,
	.module = THIS_MODULE,
	.parallel_ops = true,
	.ops = ops,
	.n_ops = ARRAY_SIZE(ops),
	.mcgrps = groups,
	.n_mcgrps = ARRAY_SIZE(groups),
};

int __init braid_netlink_init(void)
{
	return genl_register_family(&braid_family);
}

void braid_netlink_exit(void)
{
	genl_unregister_family(&braid_family);
}
