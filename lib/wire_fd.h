/* SPDX-License-Identifier: MIT */
/*
 * One message over a socket, with a descriptor beside it or without: the only
 * I/O that both ends of <linux/braid.h> do the same way.
 */
#ifndef BRAID_LIB_WIRE_FD_H
#define BRAID_LIB_WIRE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * wire_send() - send a message
 * @sock: seqpacket socket
 * @msg: the message
 * @bytes: its length
 * @fd: goes along, stays the caller's; -1 for none
 * @flags: of sendmsg(), MSG_NOSIGNAL is added
 *
 * Return: 0 or a negative errno, never -EINTR.
 */
int wire_send(int sock, const void *msg, size_t bytes, int fd, int flags);

/* The kernel takes no more along with a message. */
#define WIRE_MAX_FDS	253

/**
 * wire_recv_fds() - receive a message and all that came with it
 * @sock: seqpacket socket
 * @buf: for the message; what does not fit is lost
 * @cap: its room
 * @flags: of recvmsg(), MSG_CMSG_CLOEXEC is added
 * @fds: room for WIRE_MAX_FDS descriptors, the caller's from now on. None is
 *       closed here: how long that takes is the sender's to say
 * @n_fds: how many came
 *
 * Return: as wire_recv().
 */
ssize_t wire_recv_fds(int sock, void *buf, size_t cap, int flags, int *fds, unsigned int *n_fds);

/**
 * wire_brings_fds() - does the next message bring descriptors?
 *
 * Nothing is received. Return: false also when there is no message.
 */
bool wire_brings_fds(int sock);

/**
 * wire_recv() - receive a message
 * @sock: seqpacket socket
 * @buf: for the message; what does not fit is lost
 * @cap: its room
 * @flags: of recvmsg(), MSG_CMSG_CLOEXEC is added
 * @fd: the caller's from now on, -1 for none; NULL: close it. Of several the
 *      first; the others are closed
 *
 * Return: bytes, 0 at the end, or a negative errno, also -EINTR: whether to
 * wait any longer is the caller's to say.
 */
ssize_t wire_recv(int sock, void *buf, size_t cap, int flags, int *fd);

#endif
