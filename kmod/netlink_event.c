// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generic netlink: events. Nothing is built when nobody listens. All of it is
 * called without a lock and may sleep, so events of different files may be
 * told in another order than they happened; each names what it is of.
 *
 * A stall shows only to who looks at regular times: stall_work does, while an
 * agent is ready. It takes the queue's lock.
 */
#include "kmod/netlink.h"

#define LOOK_EVERY	HZ

/* NULL when nobody listens, or without memory: then the event is lost. */
static struct sk_buff *begin(u8 cmd, void **head)
{
	struct sk_buff *skb;

	if (!genl_has_listeners(&braid_family, &init_net, BRAID_MCGRP_EVENTS_NR))
		return NULL;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		return NULL;
	*head = genlmsg_put(skb, 0, 0, &braid_family, 0, cmd);
	if (*head)
		return skb;
	nlmsg_free(skb);
	return NULL;
}

static void end(struct sk_buff *skb, void *head, int ret)
{
	if (ret) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, head);
	genlmsg_multicast(&braid_family, skb, 0, BRAID_MCGRP_EVENTS_NR, GFP_KERNEL);
}

void braid_tell_agent(struct braid_queue *q, bool up, u64 generation)
{
	struct sk_buff *skb;
	void *head;
	int ret;

	if (up)
		mod_delayed_work(system_power_efficient_wq, &q->stall_work, LOOK_EVERY);
	skb = begin(up ? BRAID_CMD_AGENT_UP_NTF : BRAID_CMD_AGENT_DOWN_NTF, &head);
	if (!skb)
		return;
	ret = nla_put_u32(skb, BRAID_A_DEVICE_INDEX, q->index) ||
	      braid_put_u64(skb, BRAID_A_DEVICE_GENERATION, generation);
	if (!ret && up)
		ret = nla_put_u32(skb, BRAID_A_DEVICE_MODELS, READ_ONCE(q->bq.n_models));
	end(skb, head, ret);
}

void braid_tell_requeue(struct braid_queue *q, u64 generation, u32 requeued)
{
	struct sk_buff *skb;
	void *head;

	skb = begin(BRAID_CMD_REQUEUE_NTF, &head);
	if (skb)
		end(skb, head, nla_put_u32(skb, BRAID_A_DEVICE_INDEX, q->index) ||
		    braid_put_u64(skb, BRAID_A_DEVICE_GENERATION, generation) ||
		    nla_put_u32(skb, BRAID_A_DEVICE_REQUEUED, requeued));
}

void braid_tell_tenant(const struct braid_tenant *t, bool came, u64 owner, u64 submitted)
{
	struct sk_buff *skb;
	void *head;
	int ret;

	skb = begin(came ? BRAID_CMD_TENANT_CAME_NTF : BRAID_CMD_TENANT_GONE_NTF, &head);
	if (!skb)
		return;
	ret = nla_put_u32(skb, BRAID_A_TENANT_DEVICE, t->queue->index) ||
	      braid_put_u64(skb, BRAID_A_TENANT_ID, t->t.id) ||
	      braid_put_u64(skb, BRAID_A_TENANT_OWNER, owner) ||
	      nla_put_u32(skb, BRAID_A_TENANT_PID, t->pid);
	if (!ret && !came)
		ret = braid_put_u64(skb, BRAID_A_TENANT_SUBMITTED, submitted);
	end(skb, head, ret);
}

void braid_tell_knob(struct braid_queue *q, enum bq_knob knob, u32 value)
{
	struct sk_buff *skb;
	void *head;

	skb = begin(BRAID_CMD_KNOB_NTF, &head);
	if (skb)
		end(skb, head, nla_put_u32(skb, BRAID_A_DEVICE_INDEX, q->index) ||
		    braid_put_knob(skb, knob, value));
}

static void tell_stall(struct braid_queue *q, u64 generation, u32 queued, u32 suspects, u32 fetched)
{
	struct sk_buff *skb;
	void *head;

	skb = begin(BRAID_CMD_STALL_NTF, &head);
	if (skb)
		end(skb, head, nla_put_u32(skb, BRAID_A_DEVICE_INDEX, q->index) ||
		    braid_put_u64(skb, BRAID_A_DEVICE_GENERATION, generation) ||
		    nla_put_u32(skb, BRAID_A_DEVICE_QUEUED, queued) ||
		    nla_put_u32(skb, BRAID_A_DEVICE_SUSPECTS, suspects) ||
		    nla_put_u32(skb, BRAID_A_DEVICE_FETCHED, fetched));
}

static void stall_work(struct work_struct *work)
{
	struct braid_queue *q = container_of(to_delayed_work(work), struct braid_queue,
					     stall_work);
	u32 queued, suspects, fetched;
	bool stalled, ready;
	u64 generation;

	braid_queue_lock_clean(q);
	stalled = bq_stalled(&q->bq, &q->stall);
	ready = q->bq.ready;
	generation = q->bq.generation;
	queued = q->bq.queued;
	suspects = q->bq.suspects;
	fetched = q->bq.fetched;
	braid_queue_unlock_clean(q);
	if (stalled)
		tell_stall(q, generation, queued, suspects, fetched);
	/* The next agent that is ready starts it again. */
	if (ready)
		queue_delayed_work(system_power_efficient_wq, &q->stall_work, LOOK_EVERY);
}

void braid_stall_init(struct braid_queue *q)
{
	INIT_DELAYED_WORK(&q->stall_work, stall_work);
}

/* No agent is ready any more. */
void braid_stall_exit(struct braid_queue *q)
{
	cancel_delayed_work_sync(&q->stall_work);
}
