/* SPDX-License-Identifier: MIT */
/*
 * Generic netlink without a library: messages as they are, so that a test can
 * also send what a library never would. One connection, one question at a time.
 */
#ifndef BRAID_TESTS_VM_NL_H
#define BRAID_TESTS_VM_NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/braid_netlink.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

/**
 * struct nl - a connection
 * @fd: the socket, for raw use
 * @family: the kernel's number for "braid"
 * @group: of its events
 * @version: of the family
 * @seq: of the last question
 * @out: question being built
 * @why: what the kernel said to the last one, or empty
 * @in: the last message that came
 * @in_bytes: of it; a datagram holds several messages
 * @at: where the next one in it is
 */
struct nl {
	int fd;
	int family;
	uint32_t group;
	uint32_t version;
	uint32_t seq;
	char out[1024] __attribute__((aligned(8)));
	char why[128];
	char in[65536] __attribute__((aligned(8)));
	size_t in_bytes;
	size_t at;
};

/* Connect and find the family; 0 or a negative errno. */
int nl_open(struct nl *nl);
void nl_close(struct nl *nl);

/* Begin a question, add attributes to it. */
void nl_begin(struct nl *nl, uint8_t cmd, uint16_t flags);
void nl_put(struct nl *nl, uint16_t type, const void *data, size_t bytes);
void nl_put_u32(struct nl *nl, uint16_t type, uint32_t value);
void nl_put_u64(struct nl *nl, uint16_t type, uint64_t value);

/* Send it; 0 or a negative errno. */
int nl_send(struct nl *nl);

/*
 * The next message, of any kind. NULL at the end of a dump or after an ack,
 * and for an error; then @ret is 0 or a negative errno.
 */
const struct nlmsghdr *nl_next(struct nl *nl, int *ret);

/* Send, and take one answer, which may be an ack alone: 0 or a negative errno. */
int nl_ask(struct nl *nl, const struct nlmsghdr **answer);

/* Attributes of a message of the family, NULL when it is not there. */
const struct nlattr *nl_find(const struct nlmsghdr *h, uint16_t type);
uint64_t nl_value(const struct nlmsghdr *h, uint16_t type);
const struct nlattr *nl_find_in(const struct nlattr *nest, uint16_t type);
uint8_t nl_cmd(const struct nlmsghdr *h);

static inline const void *nl_data(const struct nlattr *a)
{
	return (const char *)a + NLA_HDRLEN;
}

static inline size_t nl_bytes(const struct nlattr *a)
{
	return a->nla_len - NLA_HDRLEN;
}

/* Join the group of events: 0 or a negative errno. */
int nl_join(struct nl *nl);

/* The next event, at most so long; NULL: none, or lost ones with -ENOBUFS in @ret. */
const struct nlmsghdr *nl_event(struct nl *nl, int timeout_ms, int *ret);

#endif
