/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the three netlink files share: the family, and objects as attributes.
 * The put functions return 0 or -EMSGSIZE.
 */
#ifndef BRAID_KMOD_NETLINK_H
#define BRAID_KMOD_NETLINK_H

#include <linux/braid_netlink.h>
#include <net/genetlink.h>

#include "kmod/braid_priv.h"

enum braid_mcgrp {
	BRAID_MCGRP_EVENTS_NR = 0,
};

/* In all questions the attribute that names the queue has the same number. */
#define BRAID_A_QUEUE	((int)BRAID_A_DEVICE_INDEX)
static_assert((int)BRAID_A_MODEL_DEVICE == BRAID_A_QUEUE);
static_assert((int)BRAID_A_TENANT_DEVICE == BRAID_A_QUEUE);
static_assert((int)BRAID_A_OWNER_DEVICE == BRAID_A_QUEUE);

/* And in all sets the first one aligns. */
static_assert(BRAID_A_DEVICE_PAD == 1 && BRAID_A_COUNTERS_PAD == 1 && BRAID_A_MODEL_PAD == 1 &&
	      BRAID_A_TENSOR_PAD == 1 && BRAID_A_TENANT_PAD == 1 && BRAID_A_OWNER_PAD == 1);

extern struct genl_family braid_family;

/* The queue that @a names, which may be missing, or an ERR_PTR with words. */
struct braid_queue *braid_netlink_queue(const struct nlattr *a, struct netlink_ext_ack *extack);

/* netlink_set.c */
int braid_netlink_tenant_set(struct sk_buff *asked, struct genl_info *info);
int braid_netlink_owner_set(struct sk_buff *asked, struct genl_info *info);

int braid_put_knob(struct sk_buff *skb, enum bq_knob knob, u32 value);

static inline int braid_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, BRAID_A_DEVICE_PAD);
}

#endif
