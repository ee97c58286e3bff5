// SPDX-License-Identifier: MIT
/*
 * The HTTP side of metrics: see metrics.h. libmicrohttpd does the protocol,
 * its epoll descriptor is one more in the supervisor's loop, and it has no
 * thread of its own. Connections are few and short.
 */
#include "agent/supervisor/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/supervisor/server.h"

#ifdef BRAID_METRICS

#include <microhttpd.h>

#define CONNECTIONS	16u
#define PATIENCE_S	5u		/* with who neither asks nor reads */
#define MEMORY		(32u << 10)	/* of a connection */

struct metrics {
	struct loop_watch watch;	/* libmicrohttpd's epoll */
	struct server *srv;
	struct MHD_Daemon *http;
	unsigned int n;			/* connections */
	bool ended;			/* one has ended since the last run */
	int lock;			/* on the socket's name */
	char path[108];			/* "": a port */
};

static void connected(void *arg, struct MHD_Connection *c, void **priv,
		      enum MHD_ConnectionNotificationCode what)
{
	struct metrics *m = arg;

	m->n += what == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1;
	m->ended |= what == MHD_CONNECTION_NOTIFY_CLOSED;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned int status, const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)text,
								 MHD_RESPMEM_PERSISTENT);
	enum MHD_Result ret;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	ret = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ret;
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_bytes, void **priv)
{
	struct metrics *m = arg;
	struct MHD_Response *r;
	enum MHD_Result ret;
	size_t bytes;
	char *text;

	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET it.\n");
	/* Called once for the head and once for all of it. */
	if (!*priv) {
		*priv = m;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics"))
		return refuse(c, MHD_HTTP_NOT_FOUND, "There is /metrics.\n");
	text = metrics_text(m->srv, &bytes);
	r = text ? MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE) : NULL;
	if (!r) {
		free(text);
		return refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "Out of memory.\n");
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
				"text/plain; version=0.0.4; charset=utf-8");
	ret = MHD_queue_response(c, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return ret;
}

static void ready(struct loop_watch *w, uint32_t events)
{
	MHD_run(bq_entry(w, struct metrics, watch)->http);
}

void metrics_settle(struct server *s, uint64_t *when)
{
	struct metrics *m = s->metrics;
	MHD_UNSIGNED_LONG_LONG ms;
	uint64_t at;

	if (!m)
		return;
	/* At its limit it does not listen, and only looks whether it may when it runs. */
	while (m->ended) {
		m->ended = false;
		MHD_run(m->http);
	}
	if (!m->n || MHD_get_timeout(m->http, &ms) != MHD_YES)
		return;
	if (!ms) {
		MHD_run(m->http);
		if (!m->n || MHD_get_timeout(m->http, &ms) != MHD_YES)
			return;
	}
	/* Now would be a loop of its own: in a moment. */
	at = server_now() + (ms ? ms : 1) * 1000000ull;
	if (at < *when)
		*when = at;
}

static int listen_at(struct server *s, struct metrics *m, char *why, size_t len)
{
	const char *where = s->cfg.metrics;
	struct sockaddr_storage sa;
	socklen_t bytes;
	int fd, one = 1, err = -metrics_address(where, &sa, &bytes);

	if (!err && sa.ss_family == AF_UNIX) {
		m->lock = server_lock(where, why, len);
		if (m->lock < 0)
			return m->lock;
		fd = server_listen(where, SOCK_STREAM, 0660, s->cfg.group, why, len);
		if (fd >= 0)
			strcpy(m->path, where);
		return fd;
	}
	fd = err ? -1 : socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (!bind(fd, (struct sockaddr *)&sa, bytes) && !listen(fd, CONNECTIONS))
			return fd;
	}
	err = err ? err : errno;
	if (fd >= 0)
		close(fd);
	snprintf(why, len, "metrics on %s: %s", where, strerror(err));
	return -err;
}

int metrics_start(struct server *s, char *why, size_t len)
{
	struct metrics *m;
	int fd;

	if (!*s->cfg.metrics)
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->srv = s;
	m->watch.fd = -1;
	s->metrics = m;
	fd = listen_at(s, m, why, len);
	if (fd < 0)
		return fd;
	m->http = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, m,
				   MHD_OPTION_LISTEN_SOCKET, fd,
				   MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
				   MHD_OPTION_CONNECTION_TIMEOUT, PATIENCE_S,
				   MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
				   MHD_OPTION_NOTIFY_CONNECTION, connected, m, MHD_OPTION_END);
	if (!m->http) {
		/* The descriptor may be closed by now; this process ends. */
		snprintf(why, len, "metrics on %s: libmicrohttpd does not start", s->cfg.metrics);
		return -EIO;
	}
	fd = MHD_get_daemon_info(m->http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	return server_watch(s, &m->watch, fd, ready);
}

void metrics_stop(struct server *s)
{
	struct metrics *m = s->metrics;

	if (!m)
		return;
	if (m->watch.ready)
		loop_del(s->loop, &m->watch);
	if (m->http)
		MHD_stop_daemon(m->http);
	server_unlock(m->path, *m->path, m->lock);
	free(m);
	s->metrics = NULL;
}

#else

int metrics_start(struct server *s, char *why, size_t len)
{
	return *s->cfg.metrics ? metrics_check(s->cfg.metrics, why, len) : 0;
}

void metrics_stop(struct server *s)
{
}

void metrics_settle(struct server *s, uint64_t *when)
{
}

#endif
