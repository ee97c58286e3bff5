// SPDX-License-Identifier: MIT
/*
 * The runner's process: start it, notice its end, start the next one.
 *
 * It gets two descriptors: 3, the queue (our socket, or the agent's device), and 4, a private channel for what is
 * no business of tenants (reload, explain, profile). One that dies before it
 * got any work done is started again later and later.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/supervisor/server.h"
#include "agent/supervisor/supervisor.h"

#define FIRST_BACKOFF_MS	20u
#define LAST_BACKOFF_MS		5000u
#define STOP_MS			10000u	/* it may be in the middle of loading a model */

/* Requests that ended well, by all runners so far. */
static uint64_t done(struct server *s)
{
	return s->device ? device_done(s) : s->q.count.done;
}

static int open_pidfd(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

static void start_later(struct server *s)
{
	struct runner_proc *r = &s->runner;
	struct itimerspec its = { .it_value = { r->backoff_ms / 1000,
						r->backoff_ms % 1000 * 1000000l + 1 } };

	log_line(LOG_INFO, "runner starts again", "in_ms=%u", r->backoff_ms);
	timerfd_settime(r->timer.fd, 0, &its, NULL);
	r->backoff_ms = r->backoff_ms * 2 < LAST_BACKOFF_MS ? r->backoff_ms * 2 : LAST_BACKOFF_MS;
}

static void close_control(struct server *s)
{
	struct runner_proc *r = &s->runner;

	if (r->control.fd < 0)
		return;
	loop_del(s->loop, &r->control);
	close(r->control.fd);
	r->control.fd = -1;
}

static void died(struct loop_watch *w, uint32_t events)
{
	struct runner_proc *r = bq_entry(w, struct runner_proc, watch);
	struct server *s = r->srv;
	int status = 0;

	waitpid(r->pid, &status, 0);
	r->ended_ns = server_now();
	loop_del(s->loop, w);
	close(w->fd);
	w->fd = -1;
	r->pid = 0;
	/* What it sent before its death is still in the socket and counts. */
	agent_last_words(s);
	close_control(s);
	control_runner_gone(s);
	if (WIFSIGNALED(status))
		log_line(LOG_WARNING, "runner died", "signal=%d starts=%u", WTERMSIG(status),
			 r->starts);
	else
		log_line(r->stopping ? LOG_INFO : LOG_WARNING, "runner ended", "status=%d starts=%u",
			 WEXITSTATUS(status), r->starts);
	if (r->stopping) {
		loop_stop(s->loop);
		return;
	}
	/* With this configuration there never will be one; the log has said why. */
	if (WIFEXITED(status) && WEXITSTATUS(status) == RUNNER_CANT_START && !r->served) {
		log_line(LOG_ERR, "braidd can't start", "error=\"its runner can't\"");
		r->hopeless = true;
		loop_stop(s->loop);
		return;
	}
	/* One that got work done was no failure from the start. */
	if (done(s) != r->done)
		r->backoff_ms = FIRST_BACKOFF_MS;
	start_later(s);
}

static void control_ready(struct loop_watch *w, uint32_t events)
{
	struct runner_proc *r = bq_entry(w, struct runner_proc, control);
	struct server *s = r->srv;
	ssize_t n;

	for (;;) {
		n = recv(w->fd, s->in, sizeof(s->in), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			break;
		control_runner_said(s, (char *)s->in, n);
	}
	close_control(s);
}

/* In the child: descriptors in place, the rest closed by their O_CLOEXEC. */
static void __attribute__((noreturn)) become_runner(struct server *s, int queue, int control,
						    pid_t parent)
{
	const char *argv[6] = { "braid-runner", "--runner" };
	char sms[32];
	unsigned int n = 2;
	sigset_t none;

	if (s->config_path) {
		argv[n++] = "--config";
		argv[n++] = s->config_path;
	}
	if (s->cfg.sms_given) {
		snprintf(sms, sizeof(sms), "--sms=%u", s->cfg.sms);
		argv[n++] = sms;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sched_setaffinity(0, sizeof(s->cpus), &s->cpus);
	/* Clear of 3 and 4 first, so that neither overwrites the other. */
	queue = fcntl(queue, F_DUPFD, 10);
	control = fcntl(control, F_DUPFD, 10);
	if (queue < 0 || control < 0 || dup2(queue, 3) < 0 || dup2(control, 4) < 0)
		_exit(127);
	close(queue);
	close(control);
	/* A supervisor that is killed takes its runner along. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	execv(*s->cfg.runner ? s->cfg.runner : "/proc/self/exe", (char **)argv);
	_exit(127);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* The runner's end of the queue; the other one is watched, or the kernel's. */
static int open_queue(struct server *s, char *why, size_t len)
{
	int queue[2], ret;

	if (s->device)
		return device_open(s, why, len);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, queue))
		return -errno;
	ret = agent_connect(s, queue[0]);
	if (ret) {
		close(queue[0]);
		close(queue[1]);
		return ret;
	}
	return queue[1];
}

int runner_start(struct server *s, char *why, size_t len)
{
	struct runner_proc *r = &s->runner;
	int queue, control[2], ret;
	pid_t parent = getpid();
	uint64_t started;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control))
		return -errno;
	queue = open_queue(s, why, len);
	if (queue < 0) {
		ret = queue;
		goto err_control;
	}
	started = server_now();		/* before the runner takes its own times */
	r->pid = fork();
	if (r->pid < 0) {
		ret = -errno;
		r->pid = 0;
		agent_disconnect(s);
		goto err_queue;
	}
	if (!r->pid)
		become_runner(s, queue, control[1], parent);
	close(queue);
	close(control[1]);
	queue = control[1] = -1;
	r->srv = s;
	r->starts++;
	r->started_ns = started;
	r->ready_ns = 0;
	r->done = done(s);
	if (!r->backoff_ms)
		r->backoff_ms = FIRST_BACKOFF_MS;
	r->watch = (struct loop_watch){ .fd = open_pidfd(r->pid), .events = EPOLLIN,
					.ready = died };
	r->control = (struct loop_watch){ .fd = control[0], .events = EPOLLIN,
					  .ready = control_ready };
	ret = r->watch.fd < 0 ? -errno : loop_add(s->loop, &r->watch);
	if (!ret)
		ret = loop_add(s->loop, &r->control);
	if (ret)
		goto err_unwatched;
	log_line(LOG_INFO, "runner started", "pid=%d starts=%u", r->pid, r->starts);
	return 0;

err_unwatched:
	/* One whose end nobody would notice is worse than none. */
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	r->pid = 0;
	if (r->watch.fd >= 0) {
		loop_del(s->loop, &r->watch);
		close(r->watch.fd);
		r->watch.fd = -1;
	}
	r->control.fd = -1;
	agent_disconnect(s);
err_queue:
	close_if_open(queue);
err_control:
	close_if_open(control[0]);
	close_if_open(control[1]);
	return ret;
}

