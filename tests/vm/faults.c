// SPDX-License-Identifier: MIT
/*
 * Sides that misbehave: agents that hang, lie, die or stop asking, tenants that
 * never read, free what is in use, hand their descriptors around and fork.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/vm/dev.h"

#define MS		1000000ull
#define BUFFER_BYTES	(256 * SLOT_BYTES)

static struct agent agent;
static uint64_t model;

/* Read one completion; its status, 1 for none in time. */
static int status_of(int tenant, uint64_t user_data, int timeout_ms, struct braid_completion *c)
{
	struct braid_completion own;

	c = c ? c : &own;
	if (dev_wait(tenant, c, 1, timeout_ms) != 1)
		return 1;
	return c->user_data == user_data ? c->status : 2;
}

/* Fetch until there are @n jobs at once; false after some time. */
static bool take_jobs(struct agent *a, unsigned int n)
{
	for (unsigned int i = 0; i < 200; i++) {
		int ret = agent_jobs(a, model, n, BRAID_FETCH_NONBLOCK);

		if (!ret && a->arg.jobs.count == n)
			return true;
		if (ret && ret != -EAGAIN)
			return false;
		dev_sleep_ms(5);
	}
	return false;
}

static bool all(const void *p, size_t n, uint8_t byte)
{
	const uint8_t *at = p;

	while (n--)
		if (*at++ != byte)
			return false;
	return true;
}

static bool start(void)
{
	model = agent_start(&agent, SLOT_BYTES);
	return model;
}

/* What earlier tests have left behind is put. */
static void drain(void)
{
	while (!agent_jobs(&agent, 0, 0, BRAID_FETCH_NONBLOCK))
		;
}

static void restart(void)
{
	agent_close(&agent);
	start();
}

static void two_agents(void)
{
	struct agent *other = calloc(1, sizeof(*other));
	pid_t pid;
	int status;

	is_int(dev_open(DEV_AGENT, 0), -EBUSY, "there is one agent at a time");
	pid = fork();
	if (!pid)
		_exit(dev_open(DEV_AGENT, 0) == -EBUSY ? 0 : 1);
	waitpid(pid, &status, 0);
	is_int(status, 0, "also for another process");
	/* The child had our descriptor: its end is not the agent's. */
	ok(!dev_call(agent.fd, BRAID_NR_GET_INFO, &(struct braid_get_info){
		   .size = sizeof(struct braid_get_info) }), "the first one goes on");
	agent_close(&agent);
	is_int(agent_open(other), 0, "when it is gone, the next may come");
	agent_close(other);
	free(other);
	ok(start(), "and the next");
}

static void poison(int tenant, uint64_t buffer)
{
	long long most = dev_number(DEV_SYSFS "max_attempts");
	struct braid_completion c;
	unsigned int deaths = 0;

	if (most < 1)
		most = 3;
	ok(dev_submit(tenant, model, buffer, 1, 5, 0, NULL) == 1, "one request that kills agents");
	for (; deaths < most + 5; deaths++) {
		if (dev_wait(tenant, &c, 1, 0) == 1)
			break;
		if (!take_jobs(&agent, 1))
			break;
		if (deaths && !(agent.jobs[0].flags & BRAID_JOB_ALONE))
			break;
		restart();
		if (status_of(tenant, 5, 100, &c) != 1)
			break;
	}
	diag("%u deaths, max_attempts %lld", deaths + 1, most);
	is_int(c.status, -EIO, "it ends in EIO");
	ok(deaths + 1 >= most && deaths < most + 2, "after max_attempts deaths with it alone");
	ok(c.attempt >= most, "and its attempts are told");
	/* The next one is innocent. */
	ok(dev_submit(tenant, model, buffer, 1, 6, 0, NULL) == 1 && take_jobs(&agent, 1) &&
	   !agent_finish(&agent) && status_of(tenant, 6, 1000, &c) == 0 && !c.attempt,
	   "the next request runs as if nothing had been");
}

