// SPDX-License-Identifier: MIT
/*
 * The supervisor's life: sockets, signals, the timer, and what is done after
 * each round of the loop.
 */
#include "agent/supervisor/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/supervisor/metrics.h"
#include "agent/supervisor/supervisor.h"

#define ACCEPT_AGAIN_NS	100000000ull	/* out of descriptors: look again so soon */
#define KEPT_FDS	4096	/* not for tenants */
#define TELL_NS		1000000000ull	/* a line a second of what tenants can cause at will */

uint64_t server_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* The time of a message and of what follows from it: one look at the clock. */
uint64_t server_round(struct server *s)
{
	if (!s->round_ns)
		s->round_ns = server_now();
	return s->round_ns;
}

static void set_timer(struct server *s, uint64_t at)
{
	struct itimerspec its = { 0 };

	if (at == s->timer_at)
		return;
	s->timer_at = at;
	if (at != BQ_NEVER) {
		if (!at)
			at = 1;		/* zero would disarm it */
		its.it_value.tv_sec = at / 1000000000ull;
		its.it_value.tv_nsec = at % 1000000000ull;
	}
	timerfd_settime(s->timer.fd, TFD_TIMER_ABSTIME, &its, NULL);
}

/* May a line be written that a tenant can cause as often as it likes? */
bool server_may_tell(struct server *s)
{
	uint64_t now = server_now();

	if (s->told_at && now - s->told_at < TELL_NS) {
		s->untold++;
		return false;
	}
	if (s->untold)
		log_line(LOG_NOTICE, "lines about tenants left out", "lines=%u", s->untold);
	s->untold = 0;
	s->told_at = now;
	return true;
}

/*
 * Is there a descriptor that a tenant may have? Those from s->fd_limit on are
 * for the next runner and for whoever wants to see what is going on. They are
 * given out from the lowest on.
 */
