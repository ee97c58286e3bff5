// SPDX-License-Identifier: MIT
/*
 * The runner's life: its loop, when it asks for work, and its end.
 */
#include "agent/runner/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/affinity.h"
#include "agent/log.h"
#include "agent/runner/load.h"
#include "agent/supervisor/supervisor.h"

#define QUEUE_FD	3
#define CONTROL_FD	4
#define TICK_MS		100
#define TELL_NS		1000000000ull
#define LINGER_NS	100000ull
#define DEFAULT_LANES	16u		/* for arms; the backend knows better what it has */

uint64_t runner_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

void runner_fail(struct runner *r, const char *what, int err)
{
	if (!r->failed)
		log_line(LOG_ERR, "runner gives up", "what=%s error=\"%s\"", what, strerror(-err));
	r->failed = true;
	loop_stop(r->loop);
}

/* The supervisor is gone: nobody would start another runner, or end this one. */
void runner_alone(struct runner *r)
{
	if (!r->failed)
		log_line(LOG_INFO, "the supervisor is gone", "%s", "");
	r->failed = true;
	loop_stop(r->loop);
}

/*
 * Ask the queue. How long that takes is not this process's fault: where it takes very
 * long the supervisor stands still, and nobody would start another runner.
 */
int runner_call(struct runner *r, uint32_t nr, void *arg, int *fd_out)
{
	int ret;

	watchdog_beat(&r->dog, 0);
	ret = link_call(r->link, nr, arg, fd_out);
	watchdog_beat(&r->dog, r->outstanding);
	return ret;
}

/* May a line be written that a tenant can cause as often as it likes? */
bool runner_may_tell(struct runner *r)
{
	uint64_t now = runner_now();

	if (r->told_ns && now - r->told_ns < TELL_NS)
		return false;
	r->told_ns = now;
	return true;
}

/* As many launches at once as the arm says; a policy that is fixed has all lanes. */
/*
 * Forms that run a window as one launch need windows with several models in
 * them: while so many run, the next one gathers. With a lane for each request
 * there would never be anything to run side by side.
 */
#define WINDOWS_AT_ONCE	2u

void runner_limit(struct runner *r)
{
	uint32_t limit = 0;

	if (r->policy == BRAID_FUSION_ADAPTIVE)
		limit = adapt_arm(r->adapt)->limit;
	else if (r->policy != BRAID_FUSION_NONE && r->policy != BRAID_FUSION_MERGE)
		limit = WINDOWS_AT_ONCE;
	if (r->ops->limit)
		r->ops->limit(r->be, limit);
}

void runner_policy(struct runner *r, enum braid_fusion_policy policy)
{
	if (policy == BRAID_FUSION_ADAPTIVE && r->policy != policy)
		adapt_restart(r->adapt, runner_now(), r->in_flight);
	r->policy = policy;
	runner_limit(r);
}

static bool merges(const struct runner *r)
{
	if (r->policy == BRAID_FUSION_ADAPTIVE)
		return adapt_arm(r->adapt)->merge != ADAPT_ALONE;
	return r->policy != BRAID_FUSION_NONE && r->policy != BRAID_FUSION_FUSE;
}

/* May groups of several models share a launch? */
static bool shares(const struct runner *r)
{
	enum braid_fusion_policy p = r->policy;

	if (p == BRAID_FUSION_ADAPTIVE)
		p = adapt_arm(r->adapt)->policy;
	return p == BRAID_FUSION_FUSE || p == BRAID_FUSION_MERGE_FUSE || p == BRAID_FUSION_BRANCHES;
}

/*
 * What was asked for waits for an answer, so that nothing of it is queued: it stands as
 * long as there is room for all of it, and it was ENOUGH for what may come at once.
 * Otherwise each launch that ends would be another question.
 */
#define ENOUGH	16u

static bool stands(uint32_t asked, uint32_t now)
{
	return asked == now || (asked < now && asked >= ENOUGH);
}

static bool asked_well(const struct runner *r, const struct braid_want *wants, uint32_t n,
		       uint32_t jobs)
{
	if (!link_fetching(r->link) || n != r->n_wants || !stands(r->want_jobs, jobs))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (wants[i].model != r->wants[i].model ||
		    !stands(r->wants[i].count, wants[i].count))
			return false;
	return true;
}