static void innocent(int tenant, uint64_t buffer)
{
	struct braid_completion c[3];
	int got = 0;

	ok(dev_submit(tenant, model, buffer, 3, 10, 0, NULL) == 3 && take_jobs(&agent, 3),
	   "three requests are with the agent");
	restart();
	for (unsigned int i = 0; i < 3; i++) {
		if (!take_jobs(&agent, 1))
			break;
		if (i == 0)
			ok(agent.jobs[0].flags & BRAID_JOB_ALONE && agent.jobs[0].attempt == 1 &&
			   agent_jobs(&agent, model, 8, BRAID_FETCH_NONBLOCK) == -EAGAIN,
			   "after its death they are handed out one by one");
		/* The second FETCH found nothing, but the job is still in our hands. */
		agent.arg.jobs.count = 1;
		agent_finish(&agent);
		got += dev_wait(tenant, &c[i], 1, 1000);
	}
	ok(got == 3 && !c[0].status && !c[1].status && !c[2].status, "and all of them are done");
	ok(c[0].user_data == 10 && c[1].user_data == 11 && c[2].user_data == 12, "in their order");
}

static void deadline(int tenant, uint64_t buffer)
{
	struct braid_completion c;
	uint64_t t;

	ok(dev_submit(tenant, model, buffer, 1, 20, 0, NULL) == 1 && take_jobs(&agent, 1),
	   "the agent has a job and is stuck with it");
	t = dev_now();
	ok(dev_submit(tenant, model, buffer, 1, 21, t + 100 * MS, NULL) == 1, "another has a deadline");
	is_int(status_of(tenant, 21, 10000, &c), -ETIME, "it ends with ETIME meanwhile");
	ok(c.done_ns >= t + 100 * MS && !c.fetch_ns && !c.window, "not before its time, never fetched");
	is_int(agent_finish(&agent), 0, "the agent wakes up");
	is_int(status_of(tenant, 20, 1000, NULL), 0, "and its own job is done");

	/* No agent at all. */
	ok(dev_submit(tenant, model, buffer, 1, 22, 0, NULL) == 1 && take_jobs(&agent, 1), "once more");
	agent_close(&agent);
	dev_submit(tenant, model, buffer, 1, 23, dev_now() + 50 * MS, NULL);
	is_int(status_of(tenant, 23, 10000, NULL), -ETIME, "a deadline also passes without an agent");
	ok(start() && take_jobs(&agent, 1) && !agent_finish(&agent) &&
	   status_of(tenant, 22, 1000, NULL) == 0, "the next agent runs what the first left");
}

static void cookies(int tenant, uint64_t buffer)
{
	uint64_t old_cookie, old_generation = agent.generation, cookie;
	struct braid_completion c[2];

	ok(dev_submit(tenant, model, buffer, 1, 30, 0, NULL) == 1 && take_jobs(&agent, 1), "a job");
	old_cookie = agent.jobs[0].cookie;
	restart();
	ok(take_jobs(&agent, 1), "it is handed out again");
	cookie = agent.jobs[0].cookie;
	is_int(agent_commit(&agent, old_generation, cookie, 0), -ESTALE, "an old generation is refused");
	is_int(agent_commit(&agent, agent.generation + 1, cookie, 0), -ESTALE, "one to come too");
	if (old_cookie != cookie)
		is_int(agent_commit(&agent, agent.generation, old_cookie, 0), -ENOENT,
		       "the cookie of the agent before is unknown");
	is_int(agent_commit(&agent, agent.generation, cookie ^ (1ull << 40), 0), -ENOENT,
	       "a guessed cookie is unknown");
	is_int(agent_commit(&agent, agent.generation, 0, 0), -ENOENT, "zero is unknown");
	is_int(agent_commit(&agent, agent.generation, cookie, 5), -EINVAL, "a positive status is refused");
	is_int(dev_wait(tenant, c, 2, 50), 0, "none of that completed the request");
	is_int(agent_commit(&agent, agent.generation, cookie, 0), 0, "its own cookie is taken");
	is_int(agent_commit(&agent, agent.generation, cookie, 0), -ENOENT, "once");
	is_int(dev_wait(tenant, c, 2, 1000), 1, "it completes once");
}