void runner_timer(struct loop_watch *w, uint32_t events)
{
	struct runner_proc *r = bq_entry(w, struct runner_proc, timer);
	char why[256] = "";
	uint64_t v;
	int ret;

	if (read(w->fd, &v, sizeof(v)) < 0 || r->pid || r->stopping)
		return;
	ret = runner_start(r->srv, why, sizeof(why));
	if (ret && !r->pid) {
		log_line(LOG_ERR, "runner can't be started", "error=\"%s\"",
			 *why ? why : strerror(-ret));
		start_later(r->srv);
	}
}

/* It has loaded its models. */
void runner_ready(struct server *s, uint64_t generation, unsigned int models)
{
	struct runner_proc *r = &s->runner;

	r->served = true;
	r->models = models;
	r->ready_ns = server_now();
	log_line(LOG_INFO, "agent ready", "generation=%llu models=%u after_ms=%llu",
		 (unsigned long long)generation, models,
		 (unsigned long long)(r->ready_ns - r->started_ns) / 1000000);
	notify_ready(s);
}

/* Ask it to end; died() then ends the loop. */
void runner_stop(struct server *s)
{
	s->runner.stopping = true;
	s->runner.kill_at = server_now() + STOP_MS * 1000000ull;
	/* The kernel's queue waits for the next one: only what runs is finished. */
	if (s->device)
		s->runner.kill_at += s->cfg.drain_ms * 1000000ull;
	if (s->runner.pid)
		kill(s->runner.pid, SIGTERM);
	else
		loop_stop(s->loop);
}

void runner_kill(struct server *s)
{
	s->runner.kill_at = BQ_NEVER;
	if (s->runner.pid)
		kill(s->runner.pid, SIGKILL);
}

int runner_send(struct server *s, const char *json, size_t len)
{
	if (s->runner.control.fd < 0 || !s->runner.pid)
		return -ENODEV;
	return send(s->runner.control.fd, json, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}
