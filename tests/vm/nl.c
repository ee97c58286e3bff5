// SPDX-License-Identifier: MIT
/*
 * Generic netlink without a library: see nl.h.
 */
#include "tests/vm/nl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct nlmsghdr *out(struct nl *nl)
{
	return (struct nlmsghdr *)nl->out;
}

static void begin(struct nl *nl, uint16_t type, uint8_t cmd, uint8_t version, uint16_t flags)
{
	struct genlmsghdr *g;

	memset(nl->out, 0, sizeof(nl->out));
	*out(nl) = (struct nlmsghdr){
		.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN, .nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags, .nlmsg_seq = ++nl->seq,
	};
	g = NLMSG_DATA(out(nl));
	g->cmd = cmd;
	g->version = version;
}

void nl_begin(struct nl *nl, uint8_t cmd, uint16_t flags)
{
	begin(nl, nl->family, cmd, BRAID_FAMILY_VERSION, flags);
}

void nl_put(struct nl *nl, uint16_t type, const void *data, size_t bytes)
{
	struct nlattr *a = (void *)(nl->out + NLMSG_ALIGN(out(nl)->nlmsg_len));

	a->nla_len = NLA_HDRLEN + bytes;
	a->nla_type = type;
	memcpy((char *)a + NLA_HDRLEN, data, bytes);
	out(nl)->nlmsg_len = NLMSG_ALIGN(out(nl)->nlmsg_len) + NLA_ALIGN(a->nla_len);
}

void nl_put_u32(struct nl *nl, uint16_t type, uint32_t value)
{
	nl_put(nl, type, &value, sizeof(value));
}

void nl_put_u64(struct nl *nl, uint16_t type, uint64_t value)
{
	nl_put(nl, type, &value, sizeof(value));
}

int nl_send(struct nl *nl)
{
	nl->why[0] = 0;
	nl->in_bytes = 0;
	nl->at = 0;
	return send(nl->fd, nl->out, out(nl)->nlmsg_len, 0) < 0 ? -errno : 0;
}

static int receive(struct nl *nl)
{
	ssize_t n = recv(nl->fd, nl->in, sizeof(nl->in), 0);

	nl->at = 0;
	nl->in_bytes = n < 0 ? 0 : n;
	return n < 0 ? -errno : 0;
}

static const struct nlattr *find(const void *from, size_t left, uint16_t type)
{
	while (left >= NLA_HDRLEN) {
		const struct nlattr *a = from;
		size_t bytes = NLA_ALIGN(a->nla_len);

		if (a->nla_len < NLA_HDRLEN || a->nla_len > left)
			return NULL;
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
		bytes = bytes < left ? bytes : left;
		from = (const char *)from + bytes;
		left -= bytes;
	}
	return NULL;
}

/* The kernel's words behind an error, whether or not our message is between. */
static void keep_why(struct nl *nl, const struct nlmsghdr *h, size_t skip)
{
	const struct nlattr *a;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || h->nlmsg_len < NLMSG_HDRLEN + skip)
		return;
	a = find((const char *)h + NLMSG_HDRLEN + skip, h->nlmsg_len - NLMSG_HDRLEN - skip,
		 NLMSGERR_ATTR_MSG);
	if (a)
		snprintf(nl->why, sizeof(nl->why), "%.*s", (int)nl_bytes(a),
			 (const char *)nl_data(a));
}

static int end_of(struct nl *nl, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);
	size_t skip = sizeof(*e);

	if (h->nlmsg_type == NLMSG_DONE) {
		keep_why(nl, h, sizeof(int));
		return *(const int *)NLMSG_DATA(h);
	}
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(e->msg.nlmsg_len - NLMSG_HDRLEN);
	keep_why(nl, h, skip);
	return e->error;
}

