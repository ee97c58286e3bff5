// SPDX-License-Identifier: MIT
/*
 * Asking the kernel over generic netlink: the connection, a question and its
 * answers, attributes as JSON.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <netlink/genl/ctrl.h>

#include "tools/braidctl/netlink.h"

static const struct nl_field device_fields[] = {
	{ BRAID_A_DEVICE_GENERATION, NL_U64, "generation" },
	{ BRAID_A_DEVICE_AGENT_UP, NL_U8, "agent_up" },
	{ BRAID_A_DEVICE_TENANTS, NL_U32, "tenants" },
	{ BRAID_A_DEVICE_MODELS, NL_U32, "models" },
	{ BRAID_A_DEVICE_QUEUED, NL_U32, "queued" },
	{ BRAID_A_DEVICE_SUSPECTS, NL_U32, "suspects" },
	{ BRAID_A_DEVICE_FETCHED, NL_U32, "fetched" },
	{ BRAID_A_DEVICE_REQUEUED, NL_U32, "requeued" },
};

static const struct nl_field tenant_fields[] = {
	{ BRAID_A_TENANT_ID, NL_U64, "id" },
	{ BRAID_A_TENANT_OWNER, NL_U64, "owner" },
	{ BRAID_A_TENANT_PID, NL_U32, "pid" },
	{ BRAID_A_TENANT_OUTSTANDING, NL_U32, "outstanding" },
	{ BRAID_A_TENANT_SUBMITTED, NL_U64, "submitted" },
	{ BRAID_A_TENANT_DEVICE_NS, NL_U64, "device_ns" },
};

/* Names come from files: what is not UTF-8 is shown as question marks. */
static json_t *text(const struct nlattr *a)
{
	size_t n = strnlen(nla_data(a), nla_len(a));
	json_t *v = json_stringn(nla_data(a), n);
	char *s = v ? NULL : strndup(nla_data(a), n);

	for (char *p = s; p && *p; p++)
		if (*p & 0x80)
			*p = '?';
	if (s)
		v = json_string(s);
	free(s);
	return v;
}

static json_t *hex(const struct nlattr *a)
{
	const unsigned char *p = nla_data(a);
	char buf[2 * BRAID_DIGEST_BYTES + 1] = "";

	for (int i = 0; i < nla_len(a) && i < BRAID_DIGEST_BYTES; i++)
		sprintf(buf + 2 * i, "%02x", p[i]);
	return json_string(buf);
}

static json_t *value(const struct nlattr *a, enum nl_kind kind)
{
	static const int bytes[] = { [NL_U8] = 1, [NL_U32] = 4, [NL_U64] = 8 };

	if (kind <= NL_U64 && nla_len(a) < bytes[kind])
		return NULL;
	switch (kind) {
	case NL_U8:
		return json_boolean(nla_get_u8(a));
	case NL_U32:
		return json_integer(nla_get_u32(a));
	case NL_U64:
		return json_integer((json_int_t)nla_get_u64(a));
	case NL_TEXT:
		return text(a);
	case NL_HEX:
		return hex(a);
	}
	return NULL;
}

void nl_members(json_t *o, struct nlattr **tb, const struct nl_field *f, size_t n)
{
	for (; n--; f++)
		if (tb[f->attr])
			json_object_set_new(o, f->name, value(tb[f->attr], f->kind));
}

int nl_say(const char *what, const char *why, const char *more)
{
	fprintf(stderr, "%s: %s: %s%s\n", program_invocation_short_name, what, why, more);
	return -1;
}

/* The kernel's words, which lie behind @skip bytes of a message. */
static void keep_why(struct nl *nl, const struct nlmsghdr *h, size_t skip)
{
	struct nlattr *said;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || h->nlmsg_len <= NLMSG_HDRLEN + skip)
		return;
	said = nla_find((struct nlattr *)((char *)h + NLMSG_HDRLEN + skip),
			h->nlmsg_len - NLMSG_HDRLEN - skip, NLMSGERR_ATTR_MSG);
	if (said)
		nla_strlcpy(nl->why, said, sizeof(nl->why));
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct nl *nl = arg;

	nl->over = true;
	return NL_STOP;
}