static void silent_agent(int tenant, uint64_t buffer)
{
	struct braid_get_info info;
	unsigned int taken = 0, read_back = 0;
	int ret;

	/* It does not fetch: the tenant is stopped by its own depth. */
	dev_info(tenant, &info);
	while ((ret = dev_submit(tenant, model, buffer, 16, 0, 0, NULL)) > 0)
		taken += ret;
	is_int(ret, -EAGAIN, "while the agent does not fetch, tenant_depth stops the tenant");
	is_int(taken, info.tenant_depth, "at tenant_depth");
	/* It does not read: completions wait, and the depth still holds. */
	while (!agent_jobs(&agent, model, BRAID_MAX_BATCH, BRAID_FETCH_NONBLOCK))
		agent_finish(&agent);
	is_int(dev_submit(tenant, model, buffer, 1, 0, 0, NULL), -EAGAIN,
	       "unread completions count: a tenant that never reads is stopped");
	for (;;) {
		struct braid_completion c[16];

		ret = dev_wait(tenant, c, 16, 0);
		if (ret <= 0)
			break;
		read_back += ret;
	}
	is_int(read_back, taken, "all of them are there when it does read");
	is_int(dev_submit(tenant, model, buffer, 1, 99, 0, NULL), 1, "then it may go on");
	ok(take_jobs(&agent, 1) && !agent_finish(&agent) && status_of(tenant, 99, 1000, NULL) == 0,
	   "and is served");
}

static void freed_in_flight(int tenant)
{
	struct braid_event *e = agent.events;
	uint64_t id;
	uint8_t *at;
	int err, fd;
	bool told = false;
	struct braid_buf_put put = { .size = sizeof(put) };

	at = dev_buf(tenant, BRAID_BUF_ALIGN, &id, &fd, &err);
	memset(at, 0x11, BRAID_BUF_ALIGN);
	ok(at && dev_submit(tenant, model, id, 1, 40, 0, NULL) == 1 && take_jobs(&agent, 1),
	   "a buffer is in use");
	is_int(dev_buf_free(tenant, id), 0, "its tenant frees it");
	is_int(dev_submit(tenant, model, id, 1, 41, 0, NULL), -ENOENT, "new requests can't use it");
	put.id = id;
	is_int(dev_call(agent.fd, BRAID_NR_BUF_PUT, &put), -EBUSY, "the agent is not done with it");
	is_int(agent_fetch(&agent, 0, 0, BRAID_FETCH_NONBLOCK), -EAGAIN, "and is told nothing");
	/* FETCH has overwritten the counts, not the job. */
	ok(agent_run(&agent, 0) && !agent_commit(&agent, agent.generation, agent.jobs[0].cookie, 0),
	   "the job ends");
	ok(status_of(tenant, 40, 1000, NULL) == 0 && at[SLOT_BYTES] == 0xee, "its output is there");
	for (unsigned int i = 0; i < 100 && !told; i++) {
		if (!agent_fetch(&agent, 0, 0, BRAID_FETCH_NONBLOCK))
			for (uint32_t k = 0; k < agent.arg.events.count; k++)
				told |= e[k].type == BRAID_EVENT_BUF_RETIRED && e[k].id == id;
		else
			dev_sleep_ms(5);
	}
	ok(told, "then the agent is told that it is retired");
	is_int(dev_call(agent.fd, BRAID_NR_BUF_PUT, &put), 0, "and puts it");
	is_int(dev_call(agent.fd, BRAID_NR_BUF_PUT, &put), -ENOENT, "once");
	at[0] = 1;
	is_int(at[SLOT_BYTES], 0xee, "who has it mapped keeps it");
	munmap(at, BRAID_BUF_ALIGN);
	close(fd);
	/* We put it without unmapping: it stays charged until that is gone too. */
	restart();
}

