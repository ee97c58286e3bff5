/* SPDX-License-Identifier: MIT */
/*
 * Asking the kernel over generic netlink, and its answers as JSON. For the
 * files netlink*.c; a connection belongs to one of their calls.
 */
#ifndef BRAID_TOOLS_BRAIDCTL_NETLINK_H
#define BRAID_TOOLS_BRAIDCTL_NETLINK_H

#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include <linux/braid.h>
#include <linux/braid_netlink.h>

#include "tools/braidctl/source.h"

#define NL_COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/**
 * struct nl - a connection
 * @sk: libnl's
 * @cb: what happens with answers
 * @family: the kernel's number for "braid"
 * @over: all of an answer has come
 * @err: negative errno of the kernel
 * @why: what it said to that, or empty
 */
struct nl {
	struct nl_sock *sk;
	struct nl_cb *cb;
	int family;
	bool over;
	int err;
	char why[160];
};

enum nl_kind { NL_U8, NL_U32, NL_U64, NL_TEXT, NL_HEX };

/* An attribute and the member that it becomes. */
struct nl_field {
	int attr;
	enum nl_kind kind;
	const char *name;
};

/* Connect; 0, or -1 after words on standard error. */
int nl_begin(const struct ctl *c, struct nl *nl);
void nl_end(struct nl *nl);

/* A request without attributes, NULL without memory. */
struct nl_msg *nl_request(struct nl *nl, int cmd, int flags);

/* Takes @msg; @on_valid gets each answer. 0 or a negative errno, without words. */
int nl_ask(struct nl *nl, struct nl_msg *msg, nl_recvmsg_msg_cb_t on_valid, void *arg);

/* Words for what nl_ask() returned: 0 for 0, else -1. */
int nl_explain(const struct ctl *c, const struct nl *nl, int ret);
int nl_say(const char *what, const char *why, const char *more);

/* Index of the queue that is meant. */
unsigned int nl_index(const struct ctl *c);

/* The attributes of an answer; false when they can't be read. */
bool nl_attributes(struct nl_msg *msg, struct nlattr **tb, int max);

/* Attributes that are there become members of @o. */
void nl_members(json_t *o, struct nlattr **tb, const struct nl_field *f, size_t n);

/* Of a message with BRAID_A_DEVICE_*, also its members: they are events' too. */
json_t *nl_knobs(struct nl_msg *msg);
void nl_device_members(json_t *o, struct nlattr **tb);
void nl_tenant_members(json_t *o, struct nlattr **tb);

#endif
