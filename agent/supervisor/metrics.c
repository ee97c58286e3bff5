// SPDX-License-Identifier: MIT
/*
 * The HTTP side of metrics: see metrics.h. libmicrohttpd does the protocol, in
 * a thread of its own: over a Unix socket a reader may send descriptors, and
 * how long those take to be closed is its to say. The figures are the loop's,
 * which the thread asks for them. Connections are few and short.
 *
 * @lock protects what follows it in struct metrics; what is before is set
 * before the thread starts, or the thread's alone.
 */
#include "agent/supervisor/metrics.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/supervisor/server.h"

#ifdef BRAID_METRICS

#include <microhttpd.h>

#define CONNECTIONS	16u
#define PATIENCE_S	5u		/* with who neither asks nor reads */
#define MEMORY		(32u << 10)	/* of a connection */
#define LAST_WAIT_S	1

struct metrics {
	struct loop_watch asked;	/* figures are wanted */
	struct server *srv;
	struct MHD_Daemon *http;
	pthread_t thread;
	bool runs;
	int epoll, wake;		/* libmicrohttpd's; the end */
	bool ended;			/* a connection has, since the last run */
	int name_lock;			/* on the socket's name */
	char path[108];			/* "": a port */
	pthread_mutex_t lock;
	pthread_cond_t told;
	bool wanted, stop;
	char *text;			/* what was asked for, NULL without memory */
	size_t bytes;
};

static void connected(void *arg, struct MHD_Connection *c, void **priv,
		      enum MHD_ConnectionNotificationCode what)
{
	struct metrics *m = arg;

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

static void ring(int fd)
{
	const uint64_t one = 1;

	/* A counter that is full wakes as well. */
	if (write(fd, &one, sizeof(one)) != sizeof(one))
		return;
}

/* The thread's: all figures, from the loop. */
static char *ask(struct metrics *m, size_t *bytes)
{
	char *text;

	pthread_mutex_lock(&m->lock);
	m->wanted = true;
	ring(m->asked.fd);
	while (m->wanted && !m->stop)
		pthread_cond_wait(&m->told, &m->lock);
	text = m->text;
	*bytes = m->bytes;
	m->text = NULL;
	pthread_mutex_unlock(&m->lock);
	return text;
}

/* The loop's. */
static void tell(struct loop_watch *w, uint32_t events)
{
	struct metrics *m = bq_entry(w, struct metrics, asked);
	uint64_t n;

	if (read(w->fd, &n, sizeof(n)) != sizeof(n))
		return;
	pthread_mutex_lock(&m->lock);
	if (m->wanted)
		m->text = metrics_text(m->srv, &m->bytes);
	m->wanted = false;
	pthread_cond_signal(&m->told);
	pthread_mutex_unlock(&m->lock);
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
	text = ask(m, &bytes);
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

static bool stopped(struct metrics *m)
{
	bool stop;

	pthread_mutex_lock(&m->lock);
	stop = m->stop;
	pthread_mutex_unlock(&m->lock);
	return stop;
}

/* How long it may sleep; never not at all, that would be a loop without end. */
static int patience(struct metrics *m)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(m->http, &ms) != MHD_YES)
		return -1;
	return ms < 1 ? 1 : ms > 1000 ? 1000 : (int)ms;
}

static void *run(void *arg)
{
	struct metrics *m = arg;
	struct pollfd p[2] = { { .fd = m->epoll, .events = POLLIN },
			       { .fd = m->wake, .events = POLLIN } };

	while (!stopped(m)) {
		poll(p, 2, patience(m));
		/* At its limit it only looks whether it may listen when it runs. */
		do {
			m->ended = false;
			MHD_run(m->http);
		} while (m->ended);
	}
	MHD_stop_daemon(m->http);
	return NULL;
}

static int listen_at(struct server *s, struct metrics *m, char *why, size_t len)
{
	const char *where = s->cfg.metrics;
	struct sockaddr_storage sa;
	socklen_t bytes;
	int fd, one = 1, err = -metrics_address(where, &sa, &bytes);

	if (!err && sa.ss_family == AF_UNIX) {
		m->name_lock = server_lock(where, why, len);
		if (m->name_lock < 0)
			return m->name_lock;
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
	sigset_t all, old;
	int fd;

	if (!*s->cfg.metrics)
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->srv = s;
	m->asked.fd = m->wake = -1;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->told, NULL);
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
	m->epoll = MHD_get_daemon_info(m->http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	m->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fd = m->wake < 0 ? -errno :
	     server_watch(s, &m->asked, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), tell);
	if (fd)
		return fd;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	fd = -pthread_create(&m->thread, NULL, run, m);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	m->runs = !fd;
	return fd;
}

/* The process ends: a thread that still closes what it was sent is left to that. */
void metrics_stop(struct server *s)
{
	struct metrics *m = s->metrics;
	struct timespec until;

	if (!m)
		return;
	s->metrics = NULL;
	if (m->asked.ready)
		loop_del(s->loop, &m->asked);
	server_unlock(m->path, *m->path, m->name_lock);
	if (m->runs) {
		pthread_mutex_lock(&m->lock);
		m->stop = true;
		pthread_cond_signal(&m->told);
		pthread_mutex_unlock(&m->lock);
		ring(m->wake);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += LAST_WAIT_S;
		if (pthread_timedjoin_np(m->thread, NULL, &until))
			return;
	} else if (m->http) {
		MHD_stop_daemon(m->http);
	}
	if (m->asked.fd >= 0)
		close(m->asked.fd);
	if (m->wake >= 0)
		close(m->wake);
	free(m->text);
	free(m);
}

#else

int metrics_start(struct server *s, char *why, size_t len)
{
	return *s->cfg.metrics ? metrics_check(s->cfg.metrics, why, len) : 0;
}

void metrics_stop(struct server *s)
{
}

#endif