/* Tell the queue what could be launched now. */

void runner_want(struct runner *r)
{
	struct braid_want wants[LINK_MAX_WANTS];
	uint32_t n = 0, jobs = 1;
	bool take;
	int ret;

	_Static_assert(RUNNER_LOADED <= LINK_MAX_WANTS, "every model can be named");
	if (!r->ready || r->failed)
		return;
	/*
	 * Two FETCHes may be unanswered and both bring a window: the reserve is
	 * for the one that this does not know of.
	 */
	take = r->n_free > RUNNER_RESERVE;
	for (struct run_model *m = r->models; m && take && n < LINK_MAX_WANTS; m = m->next) {
		uint32_t credits = m->waiting ? 0 : r->ops->credits(r->be, m->bm, merges(r));

		if (!credits)
			continue;
		wants[n++] = (struct braid_want){ .model = m->id, .count = credits };
		jobs = credits > jobs ? credits : jobs;
	}
	/* Each model is told of the same free lanes: all together they have no more. */
	if (jobs > BRAID_MAX_BATCH || shares(r))
		jobs = BRAID_MAX_BATCH;
	if (asked_well(r, wants, n, jobs))
		return;
	ret = link_fetch(r->link, wants, n, jobs);
	if (ret == -EBUSY)
		return;		/* after the next answer */
	if (ret) {
		runner_fail(r, "FETCH", ret);
		return;
	}
	memcpy(r->wants, wants, n * sizeof(wants[0]));
	r->n_wants = n;
	r->want_jobs = jobs;
}

static void link_ready(struct loop_watch *w, uint32_t events)
{
	struct runner *r = (struct runner *)((char *)w - offsetof(struct runner, link_watch));
	int ret = link_take(r->link, r->in);

	/* What else is there is announced again. */
	if (ret == 1)
		window_take(r, r->in);
	if (ret == -EPIPE)
		runner_alone(r);
	else if (ret < 0)
		runner_fail(r, "queue", ret);
}

static void signal_ready(struct loop_watch *w, uint32_t events)
{
	struct runner *r = (struct runner *)((char *)w - offsetof(struct runner, signal_watch));

	loop_stop(r->loop);
}

/* What is told of others since the last time. */
static void look_outside(struct runner *r)
{
	uint64_t before = r->outside.at_ns;

	outside_now(r->watch, &r->outside);
	if (r->outside.at_ns != before || !r->outside.at_ns)
		adapt_shared(r->adapt, r->outside.away, r->outside.launches_per_s);
}

static void tick(struct loop_watch *w, uint32_t events)
{
	struct runner *r = (struct runner *)((char *)w - offsetof(struct runner, tick_watch));
	uint64_t n;

	if (read(w->fd, &n, sizeof(n)) != sizeof(n))
		return;
	windows_reap(r);	/* after a stop of ours all may have ended long ago */
	windows_watch(r);
	look_outside(r);
	if (r->ready)
		models_estimates(r);
}

/*
 * What has ended and what is unmapped is taken in after(), in every round. A backend
 * that is polled asks for no event when it is, so that one is taken here.
 */
static void backend_ready(struct loop_watch *w, uint32_t events)
{
	struct runner *r = (struct runner *)((char *)w - offsetof(struct runner, backend_watch));
	uint64_t n;

	if (r->polls && read(w->fd, &n, sizeof(n)) < 0)
		errno = 0;	/* it was taken already */
}

/* After each round: launches that ended at once, and what could be taken now. */
static void after(void *arg)
{
	struct runner *r = arg;
	unsigned int ended;

	do {
		do {
			watchdog_beat(&r->dog, r->outstanding);
			/* What lies in memory already is not announced. */
			if (link_kept(r->link))
				link_ready(&r->link_watch, 0);
			windows_launch(r);
			ended = r->failed ? 0 : windows_reap(r);
			/* Who polls so is waited for: answers do not wait for more launches. */
			if (ended && r->polls && !r->failed && link_flush(r->link))
				runner_fail(r, "sending", -EPIPE);
		} while (!r->failed && (ended || link_kept(r->link)));
		if (!r->failed)
			bufs_unmapped(r, true);
		if (!r->failed)
			runner_want(r);
		if (!r->failed && link_flush(r->link))
			runner_fail(r, "sending", -EPIPE);
		/* Asking may have been answered at once. */
	} while (!r->failed && link_kept(r->link));
}

