// SPDX-License-Identifier: MIT
/*
 * Opening and closing a connection, over which transport, and what concerns it
 * as a whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/conn.h"
#include "lib/spin.h"

#define DEFAULT_DEVICE		"/dev/braid0"
#define DEFAULT_SOCKET		"/run/braid/braid.sock"
#define DEFAULT_PATIENCE_MS	30000u

#define API __attribute__((visibility("default")))

static int open_at(const char *path, const struct transport *transport, struct braid **out)
{
	pthread_condattr_t attr;
	struct braid *b;
	int ret;

	b = calloc(1, sizeof(*b));
	if (!b)
		return braid_fail(-ENOMEM, "no memory");
	if (strlen(path) >= sizeof(b->path)) {
		free(b);
		return braid_fail(-ENAMETOOLONG, "%s: longer than a socket's name may be", path);
	}
	strcpy(b->path, path);
	b->transport = transport;
	b->patience_ms = DEFAULT_PATIENCE_MS;
	b->spin_us = SPIN_DEFAULT_US;
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->cond, &attr);
	pthread_condattr_destroy(&attr);
	ret = conn_open(b);
	if (ret) {
		braid_close(b);
		return ret;
	}
	*out = b;
	return 0;
}

static bool is_device(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISCHR(st.st_mode);
}

API int braid_open(const char *path, struct braid **out)
{
	char why[256];
	int ret, ret2;

	if (!path)
		path = getenv("BRAID_PATH");
	if (path && *path)
		return open_at(path, is_device(path) ? &transport_device : &transport_socket, out);
	if (!is_device(DEFAULT_DEVICE))
		return open_at(DEFAULT_SOCKET, &transport_socket, out);
	ret = open_at(DEFAULT_DEVICE, &transport_device, out);
	if (!ret)
		return 0;
	snprintf(why, sizeof(why), "%s", braid_error());
	ret2 = open_at(DEFAULT_SOCKET, &transport_socket, out);
	/* Where nobody serves a socket it is the device that matters. */
	if (ret2 == -ENOENT || ret2 == -ECONNREFUSED)
		return braid_fail(ret, "%s", why);
	return ret2;
}

API void braid_close(struct braid *b)
{
	if (!b)
		return;
	conn_shut(b);
	request_free_all(b);
	while (b->bufs) {
		struct braid_buf *buf = b->bufs;

		b->bufs = buf->next;
		munmap(buf->addr, buf->bytes);
		if (buf->fd >= 0)
			close(buf->fd);
		free(buf);
	}
	while (b->models) {
		struct braid_model *m = b->models;

		b->models = m->next;
		free(m);
	}
	pthread_cond_destroy(&b->cond);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* Const to the caller: that somebody polls it is the connection's own business. */
API int braid_fd(const struct braid *handle)
{
	struct braid *b = (struct braid *)handle;

	conn_lock(b);
	if (!b->watched) {
		b->watched = true;
		if (b->transport->watched)
			b->transport->watched(b);
	}
	conn_unlock(b);
	return b->epoll;
}

API void braid_set_patience(struct braid *b, unsigned int ms)
{
	conn_lock(b);
	b->patience_ms = ms;
	conn_unlock(b);
}

API void braid_set_spin(struct braid *b, unsigned int us)
{
	conn_lock(b);
	b->spin_us = us < SPIN_MAX_US ? us : SPIN_MAX_US;
	conn_unlock(b);
}

API int braid_info(struct braid *b, struct braid_get_info *info)
{
	int ret;

	conn_lock(b);
	do {
		*info = (struct braid_get_info){ .size = sizeof(*info) };
		ret = conn_wait_up(b);
		if (!ret)
			ret = conn_call(b, BRAID_NR_GET_INFO, info);
	} while (ret == -ECONNRESET && !b->dead);
	conn_unlock(b);
	return ret;
}