const struct nlmsghdr *nl_next(struct nl *nl, int *ret)
{
	const struct nlmsghdr *h;

	*ret = 0;
	for (;;) {
		h = (const void *)(nl->in + nl->at);
		if (nl->at >= nl->in_bytes || !NLMSG_OK(h, nl->in_bytes - nl->at)) {
			*ret = receive(nl);
			if (*ret)
				return NULL;
			continue;
		}
		nl->at += NLMSG_ALIGN(h->nlmsg_len);
		if (h->nlmsg_seq != nl->seq)
			continue;
		if (h->nlmsg_type != NLMSG_ERROR && h->nlmsg_type != NLMSG_DONE)
			return h;
		*ret = end_of(nl, h);
		return NULL;
	}
}

/* The answer stays in @in when its ack was not in a datagram of its own. */
int nl_ask(struct nl *nl, const struct nlmsghdr **answer)
{
	static char kept[65536] __attribute__((aligned(8)));
	const struct nlmsghdr *h;
	int ret = nl_send(nl);

	if (answer)
		*answer = NULL;
	if (ret)
		return ret;
	while ((h = nl_next(nl, &ret))) {
		memcpy(kept, h, h->nlmsg_len);
		if (answer)
			*answer = (const void *)kept;
	}
	return ret;
}

const struct nlattr *nl_find(const struct nlmsghdr *h, uint16_t type)
{
	return find((const char *)h + NLMSG_HDRLEN + GENL_HDRLEN,
		    h->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN, type);
}

const struct nlattr *nl_find_in(const struct nlattr *nest, uint16_t type)
{
	return find(nl_data(nest), nl_bytes(nest), type);
}

uint64_t nl_value(const struct nlmsghdr *h, uint16_t type)
{
	const struct nlattr *a = nl_find(h, type);
	uint64_t v = 0;

	if (!a)
		return UINT64_MAX;
	memcpy(&v, nl_data(a), nl_bytes(a) < sizeof(v) ? nl_bytes(a) : sizeof(v));
	return v;
}

uint8_t nl_cmd(const struct nlmsghdr *h)
{
	return ((const struct genlmsghdr *)NLMSG_DATA(h))->cmd;
}

int nl_open(struct nl *nl)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	const struct nlattr *groups, *g, *id;
	const struct nlmsghdr *h;
	int on = 1, ret;

	memset(nl, 0, sizeof(*nl));
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (nl->fd < 0)
		return -errno;
	if (bind(nl->fd, (struct sockaddr *)&sa, sizeof(sa)))
		return -errno;
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	begin(nl, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, 0);
	nl_put(nl, CTRL_ATTR_FAMILY_NAME, BRAID_FAMILY_NAME, sizeof(BRAID_FAMILY_NAME));
	ret = nl_ask(nl, &h);
	if (ret || !h)
		return ret ? ret : -EIO;
	nl->family = nl_value(h, CTRL_ATTR_FAMILY_ID);
	nl->version = nl_value(h, CTRL_ATTR_VERSION);
	groups = nl_find(h, CTRL_ATTR_MCAST_GROUPS);
	g = groups ? nl_find_in(groups, 1) : NULL;
	id = g ? nl_find_in(g, CTRL_ATTR_MCAST_GRP_ID) : NULL;
	if (id)
		memcpy(&nl->group, nl_data(id), sizeof(nl->group));
	return 0;
}

void nl_close(struct nl *nl)
{
	close(nl->fd);
}

int nl_join(struct nl *nl)
{
	return setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &nl->group,
			  sizeof(nl->group)) ? -errno : 0;
}

const struct nlmsghdr *nl_event(struct nl *nl, int timeout_ms, int *ret)
{
	struct pollfd p = { .fd = nl->fd, .events = POLLIN };
	const struct nlmsghdr *h;

	*ret = 0;
	if (nl->at >= nl->in_bytes) {
		if (poll(&p, 1, timeout_ms) <= 0)
			return NULL;
		*ret = receive(nl);
		if (*ret)
			return NULL;
	}
	h = (const void *)(nl->in + nl->at);
	nl->at += NLMSG_ALIGN(h->nlmsg_len);
	return h;
}