static int send_fd(int sock, int fd)
{
	char ctl[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl,
			     .msg_controllen = sizeof(ctl) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &mh, 0) < 0 ? -errno : 0;
}

static int recv_fd(int sock)
{
	char ctl[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl,
			     .msg_controllen = sizeof(ctl) };
	int fd = -1;

	if (recvmsg(sock, &mh, 0) == 1 && CMSG_FIRSTHDR(&mh))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(fd));
	return fd;
}

/* A process opens, another goes on with its descriptor, as the same tenant. */
static void passed(void)
{
	struct braid_get_info a = { 0 }, b = { 0 };
	struct braid_completion c;
	uint64_t id;
	int sock[2], fd, buf, err, status;
	uint8_t *at;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock))
		return;
	pid = fork();
	if (!pid) {
		int t = dev_open(DEV_TENANT, 0);

		dev_info(t, &a);
		if (!dev_buf(t, BRAID_BUF_ALIGN, &id, &fd, &err) ||
		    dev_submit(t, model, id, 1, 50, 0, NULL) != 1 ||
		    write(sock[1], &a.tenant, 8) != 8 || write(sock[1], &id, 8) != 8 ||
		    send_fd(sock[1], t) || send_fd(sock[1], fd))
			_exit(1);
		_exit(0);
	}
	ok(read(sock[0], &a.tenant, 8) == 8 && read(sock[0], &id, 8) == 8, "another process is a tenant");
	fd = recv_fd(sock[0]);
	buf = recv_fd(sock[0]);
	at = mmap(NULL, BRAID_BUF_ALIGN, PROT_READ | PROT_WRITE, MAP_SHARED, buf, 0);
	waitpid(pid, &status, 0);
	ok(!status && !dev_info(fd, &b) && a.tenant == b.tenant, "its descriptor lives on with us");
	is_int(b.outstanding, 1, "with its request");
	ok(take_jobs(&agent, 1) && !agent_finish(&agent) && status_of(fd, 50, 1000, &c) == 0 &&
	   at != MAP_FAILED && at[SLOT_BYTES] == 0xff, "which completes here");
	is_int(dev_submit(fd, model, id, 1, 51, 0, NULL), 1, "and we may go on with its buffer");
	ok(take_jobs(&agent, 1) && !agent_finish(&agent) && status_of(fd, 51, 1000, NULL) == 0, "to the end");
	munmap(at, BRAID_BUF_ALIGN);
	close(buf);
	close(fd);
	close(sock[0]);
	close(sock[1]);
}

/* A child has the descriptor too: the tenant lives until the last is closed. */
static void forked(void)
{
	struct braid_completion c;
	int t = dev_open(DEV_TENANT, 0), err, pipes[2], status;
	uint64_t id;
	uint8_t *at = dev_buf(t, BRAID_BUF_ALIGN, &id, NULL, &err);
	pid_t pid;

	if (!at || pipe(pipes))
		return;
	ok(dev_submit(t, model, id, 2, 60, 0, NULL) == 2, "two requests, then a fork");
	pid = fork();
	if (!pid) {
		char byte;
		bool good;

		/* Until the parent has closed its own. */
		good = read(pipes[0], &byte, 1) == 1 && status_of(t, 61, 5000, &c) == 0 &&
		       at[3 * SLOT_BYTES] == 0xff && dev_wait(t, &c, 1, 50) == 0;
		_exit(good ? 0 : 1);
	}
	ok(take_jobs(&agent, 2), "both are fetched");
	agent.arg.jobs.count = 1;
	agent_finish(&agent);
	is_int(status_of(t, 60, 1000, NULL), 0, "the parent reads the first");
	close(t);
	munmap(at, BRAID_BUF_ALIGN);
	ok(agent_run(&agent, 1) && !agent_commit(&agent, agent.generation, agent.jobs[1].cookie, 0),
	   "and closes; the second is done");
	is_int(write(pipes[1], "x", 1), 1, "the child is told");
	waitpid(pid, &status, 0);
	is_int(status, 0, "the child reads the second, and nothing twice");
	close(pipes[0]);
	close(pipes[1]);
}