bool server_has_descriptors(const struct server *s, int below)
{
	int fd = fcntl(s->timer.fd, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0 && fd < below;
}

/* Nobody can be let in: leave them waiting, and look again in a moment. */
void server_no_descriptors(struct server *s)
{
	if (!s->accept_at && server_may_tell(s))
		log_line(LOG_WARNING, "out of descriptors", "tenants=%u", s->n_clients);
	s->accept_at = server_now() + ACCEPT_AGAIN_NS;
	loop_change(s->loop, &s->listener, 0);
}

static void accept_again(struct server *s)
{
	s->accept_at = 0;
	if (!s->draining)
		loop_change(s->loop, &s->listener, EPOLLIN);
}

/* Everything has ended and everybody has been told? */
static bool drained(struct server *s)
{
	struct braid_completion c;

	if (s->q.queued || s->q.fetched || s->q.suspects)
		return false;
	for (struct client *cl = s->clients; cl; cl = cl->next)
		if (bq_completion_peek(&cl->tenant, &c))
			return false;
	return true;
}

/* After each round: what follows from what came in. */
void server_settle(void *arg)
{
	struct server *s = arg;
	struct bq_tenant *t;
	uint64_t when = BQ_NEVER, next;

	rings_serve(s);
	do {
		s->again = false;
		bq_expire(&s->q, server_round(s));
		agent_answer_fetch(s, &when);
		while ((t = bq_next_woken(&s->q)))
			client_completions(bq_entry(t, struct client, tenant));
	} while (s->again);
	node_reap(s);
	client_free_dead(s);
	control_free_dead(s);
	next = bq_next_event(&s->q);
	if (next < when)
		when = next;
	if (s->draining && !s->runner.stopping) {
		if (drained(s)) {
			log_line(LOG_INFO, "drained", "%s", "");
			runner_stop(s);
		} else if (server_now() >= s->drain_until) {
			log_line(LOG_WARNING, "drain over", "left=%u",
				 s->q.queued + s->q.fetched);
			runner_stop(s);
			/* It has had its time; one that still loads is asked first. */
			if (s->q.ready)
				runner_kill(s);
		} else if (s->drain_until < when) {
			when = s->drain_until;
		}
	}
	if (s->runner.stopping && server_now() >= s->runner.kill_at) {
		log_line(LOG_WARNING, "the runner does not end: killed", "pid=%d", s->runner.pid);
		runner_kill(s);
	}
	if (s->runner.stopping && s->runner.kill_at < when)
		when = s->runner.kill_at;
	next = s->n_controls ? control_overdue(s) : BQ_NEVER;
	if (next < when)
		when = next;
	if (s->accept_at && server_now() >= s->accept_at)
		accept_again(s);
	if (s->accept_at && s->accept_at < when)
		when = s->accept_at;
	set_timer(s, when);
}

static bool rest(void *arg)
{
	struct server *s = arg;
	uint64_t us = UINT64_MAX, now;

	s->round_ns = 0;
	if (s->beside && s->timer_at != BQ_NEVER) {
		now = server_now();
		us = s->timer_at > now ? (s->timer_at - now) / 1000 : 0;
	}
	return rings_rest(s, us);
}

static void timer_ready(struct loop_watch *w, uint32_t events)
{
	struct server *s = bq_entry(w, struct server, timer);
	uint64_t v;

	if (read(w->fd, &v, sizeof(v)) == sizeof(v))
		s->timer_at = BQ_NEVER;	/* settle() looks what is due */
}

static void drain(struct server *s)
{
	struct client *c, *next;

	if (s->draining) {
		log_line(LOG_WARNING, "asked twice to stop: not waiting", "%s", "");
		s->drain_until = 0;
		if (s->runner.stopping)
			runner_kill(s);
		return;
	}
	log_line(LOG_INFO, "draining", "queued=%u fetched=%u limit_ms=%u", s->q.queued,
		 s->q.fetched, s->cfg.drain_ms);
	notify_stopping();
	s->draining = true;
	s->drain_until = server_now() + s->cfg.drain_ms * 1000000ull;
	if (!s->device)
		loop_change(s->loop, &s->listener, 0);
	/* What tenants send from now on stays in their sockets: their library
	 * sends it again to whoever comes next.
	 */
	for (c = s->clients; c; c = next) {
		next = c->next;		/* it may go to the list of the dead */
		client_completions(c);
	}
}

static void signal_ready(struct loop_watch *w, uint32_t events)
{
	static const char reload[] = "{\"op\":\"reload\",\"id\":0}";
	struct server *s = bq_entry(w, struct server, signals);
	struct signalfd_siginfo si;

	while (read(w->fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGHUP) {
			log_line(LOG_INFO, "reloading models", "%s", "");
			notify_reloading();
			/* The next runner looks at the directory when it starts. */
			if (runner_send(s, reload, sizeof(reload) - 1)) {
				log_line(LOG_WARNING, "no runner to reload", "%s", "");
				notify_ready(s);
			}
		} else {
			log_line(LOG_INFO, "asked to stop", "signal=%u pid=%u uid=%u", si.ssi_signo,
				 si.ssi_pid, si.ssi_uid);
			drain(s);
		}
	}
}

static void more_descriptors(struct server *s)
{
	const struct config *cfg = &s->cfg;
	struct rlimit rl = { 0 };

	if (getrlimit(RLIMIT_NOFILE, &rl))
		rl.rlim_cur = rl.rlim_max = 1024;
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	if (rl.rlim_cur > INT_MAX)
		rl.rlim_cur = INT_MAX;
	s->fd_kept = rl.rlim_cur / 4 < KEPT_FDS ? rl.rlim_cur / 4 : KEPT_FDS;
	s->fd_limit = rl.rlim_cur - s->fd_kept;
	if (!s->device && rl.rlim_cur < cfg->max_tenants)
		log_line(LOG_NOTICE, "fewer descriptors than tenants and buffers may need",
			 "limit=%llu max_tenants=%u", (unsigned long long)rl.rlim_cur,
			 cfg->max_tenants);
}

/* Mappings that the runner may have for buffers: a quarter of all is for the rest of it. */
static unsigned int mappings(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned int n = 65530;

	if (f) {
		if (fscanf(f, "%u", &n) != 1)
			n = 65530;
		fclose(f);
	}
	return n - n / 4;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int set_up_queue(struct server *s, char *why, size_t len)
{
	int ret;

	ret = knobs_init(&s->q);
	s->q.defaults.byte_quota = s->cfg.byte_quota;
	s->q.defaults.request_quota = s->cfg.request_quota;
	for (unsigned int i = 0; i < s->cfg.n_knobs && !ret; i++)
		ret = knob_set(s, s->cfg.knobs[i].name, s->cfg.knobs[i].value, why, len);
	return ret;
}

int server_watch(struct server *s, struct loop_watch *w, int fd,
		 void (*ready)(struct loop_watch *w, uint32_t events))
{
	int ret = fd < 0 ? -errno : 0;

	*w = (struct loop_watch){ .fd = fd, .events = EPOLLIN, .ready = ready };
	return ret ? ret : loop_add(s->loop, w);
}

static int set_up_loop(struct server *s, char *why, size_t len)
{
	int ret;

	s->loop = loop_new();
	if (!s->loop)
		return -ENOMEM;
	s->runner.srv = s;
	s->runner.control.fd = -1;
	s->timer_at = BQ_NEVER;
	ret = server_watch(s, &s->timer,
			   timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
			   timer_ready);
	if (!ret)
		ret = server_watch(s, &s->runner.timer,
				   timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
				   runner_timer);
	if (!ret)
		ret = notify_watchdog(s);
	if (!ret)
		ret = server_watch(s, &s->signals, open_signals(), signal_ready);
	if (ret)
		return ret;
	ret = s->control_lock = server_lock(s->cfg.control, why, len);
	if (ret >= 0)
		ret = server_listen(s->cfg.control, SOCK_SEQPACKET, 0600, "", why, len);
	if (ret >= 0)
		ret = server_watch(s, &s->control_listener, ret, control_accept);
	if (ret >= 0)
		ret = metrics_start(s, why, len);
	if (ret < 0 || s->device)
		return ret;
	ret = closer_start(s);
	if (!ret)
		ret = mem_start(s);
	if (ret)
		return ret;
	ret = s->lock = server_lock(s->cfg.socket, why, len);
	if (ret >= 0)
		ret = server_listen(s->cfg.socket, SOCK_SEQPACKET, 0660, s->cfg.group, why,
				    len);
	if (ret >= 0)
		ret = server_watch(s, &s->listener, ret, client_accept);
	return ret;
}

static void close_watches(struct server *s)
{
	struct loop_watch *all[] = { &s->listener, &s->control_listener, &s->timer, &s->signals,
				     &s->watchdog, &s->runner.timer };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i]->fd > 0)
			close(all[i]->fd);
}

