// SPDX-License-Identifier: MIT
/*
 * Limits of an owner in the kernel's queue: two messages of generic netlink,
 * put together by hand so that nothing but a C library is needed.
 */
#include "tests/abi/abi.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/braid_netlink.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

struct message {
	struct nlmsghdr head;
	struct genlmsghdr cmd;
	uint8_t attrs[512];
};

static void start(struct message *m, uint16_t family, uint8_t cmd)
{
	memset(m, 0, sizeof(*m));
	m->head.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN;
	m->head.nlmsg_type = family;
	m->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m->cmd.cmd = cmd;
	m->cmd.version = 1;
}

static void put(struct message *m, uint16_t type, const void *value, size_t bytes)
{
	struct nlattr a = { .nla_len = NLA_HDRLEN + bytes, .nla_type = type };
	uint8_t *at = (uint8_t *)m + m->head.nlmsg_len;

	memcpy(at, &a, sizeof(a));
	if (bytes)
		memcpy(at + NLA_HDRLEN, value, bytes);
	m->head.nlmsg_len += NLA_ALIGN(a.nla_len);
}

/* Send, and take the answer: 0 or a negative errno; what came besides in @m. */
static int ask(int fd, struct message *m)
{
	uint8_t buf[4096];
	struct nlmsghdr h;
	int err = -EBADMSG;
	ssize_t n;

	if (send(fd, m, m->head.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < (ssize_t)sizeof(h))
			return -EBADMSG;
		memcpy(&h, buf, sizeof(h));
		if (h.nlmsg_type == NLMSG_ERROR) {
			memcpy(&err, buf + NLMSG_HDRLEN, sizeof(err));
			return err;
		}
		memcpy(m, buf, (size_t)n < sizeof(*m) ? (size_t)n : sizeof(*m));
	}
}

static int family_of(int fd)
{
	struct message m;
	struct nlattr a;
	uint16_t id = 0;
	int ret;

	start(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	put(&m, CTRL_ATTR_FAMILY_NAME, BRAID_FAMILY_NAME, sizeof(BRAID_FAMILY_NAME));
	ret = ask(fd, &m);
	if (ret)
		return ret;
	for (size_t at = 0; at + sizeof(a) <= sizeof(m.attrs); at += NLA_ALIGN(a.nla_len)) {
		memcpy(&a, m.attrs + at, sizeof(a));
		if (a.nla_type == CTRL_ATTR_FAMILY_ID)
			memcpy(&id, m.attrs + at + NLA_HDRLEN, sizeof(id));
		if (a.nla_len < NLA_HDRLEN)
			break;
	}
	return id ? id : -ENOENT;
}

int abi_netlink_owner(uint64_t owner, const char *limit, uint64_t value)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC), family, ret;
	uint32_t device = 0, small = value;
	struct message m;

	if (fd < 0)
		return -errno;
	family = family_of(fd);
	if (family < 0) {
		close(fd);
		return family;
	}
	start(&m, family, BRAID_CMD_OWNER_SET);
	put(&m, BRAID_A_OWNER_DEVICE, &device, sizeof(device));
	put(&m, BRAID_A_OWNER_KEY, &owner, sizeof(owner));
	if (!limit)
		put(&m, BRAID_A_OWNER_RESET, NULL, 0);
	else if (!strcmp(limit, "weight"))
		put(&m, BRAID_A_OWNER_WEIGHT, &small, sizeof(small));
	else if (!strcmp(limit, "priority_ceiling"))
		put(&m, BRAID_A_OWNER_PRIORITY_CEILING, &small, sizeof(small));
	else if (!strcmp(limit, "request_quota"))
		put(&m, BRAID_A_OWNER_REQUEST_QUOTA, &small, sizeof(small));
	else
		put(&m, BRAID_A_OWNER_BYTE_QUOTA, &value, sizeof(value));
	ret = ask(fd, &m);
	close(fd);
	return ret;
}