static void orphans(void)
{
	int t = dev_open(DEV_TENANT, 0), witness = dev_open(DEV_TENANT, 0), err;
	uint64_t id;
	void *at;

	drain();
	/* The caller's other tenant has its buffer. */
	is_int(dev_charged(witness, BUFFER_BYTES), BUFFER_BYTES, "nothing of earlier tenants is charged");
	at = dev_buf(t, BRAID_BUF_ALIGN, &id, NULL, &err);
	munmap(at, BRAID_BUF_ALIGN);
	ok(dev_submit(t, model, id, 4, 70, 0, NULL) == 4 && take_jobs(&agent, 2),
	   "two of a tenant's four requests are with the agent");
	close(t);
	is_int(agent_run(&agent, 0) && agent_run(&agent, 1), 1, "it dies; its buffer is still there");
	agent.arg.jobs.count = 2;
	is_int(agent_finish(&agent), 0, "what the agent had can be committed");
	drain();
	is_int(dev_charged(witness, BUFFER_BYTES), BUFFER_BYTES, "then nothing of it is charged");
	is_int(agent_jobs(&agent, model, 8, BRAID_FETCH_NONBLOCK), -EAGAIN,
	       "and nothing of it is handed out");
	close(witness);
}

static void bad_memory(int tenant, uint64_t buffer)
{
	const size_t page = 4096, rec = sizeof(struct braid_completion);
	uint8_t *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct braid_completion c[4];
	int got = 0, n;

	mprotect(p + page, page, PROT_NONE);
	ok(dev_submit(tenant, model, buffer, 3, 80, 0, NULL) == 3 && take_jobs(&agent, 3) &&
	   !agent_finish(&agent), "three completions wait");
	is_int(read(tenant, p + page, 3 * rec) < 0 ? -errno : 0, -EFAULT, "read() into nowhere");
	is_int(read(tenant, p + page - rec - 8, 3 * rec), rec, "read() with room for one and a bit");
	memcpy(&c[0], p + page - rec - 8, rec);
	is_int(read(tenant, p, 8) < 0 ? -errno : 0, -EINVAL, "read() with room for none");
	while (got < 2 && (n = dev_wait(tenant, &c[1 + got], 2, 1000)) > 0)
		got += n;
	ok(got == 2 && c[0].user_data == 80 && c[1].user_data == 81 && c[2].user_data == 82,
	   "no record is lost by it, nor comes twice");
	is_int(dev_call(tenant, BRAID_NR_GET_INFO, p + page), -EFAULT, "a structure nowhere");
	is_int(dev_call(tenant, BRAID_NR_GET_INFO, (void *)-8l), -EFAULT, "at the end of addresses");
	is_int(dev_call(tenant, BRAID_NR_GET_INFO, NULL), -EFAULT, "at none");
	munmap(p, 2 * page);
}

/* FETCH that can't write its arrays must not lose the jobs. */
static void bad_fetch(int tenant, uint64_t buffer)
{
	struct braid_want want = { .model = model, .count = 8 };
	uint8_t *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct braid_fetch f = {
		.size = sizeof(f), .flags = BRAID_FETCH_NONBLOCK,
		.wants = { sizeof(want), 1, (uintptr_t)&want },
		.jobs = { sizeof(struct braid_job), 8, (uintptr_t)p },
		.slices = { sizeof(struct braid_slice), 16, (uintptr_t)p },
		.events = { sizeof(struct braid_event), 8, (uintptr_t)agent.events },
	};

	memset(agent.jobs, 0xa5, sizeof(agent.jobs));
	memset(agent.slices, 0xa5, sizeof(agent.slices));
	is_int(agent_fetch(&agent, model, 8, BRAID_FETCH_NONBLOCK), -EAGAIN, "FETCH finds nothing");
	ok(all(agent.jobs, sizeof(agent.jobs), 0xa5) && all(agent.slices, sizeof(agent.slices), 0xa5),
	   "and writes nothing");
	dev_submit(tenant, model, buffer, 1, 90, 0, NULL);
	is_int(dev_call(agent.fd, BRAID_NR_FETCH, &f), -EFAULT, "FETCH into nowhere");
	ok(take_jobs(&agent, 1) && !agent_finish(&agent) && status_of(tenant, 90, 1000, NULL) == 0,
	   "loses no job");
	munmap(p, 4096);
}