static void tear_down(struct server *s)
{
	while (s->clients)
		client_close(s->clients, "braidd ends");
	agent_disconnect(s);
	control_close_all(s);
	metrics_stop(s);
	bq_exit(&s->q);
	node_reap(s);
	mem_stop(s);
	closer_stop(s);
	client_free_dead(s);
	server_unlock(s->cfg.socket, s->listener.fd > 0, s->lock);
	server_unlock(s->cfg.control, s->control_listener.fd > 0, s->control_lock);
	close_watches(s);
	loop_free(s->loop);
	free(s);
}

int supervisor_main(const struct config *cfg, const char *config_path)
{
	struct server *s = calloc(1, sizeof(*s));
	char why[256] = "";
	int ret;

	if (!s)
		return 1;
	s->cfg = *cfg;
	s->config_path = config_path;
	s->started_ns = server_now();
	s->device = device_wanted(cfg);
	s->beside = cfg->spin_us && config_polls(cfg);
	bq_list_init(&s->active);
	more_descriptors(s);
	s->map_limit = mappings();
	ret = set_up_queue(s, why, sizeof(why));
	if (!ret)
		ret = set_up_loop(s, why, sizeof(why));
	if (!ret) {
		ret = affinity_pin(cfg->cpu, &s->cpus);
		if (ret)
			snprintf(why, sizeof(why), "cpu = %d: braidd may not run there", cfg->cpu);
	}
	if (!ret)
		ret = runner_start(s, why, sizeof(why));
	/* Once there is an agent of ours: what another one's braidd set stays. */
	if (!ret && s->device)
		ret = device_knobs(s, why, sizeof(why));
	if (ret) {
		log_line(LOG_ERR, "braidd can't start", "error=\"%s\"",
			 *why ? why : strerror(-ret));
		tear_down(s);
		return 1;
	}
	log_line(LOG_INFO, "braidd serves", "%s=%s control=%s backend=%s",
		 s->device ? "device" : "socket", s->device ? cfg->device : cfg->socket,
		 cfg->control, cfg->backend);
	ret = loop_run(s->loop, server_settle, rest, s);
	if (ret)
		log_line(LOG_ERR, "event loop failed", "error=\"%s\"", strerror(-ret));
	ret = ret || s->runner.hopeless;
	tear_down(s);
	log_line(LOG_INFO, "braidd ended", "%s", "");
	return ret ? 1 : 0;
}
