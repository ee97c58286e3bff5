// SPDX-License-Identifier: MIT
/*
 * Who a file's share and quota belong to, whatever namespaces its process made
 * for itself, how much an owner may have, and times in a time namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/vm/dev.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x80
#endif

#define PARAM		"/sys/module/braid/parameters/"
#define CGROUPS		"/sys/fs/cgroup/"
#define AHEAD_S		100000	/* of the namespace's clock */

static struct agent agent;
static uint64_t model;

/* What a child found out. */
struct told {
	int open, ret;
	struct braid_get_info info;
	struct braid_completion c;
	uint64_t before, after;
};

/* Run @f in a child that stays there until end(); what it told is in @told. */
static pid_t child(void (*f)(const void *arg, struct told *t), const void *arg, struct told *told)
{
	int p[2];
	pid_t pid;

	memset(told, 0, sizeof(*told));
	if (pipe(p))
		return -1;
	pid = fork();
	if (!pid) {
		struct told t = { 0 };

		f(arg, &t);
		if (write(p[1], &t, sizeof(t)) != sizeof(t))
			_exit(1);
		pause();
		_exit(0);
	}
	close(p[1]);
	if (read(p[0], told, sizeof(*told)) != sizeof(*told))
		told->open = told->ret = -EPIPE;
	close(p[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void look(struct told *t)
{
	t->open = dev_open(DEV_TENANT, O_NONBLOCK);
	if (t->open >= 0)
		t->ret = dev_info(t->open, &t->info);
}

struct who {
	uid_t uid;
	bool own_users;
	const char *map;		/* of a user namespace that it makes, ... */
	uid_t inner;			/* and who it is in there */
	const char *cgroup;
};

/* A user namespace with the map that root gives it, as newuidmap does. */
static int become(const struct who *w)
{
	pid_t me = getpid(), root;
	int p[2], status = 1;
	char path[64], c;

	if (pipe(p))
		return -1;
	root = fork();
	if (!root) {
		close(p[1]);
		snprintf(path, sizeof(path), "/proc/%d/uid_map", me);
		_exit(read(p[0], &c, 1) != 1 || dev_write(path, w->map));
	}
	close(p[0]);
	if (w->uid && setresuid(w->uid, w->uid, w->uid))
		return -1;
	if (unshare(CLONE_NEWUSER) || write(p[1], "", 1) != 1)
		return -1;
	close(p[1]);
	waitpid(root, &status, 0);
	return status || setresuid(w->inner, w->inner, w->inner) ? -1 : 0;
}

static void as(const void *arg, struct told *t)
{
	const struct who *w = arg;

	if (w->cgroup && dev_write(w->cgroup, "0")) {
		t->ret = -EPERM;
		return;
	}
	if (w->map && become(w)) {
		t->ret = -ENOSYS;
		return;
	}
	if (!w->map && w->uid && setresuid(w->uid, w->uid, w->uid)) {
		t->ret = -EPERM;
		return;
	}
	/* Root in there, which changes nothing. */
	if (w->own_users) {
		char map[32];

		snprintf(map, sizeof(map), "0 %u 1", w->uid);
		/* Who changed its uid must say that its files in /proc are its own. */
		if (prctl(PR_SET_DUMPABLE, 1) || unshare(CLONE_NEWUSER) || dev_write("/proc/self/uid_map", map)) {
			t->ret = -ENOSYS;
			return;
		}
	}
	look(t);
}

static void by_uid(void)
{
	struct told told;
	pid_t pid;

	pid = child(as, &(struct who){ .uid = 1234 }, &told);
	ok(told.open >= 0 && !told.ret && told.info.owner == 1234, "the owner is the uid");
	end(pid);
	pid = child(as, &(struct who){ .uid = 1234, .own_users = true }, &told);
	if (told.ret == -ENOSYS)
		tap_skip("in a user namespace of its own too", "none may be made here");
	else
		ok(told.open >= 0 && told.info.owner == 1234,
		   "in a user namespace, where it is root, too");
	end(pid);
}

static void by_namespace(void)
{
	static const struct {
		struct who who;
		uint64_t owner;
		const char *why;
	} all[] = {
		{ { .uid = 1234, .map = "0 1234 1\n1 100000 1000", .inner = 5 }, 1234,
		  "subordinate ids are no owners" },
		{ { .uid = 1234, .map = "0 100000 1000", .inner = 7 }, 1234,
		  "nor where it is none but those" },
		{ { .map = "0 200000 1000" }, 200000, "a container's root is what it is outside" },
		{ { .map = "0 200000 1000", .inner = 33 }, 200000, "its users are the same owner" },
		{ { .map = "0 0 1\n1234 1234 1", .inner = 1234 }, 1234,
		  "with ids as they are outside, users are themselves" },
	};
	struct told told;
	pid_t pid;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		pid = child(as, &all[i].who, &told);
		if (told.ret == -ENOSYS)
			tap_skip(all[i].why, "no such user namespace here");
		else if (!ok(told.open >= 0 && told.info.owner == all[i].owner, "%s", all[i].why))
			printf("# open %d, owner %llu\n", told.open,
			       (unsigned long long)told.info.owner);
		end(pid);
	}
}

static void by_cgroup(void)
{
	struct told one, two, three;
	pid_t a, b, c;
	struct stat st;

	if (mkdir(CGROUPS "braid-a", 0755) || mkdir(CGROUPS "braid-b", 0755)) {
		tap_skip("the owner is the cgroup", "no cgroups here");
		return;
	}
	is_int(dev_write(DEV_SYSFS "share_by", "cgroup"), 0, "share_by is cgroup");
	a = child(as, &(struct who){ .cgroup = CGROUPS "braid-a/cgroup.procs" }, &one);
	b = child(as, &(struct who){ .cgroup = CGROUPS "braid-b/cgroup.procs" }, &two);
	c = child(as, &(struct who){ .cgroup = CGROUPS "braid-b/cgroup.procs", .uid = 77 }, &three);
	stat(CGROUPS "braid-a", &st);
	ok(one.open >= 0 && one.info.owner == st.st_ino, "the owner is the cgroup");
	stat(CGROUPS "braid-b", &st);
	ok(two.open >= 0 && two.info.owner == st.st_ino, "another for another one");
	ok(three.open >= 0 && three.info.owner == st.st_ino, "whoever it is in there");
	dev_write(DEV_SYSFS "share_by", "uid");
	end(a);
	end(b);
	end(c);
	rmdir(CGROUPS "braid-a");
	rmdir(CGROUPS "braid-b");
}

static void open_many(const void *arg, struct told *t)
{
	const struct who *w = arg;

	if (setresuid(w->uid, w->uid, w->uid)) {
		t->open = -EPERM;
		return;
	}
	while ((t->open = dev_open(DEV_TENANT, 0)) >= 0)
		t->ret++;
}

static void places(void)
{
	struct told one, two, three;
	char was[32];
	pid_t a, b;

	snprintf(was, sizeof(was), "%lld", dev_number(PARAM "max_tenants"));
	is_int(dev_write(PARAM "max_tenants", "8"), 0, "eight places");
	a = child(open_many, &(struct who){ .uid = 1001 }, &one);
	ok(one.ret == 6 && one.open == -EDQUOT, "one owner gets six, then EDQUOT");
	b = child(open_many, &(struct who){ .uid = 1002 }, &two);
	ok(two.ret == 2 && two.open == -EUSERS, "another gets two, then EUSERS");
	end(a);
	end(b);
	a = child(open_many, &(struct who){ .uid = 1003 }, &three);
	ok(three.ret == 6, "the places of the dead are free");
	end(a);
	dev_write(PARAM "max_tenants", was);
}

static void submit_many(const void *arg, struct told *t)
{
	const struct who *w = arg;
	uint64_t id;

	if (setresuid(w->uid, w->uid, w->uid))
		return;
	look(t);
	if (t->open >= 0 && dev_buf(t->open, 4096, &id, NULL, &t->ret))
		t->ret = dev_submit(t->open, model, id, 8, 0, 0, NULL);
}

/* With room for eight of something: what each of four owners gets who want all of it. */
static void shared_out(const char *room, const char *what,
		       void (*want)(const void *arg, struct told *t), const int gets[4])
{
	struct told told;
	pid_t pid[4];
	char was[32];

	snprintf(was, sizeof(was), "%lld", dev_number(room));
	is_int(dev_write(room, "8"), 0, "room for eight %s", what);
	for (int i = 0; i < 4; i++) {
		pid[i] = child(want, &(struct who){ .uid = 1001 + i }, &told);
		is_int(told.ret, gets[i], "owner %d", i);
	}
	for (int i = 0; i < 4; i++)
		end(pid[i]);
	dev_write(room, was);
}

/* Whoever fills the queue, others get in. */
static void newcomers(void)
{
	static const int gets[] = { 6, 1, 1, -EAGAIN };

	shared_out(DEV_SYSFS "max_requests", "requests", submit_many, gets);
}

static void buffers(void)
{
	int tenant = dev_open(DEV_TENANT, 0), err, ret;
	struct braid_get_info info;
	uint64_t id[3] = { 0 };
	char was[32];
	void *p, *q;

	is_int(dev_charged(tenant, 0), 0, "root is charged nothing");
	snprintf(was, sizeof(was), "%lld", dev_number(PARAM "buffer_quota"));
	is_int(dev_write(PARAM "buffer_quota", "2"), 0, "two buffers");
	p = dev_buf(tenant, 4096, &id[0], NULL, &err);
	q = dev_buf(tenant, 100, &id[1], NULL, &err);
	ok(p && q, "two are had");
	ok(!dev_buf(tenant, 100, &id[2], NULL, &err) && err == -EDQUOT, "a third is not");
	munmap(q, 4096);
	is_int(dev_buf_free(tenant, id[0]) | dev_buf_free(tenant, id[1]), 0, "both are freed");
	while (!(ret = agent_jobs(&agent, 0, 0, BRAID_FETCH_NONBLOCK)))
		;
	is_int(dev_charged(tenant, 4096), 4096, "what is still mapped is still charged");
	ok(!dev_info(tenant, &info) && info.bytes_used == 4096, "and told");
	munmap(p, 4096);
	is_int(dev_charged(tenant, 0), 0, "until it is not");
	dev_write(PARAM "buffer_quota", was);
	close(tenant);
}

static void alloc_many(const void *arg, struct told *t)
{
	const struct who *w = arg;
	uint64_t id;

	if (setresuid(w->uid, w->uid, w->uid))
		return;
	look(t);
	t->ret = 0;
	if (t->open < 0)
		return;
	for (int err = 0; t->ret < 100 && dev_buf(t->open, 100, &id, NULL, &err); t->ret++)
		;
}

/* The agent has room for so many: one owner can't have all of it. */
static void room_for_buffers(void)
{
	static const int gets[] = { 6, 1, 1, 0 };

	shared_out(PARAM "max_buffers", "buffers", alloc_many, gets);
}

static void in_time(const void *arg, struct told *t)
{
	uint64_t id;
	void *buf;
	int err;

	/* The clock is another one for who is born in there. */
	look(t);
	if (t->open < 0)
		return;
	buf = dev_buf(t->open, 4096, &id, NULL, &err);
	t->before = dev_now();
	t->ret = buf ? dev_submit(t->open, model, id, 1, 7, t->before + *(const int64_t *)arg,
				  NULL) : err;
	if (t->ret == 1)
		t->ret = dev_wait(t->open, &t->c, 1, 20000);
	t->after = dev_now();
}

static void time_namespace(void)
{
	static const int64_t soon = 100000000, past = -1;
	struct told told;
	char offset[64];
	uint64_t here;
	pid_t pid;

	snprintf(offset, sizeof(offset), "monotonic %d 0", AHEAD_S);
	if (unshare(CLONE_NEWTIME) || dev_write("/proc/self/timens_offsets", offset)) {
		tap_skip("a deadline in a time namespace", "none may be made here");
		return;
	}
	here = dev_now();
	pid = child(in_time, &soon, &told);
	ok(told.before > here + AHEAD_S * 1000000000ull, "a clock that is far ahead");
	ok(told.ret == 1 && told.c.user_data == 7 && told.c.status == -ETIME,
	   "a deadline of that clock passes");
	ok(told.c.done_ns >= told.before + soon, "not too early");
	ok(told.c.enqueue_ns >= told.before && told.c.done_ns <= told.after,
	   "times of the completion are that clock's");
	is_int(told.c.fetch_ns, 0, "but for what never was");
	end(pid);
	pid = child(in_time, &past, &told);
	ok(told.ret == 1 && told.c.status == -ETIME && told.after < told.before + 10000000000ull,
	   "one that is past is past");
	end(pid);
}

int main(void)
{
	struct stat st;

	dev_require();
	if (stat(DEV_TENANT, &st) || chmod(DEV_TENANT, 0666)) {
		printf("Bail out! no device to open up\n");
		return 1;
	}
	model = agent_start(&agent, SLOT_BYTES);
	if (!ok(model, "an agent"))
		return tap_done();
	by_uid();
	by_namespace();
	by_cgroup();
	places();
	newcomers();
	buffers();
	room_for_buffers();
	/* Last: children that come later have the other clock. */
	time_namespace();
	agent_close(&agent);
	chmod(DEV_TENANT, st.st_mode & 07777);
	return tap_done();
}