/* A FETCH that waits, and what became of it: 1 as long as it does. */
static void *fetch_thread(void *ret)
{
	struct agent *a = calloc(1, sizeof(*a));

	a->fd = agent.fd;
	atomic_store((atomic_int *)ret, agent_fetch(a, model, 1, 0));
	free(a);
	return NULL;
}

/* A second FETCH replaces one that waits; a signal ends one that waits. */
static void waiting_fetch(int tenant, uint64_t buffer)
{
	atomic_int first = 1;
	int second, status;
	pthread_t thread;
	pid_t pid;

	drain();
	pthread_create(&thread, NULL, fetch_thread, &first);
	/* On a slow machine the first one may not wait yet. */
	do {
		dev_sleep_ms(100);
		second = agent_fetch(&agent, 0, 0, BRAID_FETCH_NONBLOCK);
	} while (atomic_load(&first) == 1 && second == -EAGAIN);
	is_int(second, -EAGAIN, "a second FETCH finds nothing");
	pthread_join(thread, NULL);
	is_int(first, -ECANCELED, "and ends the first");

	fflush(stdout);
	pid = fork();
	if (!pid) {
		agent_fetch(&agent, model, 1, 0);
		_exit(1);
	}
	dev_sleep_ms(100);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status), "a FETCH that waits can be killed");
	dev_submit(tenant, model, buffer, 1, 91, 0, NULL);
	ok(take_jobs(&agent, 1) && !agent_finish(&agent) && status_of(tenant, 91, 1000, NULL) == 0,
	   "and takes nothing with it");
}

static void polling(int tenant, uint64_t buffer)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET }, got;
	struct pollfd p = { .fd = tenant, .events = POLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	ok(!epoll_ctl(ep, EPOLL_CTL_ADD, tenant, &e), "a tenant can be in an epoll set");
	ok(poll(&p, 1, 0) == 0 && epoll_wait(ep, &got, 1, 0) == 0, "nothing to read, nothing to tell");
	dev_submit(tenant, model, buffer, 1, 92, 0, NULL);
	ok(take_jobs(&agent, 1) && !agent_finish(&agent) && epoll_wait(ep, &got, 1, 5000) == 1 &&
	   poll(&p, 1, 0) == 1, "a completion is told to both");
	ok(epoll_wait(ep, &got, 1, 0) == 0, "once to the edge");
	is_int(status_of(tenant, 92, 0, NULL), 0, "and is there");
	ok(poll(&p, 1, 0) == 0, "then there is nothing again");
	close(ep);
}

int main(void)
{
	uint64_t buffer;
	uint8_t *at;
	int tenant, err;

	dev_require();
	setvbuf(stdout, NULL, _IOLBF, 0);
	tenant = dev_open(DEV_TENANT, 0);
	at = dev_buf(tenant, BUFFER_BYTES, &buffer, NULL, &err);
	if (!ok(start() && at, "an agent and a tenant"))
		return tap_done();
	two_agents();
	cookies(tenant, buffer);
	innocent(tenant, buffer);
	poison(tenant, buffer);
	deadline(tenant, buffer);
	freed_in_flight(tenant);
	passed();
	forked();
	orphans();
	bad_memory(tenant, buffer);
	bad_fetch(tenant, buffer);
	waiting_fetch(tenant, buffer);
	polling(tenant, buffer);
	silent_agent(tenant, buffer);
	return tap_done();
}