/* The end of a dump says what ended it. */
static int on_done(struct nl_msg *msg, void *arg)
{
	const struct nlmsghdr *h = nlmsg_hdr(msg);
	struct nl *nl = arg;

	if (nlmsg_datalen(h) >= (int)sizeof(int)) {
		nl->err = *(int *)nlmsg_data(h);
		keep_why(nl, h, sizeof(int));
	}
	nl->over = true;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	const struct nlmsghdr *h = (const void *)((const char *)e - NLMSG_HDRLEN);
	size_t skip = sizeof(*e);
	struct nl *nl = arg;

	/* What it did not like of our message is in between. */
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(e->msg.nlmsg_len - NLMSG_HDRLEN);
	keep_why(nl, h, skip);
	nl->err = e->error;
	nl->over = true;
	return NL_STOP;
}

void nl_end(struct nl *nl)
{
	nl_cb_put(nl->cb);
	nl_socket_free(nl->sk);
}

int nl_begin(const struct ctl *c, struct nl *nl)
{
	int on = 1, ret;

	*nl = (struct nl){ .sk = nl_socket_alloc(), .cb = nl_cb_alloc(NL_CB_DEFAULT) };
	if (!nl->sk || !nl->cb) {
		nl_end(nl);
		return nl_say(c->device, "no memory", "");
	}
	ret = genl_connect(nl->sk);
	nl->family = ret ? ret : genl_ctrl_resolve(nl->sk, BRAID_FAMILY_NAME);
	if (nl->family < 0) {
		nl_say(c->device, ret ? nl_geterror(ret) : "the kernel has no netlink family 'braid'",
		    " (is the module loaded?)");
		nl_end(nl);
		return -1;
	}
	/* Old kernels know neither: then there are no words, only an errno. */
	setsockopt(nl_socket_get_fd(nl->sk), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl_socket_get_fd(nl->sk), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	nl_cb_err(nl->cb, NL_CB_CUSTOM, on_error, nl);
	nl_cb_set(nl->cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, nl);
	nl_cb_set(nl->cb, NL_CB_FINISH, NL_CB_CUSTOM, on_done, nl);
	return 0;
}

struct nl_msg *nl_request(struct nl *nl, int cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (msg)
		genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl->family, 0, flags, cmd,
			    BRAID_FAMILY_VERSION);
	return msg;
}

unsigned int nl_index(const struct ctl *c)
{
	return strtoul(c->device + strcspn(c->device, "0123456789"), NULL, 10);
}

int nl_ask(struct nl *nl, struct nl_msg *msg, nl_recvmsg_msg_cb_t on_valid, void *arg)
{
	int ret = msg ? 0 : -ENOMEM;

	nl->over = false;
	nl->err = 0;
	nl->why[0] = 0;
	if (on_valid)
		nl_cb_set(nl->cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, arg);
	if (!ret && nl_send_auto(nl->sk, msg) < 0)
		ret = -EIO;
	while (!ret && !nl->over)
		if (nl_recvmsgs(nl->sk, nl->cb) < 0 && !nl->over)
			ret = -EIO;
	nlmsg_free(msg);
	return ret ? ret : nl->err;
}

int nl_explain(const struct ctl *c, const struct nl *nl, int ret)
{
	if (!ret)
		return 0;
	return nl_say(c->device, nl->why[0] ? nl->why : strerror(-ret),
		   ret == -EPERM ? " (this is for root)" : "");
}

bool nl_attributes(struct nl_msg *msg, struct nlattr **tb, int max)
{
	return !genlmsg_parse(nlmsg_hdr(msg), 0, tb, max, NULL);
}

json_t *nl_knobs(struct nl_msg *msg)
{
	struct nlattr *tb[BRAID_A_KNOB_MAX + 1], *a;
	struct genlmsghdr *h = nlmsg_data(nlmsg_hdr(msg));
	json_t *o = json_object();
	int left;

	nla_for_each_attr(a, genlmsg_attrdata(h, 0), genlmsg_attrlen(h, 0), left) {
		if (nla_type(a) != BRAID_A_DEVICE_KNOB ||
		    nla_parse_nested(tb, BRAID_A_KNOB_MAX, a, NULL) ||
		    !tb[BRAID_A_KNOB_NAME] || !tb[BRAID_A_KNOB_VALUE])
			continue;
		json_t *name = text(tb[BRAID_A_KNOB_NAME]);

		json_object_set_new(o, json_string_value(name), text(tb[BRAID_A_KNOB_VALUE]));
		json_decref(name);
	}
	return o;
}

void nl_device_members(json_t *o, struct nlattr **tb)
{
	nl_members(o, tb, device_fields, NL_COUNT(device_fields));
}

void nl_tenant_members(json_t *o, struct nlattr **tb)
{
	nl_members(o, tb, tenant_fields, NL_COUNT(tenant_fields));
}