static bool rest(void *arg)
{
	struct runner *r = arg;
	uint64_t now;

	if (!r->polls)
		return link_rest(r->link);
	/* And a little longer: in a closed loop the next request is on its way. */
	now = runner_now();
	if (r->ops->busy(r->be))
		r->busy_ns = now;
	return now - r->busy_ns > LINGER_NS && link_rest(r->link);
}

static int watch(struct runner *r, struct loop_watch *w, int fd,
		 void (*ready)(struct loop_watch *w, uint32_t events))
{
	*w = (struct loop_watch){ .fd = fd, .events = EPOLLIN, .ready = ready };
	return fd < 0 ? -EBADF : loop_add(r->loop, w);
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGINT, SIG_IGN);	/* the supervisor says when */
	signal(SIGHUP, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_tick(void)
{
	struct itimerspec its = {
		.it_value.tv_nsec = TICK_MS * 1000000l,
		.it_interval.tv_nsec = TICK_MS * 1000000l,
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		timerfd_settime(fd, 0, &its, NULL);
	return fd;
}

static void say(void *arg, const char *text)
{
	log_line(LOG_NOTICE, text, "%s", "");
}

/*
 * Only the end of this process gives the device back. Where a launch did it a request
 * that was alone on it is the one, and need not do it again.
 */
static void lost(void *arg, const char *why, bool by_launch)
{
	struct runner *r = arg;

	log_line(LOG_CRIT, "the device is lost, giving up", "why=\"%s\"", why);
	if (by_launch && pthread_equal(r->thread, pthread_self()))
		window_blame(r);
	kill(getpid(), SIGKILL);
}

/* The GPU where there is one and it may be used, else the CPU. */
static int open_backend(struct runner *r, char *why, size_t len)
{
	const struct config *c = &r->cfg;
	struct backend_config bc = {
		.threads = c->threads, .lanes = c->lanes, .max_degree = c->max_degree,
		.reaps_at_once = true,		/* see after() */
		.polls = config_polls(c), .device = c->gpu, .sms = c->sms,
		.no_compiler = !c->compile,
		.cache_dir = c->cache_dir, .cache_bytes = (uint64_t)c->cache_mib << 20,
		.witness = c->witness, .say = say, .lost = lost, .arg = r,
	};
	int ret;

	if (strcmp(c->backend, "cpu")) {
		r->ops = &cuda_backend_ops;
		ret = r->ops->open(&bc, &r->be, why, len);
		if (!ret)
			r->polls = bc.polls;
		if (!ret || !strcmp(c->backend, "cuda"))
			return ret;
		log_line(LOG_NOTICE, "no GPU is used", "why=\"%s\"", why);
		*why = 0;
	}
	r->ops = &cpu_backend_ops;
	return r->ops->open(&bc, &r->be, why, len);
}

static uint32_t policies_of(const struct backend_ops *ops)
{
	uint32_t p = 1u << BRAID_FUSION_NONE | 1u << BRAID_FUSION_MERGE;

	if (ops->forms & 1u << BACKEND_SIDE_BY_SIDE)
		p |= 1u << BRAID_FUSION_MERGE_FUSE;
	if (ops->forms & 1u << BACKEND_BRANCHES)
		p |= 1u << BRAID_FUSION_BRANCHES;
	return p;
}

/* Where the backend takes no limit, one arm is enough for all of them. */
static uint32_t lanes_of(const struct runner *r)
{
	return !r->ops->limit ? 1 : r->cfg.lanes ? r->cfg.lanes : DEFAULT_LANES;
}

static int set_up(struct runner *r, char *why, size_t len)
{
	int ret;

	fcntl(QUEUE_FD, F_SETFD, FD_CLOEXEC);
	fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
	ret = link_open(QUEUE_FD, &r->link);
	if (ret)
		return ret;
	ret = link_waiter(r->link);
	r->loop = ret < 0 ? loop_new() : loop_new_on(ret);
	r->bufs = bufs_new();
	r->explain = explain_new();
	if (!r->loop || !r->bufs || !r->explain || windows_new(r))
		return -ENOMEM;
	ret = watch(r, &r->signal_watch, open_signals(), signal_ready);
	if (ret)
		return ret;
	r->loader = loader_new(r->cfg.precision);
	if (!r->loader)
		return -ENOMEM;
	models_read(r);
	ret = open_backend(r, why, len);
	if (ret)
		return ret;
	r->start.opened_ns = runner_now();
	loader_backend(r->loader, r->ops, r->be);
	r->adapt = adapt_new(policies_of(r->ops), lanes_of(r));
	if (!r->adapt)
		return -ENOMEM;
	r->watch = outside_start(r->ops, r->be, r->cfg.switches, r->cfg.host_stall);
	ret = watch(r, &r->link_watch, link_fd(r->link), link_ready);
	if (!ret)
		ret = watch(r, &r->control_watch, CONTROL_FD, runner_control);
	if (!ret)
		ret = watch(r, &r->backend_watch, r->ops->event_fd(r->be), backend_ready);
	if (!ret)
		ret = watch(r, &r->loader_watch, loader_fd(r->loader), models_loaded);
	if (!ret)
		ret = watch(r, &r->tick_watch, open_tick(), tick);
	return ret ? ret : models_start(r);
}

static void tear_down(struct runner *r)
{
	/*
	 * Nobody is left to answer to, and the loader may be in the middle of
	 * something long: the end of the process ends all of it.
	 */
	if (r->failed)
		_exit(1);
	/*
	 * What is still running writes into tenants' buffers: the backend is
	 * closed, which waits for it, before anything is unmapped. A device that
	 * hangs ends here as it does while serving.
	 */
	while (r->be && r->busy && !r->failed) {
		struct timespec ts = { .tv_nsec = 1000000 };

		watchdog_beat(&r->dog, r->outstanding);
		windows_reap(r);
		windows_watch(r);
		link_flush(r->link);
		windows_launch(r);
		if (r->busy)
			nanosleep(&ts, NULL);
	}
	if (r->failed)
		_exit(1);
	/* From here on nobody waits, and the supervisor's patience is the limit. */
	watchdog_stop(&r->dog);
	loader_free(r->loader);
	outside_stop(r->watch);
	if (r->be) {
		models_free(r);
		bufs_free(r);
		r->ops->close(r->be);
	}
	adapt_free(r->adapt);
	windows_free(r);
	explain_free(r->explain);
	link_close(r->link);
	loop_free(r->loop);
}

int runner_main(const struct config *cfg)
{
	struct runner *r = calloc(1, sizeof(*r));
	char why[512] = "";
	cpu_set_t before;
	int ret;

	if (!r)
		return 1;
	/* It was started as /proc/self/exe, which made that its name. */
	pthread_setname_np(pthread_self(), "braid-runner");
	r->cfg = *cfg;
	r->thread = pthread_self();
	r->start.began_ns = runner_now();
	ret = set_up(r, why, sizeof(why));
	if (ret) {
		log_line(LOG_ERR, "runner can't start", "error=\"%s\"",
			 *why ? why : strerror(-ret));
		_exit(RUNNER_CANT_START);	/* whatever was set up ends with it */
	}
	if (watchdog_start(&r->dog, cfg->watchdog_ms)) {
		log_line(LOG_ERR, "runner can't start", "error=\"no thread for the watchdog\"");
		_exit(RUNNER_CANT_START);
	}
	/* Only now: the threads that were started may run everywhere. */
	if (!r->polls && affinity_pin(cfg->cpu, &before))
		log_line(LOG_WARNING, "not on the supervisor's CPU", "cpu=%d", cfg->cpu);
	after(r);
	if (!r->failed)
		ret = loop_run(r->loop, after, rest, r);
	ret = ret || r->failed;
	tear_down(r);
	free(r);
	return ret ? 1 : 0;
}
