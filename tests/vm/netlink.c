// SPDX-License-Identifier: MIT
/*
 * The netlink family in the kernel: what is refused and in which words, who
 * may ask what, gets, dumps of hundreds while they come and go, limits of
 * owners, and every kind of event.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/vm/dev.h"
#include "tests/vm/nl.h"

#define TENANTS		600
#define OWNERS		300
#define SOME_OWNER	70000	/* nobody's uid */

static struct nl nl, more;
static struct agent agent;

/* 6.1 is 601. */
static int kernel(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	uname(&u);
	sscanf(u.release, "%d.%d", &major, &minor);
	return 100 * major + minor;
}

static void ask_queue(struct nl *n, uint8_t cmd, uint16_t flags)
{
	nl_begin(n, cmd, flags);
	nl_put_u32(n, BRAID_A_DEVICE_INDEX, 0);
}

/* What was built is refused with @err, and in words. */
static void refused(int err, const char *what)
{
	int ret = nl_ask(&nl, NULL);

	is_int(ret, err, "%s: %s", what, strerror(-err));
	ok(nl.why[0], "and says: %s", nl.why);
}

static void test_policies(void)
{
	struct genlmsghdr *g;
	uint16_t small = 0;

	nl_begin(&nl, BRAID_CMD_DEVICE_GET, 0);
	refused(-EINVAL, "no queue named");
	nl_begin(&nl, BRAID_CMD_DEVICE_GET, 0);
	nl_put_u32(&nl, BRAID_A_DEVICE_INDEX, 99);
	refused(-ENODEV, "no such queue");
	nl_begin(&nl, BRAID_CMD_DEVICE_GET, 0);
	nl_put(&nl, BRAID_A_DEVICE_INDEX, &small, sizeof(small));
	refused(-EINVAL, "a number of two bytes");
	ask_queue(&nl, BRAID_CMD_DEVICE_GET, 0);
	nl_put_u32(&nl, 1000, 0);
	refused(-EINVAL, "an attribute that nobody knows");
	ask_queue(&nl, BRAID_CMD_DEVICE_GET, 0);
	nl_put_u64(&nl, BRAID_A_DEVICE_GENERATION, 1);
	refused(-EINVAL, "an attribute of answers");
	ask_queue(&nl, BRAID_CMD_OWNER_SET, 0);
	nl_put_u64(&nl, BRAID_A_OWNER_KEY, 1);
	nl_put_u64(&nl, BRAID_A_OWNER_TENANT, 1);
	refused(-EINVAL, "an owner by key and by tenant");
	ask_queue(&nl, BRAID_CMD_DEVICE_GET, 0);
	((struct nlmsghdr *)nl.out)->nlmsg_len += 2;
	refused(-EINVAL, "bytes left over");
	ask_queue(&nl, BRAID_CMD_MODEL_GET, 0);
	refused(-EINVAL, "no model named");
	ask_queue(&nl, BRAID_CMD_MODEL_GET, 0);
	nl_put_u64(&nl, BRAID_A_MODEL_ID, 12345678);
	refused(-ENOENT, "no such model");
	ask_queue(&nl, BRAID_CMD_TENANT_GET, 0);
	nl_put_u64(&nl, BRAID_A_TENANT_ID, 12345678);
	refused(-ENOENT, "no such tenant");
	ask_queue(&nl, BRAID_CMD_OWNER_GET, 0);
	nl_put_u64(&nl, BRAID_A_OWNER_KEY, 12345678);
	refused(-ENOENT, "no such owner");
	ask_queue(&nl, BRAID_CMD_TENANT_SET, 0);
	nl_put_u64(&nl, BRAID_A_OWNER_TENANT, 12345678);
	nl_put_u32(&nl, BRAID_A_OWNER_WEIGHT, 5);
	refused(-ENOENT, "nor to be set");
	ask_queue(&nl, BRAID_CMD_TENANT_GET, NLM_F_DUMP);
	nl_put_u64(&nl, BRAID_A_TENANT_ID, 1);
	refused(-EINVAL, "a dump of one");
	ask_queue(&nl, BRAID_CMD_DEVICE_GET, NLM_F_DUMP);
	refused(-EINVAL, "a dump of one queue");
	nl_begin(&nl, BRAID_CMD_TENANT_GET, NLM_F_DUMP);
	refused(-EINVAL, "a dump of no queue");
	nl_begin(&nl, BRAID_CMD_OWNER_GET, NLM_F_DUMP);
	nl_put_u32(&nl, BRAID_A_OWNER_DEVICE, 99);
	refused(-ENODEV, "a dump of a queue that is not there");
	nl_begin(&nl, 200, 0);
	is_int(nl_ask(&nl, NULL), -EOPNOTSUPP, "no such command");
	nl_begin(&nl, BRAID_CMD_KNOB_NTF, 0);
	is_int(nl_ask(&nl, NULL), -EOPNOTSUPP, "an event is no command");
	ask_queue(&nl, BRAID_CMD_OWNER_SET, NLM_F_DUMP);
	is_int(nl_ask(&nl, NULL), -EOPNOTSUPP, "nor is there a dump of sets");
	ask_queue(&nl, BRAID_CMD_DEVICE_GET, 0);
	g = (void *)(nl.out + NLMSG_HDRLEN);
	g->reserved = 1;
	if (kernel() < 601)
		tap_skip("a reserved field that is set", "old kernels do not look");
	else
		is_int(nl_ask(&nl, NULL), -EINVAL, "a reserved field that is set");
}

static void set_owner(uint64_t key)
{
	ask_queue(&nl, BRAID_CMD_OWNER_SET, 0);
	nl_put_u64(&nl, BRAID_A_OWNER_KEY, key);
}

static void test_limits_refused(void)
{
	set_owner(SOME_OWNER);
	refused(-EINVAL, "nothing to be set");
	set_owner(SOME_OWNER);
	nl_put_u32(&nl, BRAID_A_OWNER_WEIGHT, 0);
	refused(-ERANGE, "weight 0");
	set_owner(SOME_OWNER);
	nl_put_u32(&nl, BRAID_A_OWNER_WEIGHT, BRAID_WEIGHT_MAX + 1);
	refused(-ERANGE, "a weight too large");
	set_owner(SOME_OWNER);
	nl_put_u32(&nl, BRAID_A_OWNER_PRIORITY_CEILING, BRAID_PRIORITIES);
	refused(-ERANGE, "a priority that is none");
	set_owner(SOME_OWNER);
	nl_put_u32(&nl, BRAID_A_OWNER_WEIGHT, 3);
	nl_put(&nl, BRAID_A_OWNER_RESET, NULL, 0);
	refused(-EINVAL, "a limit and a reset");
	ask_queue(&nl, BRAID_CMD_OWNER_SET, 0);
	nl_put_u32(&nl, BRAID_A_OWNER_WEIGHT, 3);
	refused(-EINVAL, "no owner named");
	ask_queue(&nl, BRAID_CMD_OWNER_GET, 0);
	nl_put_u64(&nl, BRAID_A_OWNER_KEY, SOME_OWNER);
	is_int(nl_ask(&nl, NULL), -ENOENT, "what was refused left no owner behind");
}

/* In a child without any capability: the answers, as bits that are wrong. */
static int as_nobody(void)
{
	static const struct {
		uint8_t cmd;
		uint16_t flags;
		int want;
	} asked[] = {
		{ BRAID_CMD_DEVICE_GET, 0, 0 },
		{ BRAID_CMD_MODEL_GET, NLM_F_DUMP, 0 },
		{ BRAID_CMD_TENANT_GET, NLM_F_DUMP, -EPERM },
		{ BRAID_CMD_TENANT_GET, 0, -EPERM },
		{ BRAID_CMD_OWNER_GET, NLM_F_DUMP, -EPERM },
		{ BRAID_CMD_OWNER_GET, 0, -EPERM },
		{ BRAID_CMD_OWNER_SET, 0, -EPERM },
		{ BRAID_CMD_TENANT_SET, 0, -EPERM },
	};
	int wrong = 0;

	if (setresgid(1002, 1002, 1002) || setresuid(1002, 1002, 1002) || nl_open(&more))
		return 255;
	for (unsigned int i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		int ret;

		ask_queue(&more, asked[i].cmd, asked[i].flags);
		ret = nl_ask(&more, NULL);
		if (ret == asked[i].want)
			continue;
		diag("command %u, flags %x: %d, expected %d", asked[i].cmd, asked[i].flags, ret,
		     asked[i].want);
		wrong |= 1;
	}
	if (nl_join(&more) != -EPERM)
		wrong |= 2;
	return wrong;
}

static void test_permission(void)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(as_nobody());
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && !(WEXITSTATUS(status) & 1),
	   "without CAP_NET_ADMIN only queues and models are shown");
	if (kernel() < 512)
		tap_skip("nor are events", "old kernels can't ask who joins");
	else
		ok(!(WEXITSTATUS(status) & 2), "nor are events");

	pid = fork();
	if (!pid)
		_exit(unshare(CLONE_NEWNET) ? 255 : nl_open(&more) == -ENOENT ? 0 : 1);
	waitpid(pid, &status, 0);
	if (WEXITSTATUS(status) == 255)
		tap_skip("another network namespace does not have the family", "no namespaces");
	else
		is_int(WEXITSTATUS(status), 0,
		       "another network namespace does not have the family");
}

static void test_gets(void)
{
	const struct nlattr *a, *t;
	const struct nlmsghdr *h;
	struct braid_get_info info = { .size = sizeof(info) };
	uint64_t model, dims[2] = { 0 };
	int fd, ret;

	model = agent_start(&agent, SLOT_BYTES);
	fd = dev_open(DEV_TENANT, 0);
	ok(model && fd >= 0 && !dev_info(fd, &info), "an agent and a tenant");

	ask_queue(&nl, BRAID_CMD_DEVICE_GET, 0);
	ret = nl_ask(&nl, &h);
	ok(!ret && h && nl_cmd(h) == BRAID_CMD_DEVICE_GET, "a queue is shown");
	is_int(nl_value(h, BRAID_A_DEVICE_AGENT_UP), 1, "its agent is up");
	is_int(nl_value(h, BRAID_A_DEVICE_GENERATION), agent.generation, "its generation");
	is_int(nl_value(h, BRAID_A_DEVICE_TENANTS), 1, "one tenant");
	is_int(nl_value(h, BRAID_A_DEVICE_MODELS), 1, "one model");
	a = nl_find(h, BRAID_A_DEVICE_COUNTERS);
	ok(a && nl_find_in(a, BRAID_A_COUNTERS_SUBMITTED) &&
	   nl_find_in(a, BRAID_A_COUNTERS_DEVICE_NS), "with its counters");
	a = nl_find(h, BRAID_A_DEVICE_KNOB);
	t = a ? nl_find_in(a, BRAID_A_KNOB_NAME) : NULL;
	ok(t && !strcmp(nl_data(t), "window_max"), "and its knobs");

	ask_queue(&nl, BRAID_CMD_MODEL_GET, 0);
	nl_put_u64(&nl, BRAID_A_MODEL_ID, model);
	ret = nl_ask(&nl, &h);
	ok(!ret && h, "a model is shown");
	a = nl_find(h, BRAID_A_MODEL_NAME);
	ok(a && !strcmp(nl_data(a), "inverse"), "its name");
	a = nl_find(h, BRAID_A_MODEL_DIGEST);
	ok(a && nl_bytes(a) == BRAID_DIGEST_BYTES, "its digest");
	a = nl_find(h, BRAID_A_MODEL_OUTPUT);
	t = a ? nl_find_in(a, BRAID_A_TENSOR_DIMS) : NULL;
	if (t && nl_bytes(t) == sizeof(dims[0]))
		memcpy(dims, nl_data(t), sizeof(dims[0]));
	is_int(dims[0], SLOT_BYTES, "the extent of its output");
	ok(nl_find(h, BRAID_A_MODEL_INPUT), "and there is an input");

	ask_queue(&nl, BRAID_CMD_TENANT_GET, 0);
	nl_put_u64(&nl, BRAID_A_TENANT_ID, info.tenant);
	ret = nl_ask(&nl, &h);
	ok(!ret && h, "a tenant is shown");
	is_int(nl_value(h, BRAID_A_TENANT_PID), getpid(), "its process");
	is_int(nl_value(h, BRAID_A_TENANT_OWNER), 0, "its owner");

	ask_queue(&nl, BRAID_CMD_OWNER_GET, 0);
	nl_put_u64(&nl, BRAID_A_OWNER_KEY, 0);
	ret = nl_ask(&nl, &h);
	ok(!ret && h, "an owner is shown");
	is_int(nl_value(h, BRAID_A_OWNER_TENANTS), 1, "its tenants");
	is_int(nl_value(h, BRAID_A_OWNER_WEIGHT), 100, "its weight");
	is_int(nl_value(h, BRAID_A_OWNER_BY_HAND), 0, "which nobody set");
	close(fd);
	agent_close(&agent);
}

static void test_limits(void)
{
	struct braid_get_info info = { .size = sizeof(info) };
	const struct nlmsghdr *h;
	int fd = dev_open(DEV_TENANT, 0);

	dev_info(fd, &info);
	ask_queue(&nl, BRAID_CMD_TENANT_SET, 0);
	nl_put_u64(&nl, BRAID_A_OWNER_TENANT, info.tenant);
	nl_put_u32(&nl, BRAID_A_OWNER_PRIORITY_CEILING, BRAID_PRIORITY_HIGH);
	nl_put_u64(&nl, BRAID_A_OWNER_BYTE_QUOTA, 1 << 20);
	is_int(nl_ask(&nl, NULL), 0, "limits by a tenant");
	dev_info(fd, &info);
	ok(info.priority_ceiling == BRAID_PRIORITY_HIGH && info.byte_quota == 1 << 20,
	   "are in force at once");
	close(fd);
	set_owner(0);
	nl_put_u32(&nl, BRAID_A_OWNER_WEIGHT, 7);
	nl_put_u32(&nl, BRAID_A_OWNER_REQUEST_QUOTA, 9);
	is_int(nl_ask(&nl, NULL), 0, "others by the owner, while it has no tenant");
	ask_queue(&nl, BRAID_CMD_OWNER_GET, 0);
	nl_put_u64(&nl, BRAID_A_OWNER_KEY, 0);
	ok(!nl_ask(&nl, &h) && h && nl_value(h, BRAID_A_OWNER_WEIGHT) == 7 &&
	   nl_value(h, BRAID_A_OWNER_REQUEST_QUOTA) == 9 &&
	   nl_value(h, BRAID_A_OWNER_PRIORITY_CEILING) == BRAID_PRIORITY_HIGH &&
	   nl_value(h, BRAID_A_OWNER_BY_HAND) == 1, "what is not named stays");
	fd = dev_open(DEV_TENANT, 0);
	dev_info(fd, &info);
	is_int(info.priority_ceiling, BRAID_PRIORITY_HIGH, "they outlive the tenant");
	set_owner(0);
	nl_put(&nl, BRAID_A_OWNER_RESET, NULL, 0);
	is_int(nl_ask(&nl, NULL), 0, "a reset");
	dev_info(fd, &info);
	is_int(info.priority_ceiling, BRAID_PRIORITY_NORMAL, "brings the defaults back");
	close(fd);
	set_owner(SOME_OWNER);
	nl_put(&nl, BRAID_A_OWNER_RESET, NULL, 0);
	is_int(nl_ask(&nl, NULL), 0, "of one that is not there: nothing to do");
}

/* Each of @n ids from @ids is in the dump being read once, all in order. */
static void check_dump(const uint64_t *ids, unsigned int n, uint16_t attr, const char *what)
{
	unsigned int found = 0, all = 0, i = 0;
	const struct nlmsghdr *h;
	uint64_t last = 0, id;
	bool order = true;
	int ret;

	while ((h = nl_next(&nl, &ret))) {
		id = nl_value(h, attr);
		order &= !all++ || id > last;
		last = id;
		while (i < n && ids[i] < id)
			i++;
		found += i < n && ids[i] == id;
	}
	ok(!ret && order && found == n, "%s", what);
	if (ret || !order || found != n)
		diag("ret %d, %u of %u, %u in all, in order %d", ret, found, n, all, order);
}

static void ask_tenants(void)
{
	ask_queue(&nl, BRAID_CMD_TENANT_GET, NLM_F_DUMP);
	nl_send(&nl);
}

/* Opens and closes until it is killed. */
static void churn(void)
{
	int fd[40];

	for (;;) {
		for (int i = 0; i < 40; i++)
			fd[i] = dev_open(DEV_TENANT, 0);
		for (int i = 0; i < 40; i++)
			close(fd[i]);
	}
}

static void test_dumps(void)
{
	struct rlimit many = { 4096, 4096 };
	struct braid_get_info info = { .size = sizeof(info) };
	static uint64_t ids[TENANTS];
	static int fd[TENANTS];
	pid_t pid[2];
	int ret, rounds = dev_env("BRAID_TEST_DUMPS", 5);

	setrlimit(RLIMIT_NOFILE, &many);
	for (int i = 0; i < TENANTS; i++) {
		fd[i] = dev_open(DEV_TENANT, 0);
		if (fd[i] < 0 || dev_info(fd[i], &info)) {
			ok(0, "tenant %d of %d", i, TENANTS);
			return;
		}
		ids[i] = info.tenant;
	}
	ask_tenants();
	check_dump(ids, TENANTS, BRAID_A_TENANT_ID, "a dump of hundreds");
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i])
			churn();
	}
	for (int i = 0; i < rounds; i++) {
		ask_tenants();
		check_dump(ids, TENANTS, BRAID_A_TENANT_ID, "while others come and go");
	}
	for (int i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}

	/* Between two messages of a dump a part of it goes, what was told last too. */
	ask_tenants();
	ok(nl_next(&nl, &ret), "a dump that is read slowly");
	for (int i = 0; i < TENANTS - 100; i++)
		close(fd[i]);
	check_dump(ids + TENANTS - 100, 100, BRAID_A_TENANT_ID, "has those that stayed");
	for (int i = TENANTS - 100; i < TENANTS; i++)
		close(fd[i]);
	ask_tenants();
	ok(!nl_next(&nl, &ret) && !ret, "an empty dump");

	nl_open(&more);
	ask_queue(&more, BRAID_CMD_OWNER_GET, NLM_F_DUMP);
	nl_send(&more);
	nl_close(&more);
	ok(1, "a dump that nobody reads");
}

static void test_owners(void)
{
	static uint64_t keys[OWNERS];
	int ret, bad = 0;

	for (int i = 0; i < OWNERS; i++) {
		keys[i] = i == OWNERS - 1 ? UINT64_MAX : SOME_OWNER + 3 * i;
		set_owner(keys[i]);
		nl_put_u32(&nl, BRAID_A_OWNER_WEIGHT, 1 + i);
		bad += nl_ask(&nl, NULL) != 0;
	}
	is_int(bad, 0, "hundreds of owners");
	ask_queue(&nl, BRAID_CMD_OWNER_GET, NLM_F_DUMP);
	nl_send(&nl);
	check_dump(keys, OWNERS, BRAID_A_OWNER_KEY, "are dumped, to the largest key there is");
	for (int i = 0; i < OWNERS; i++) {
		set_owner(keys[i]);
		nl_put(&nl, BRAID_A_OWNER_RESET, NULL, 0);
		bad += nl_ask(&nl, NULL) != 0;
	}
	ask_queue(&nl, BRAID_CMD_OWNER_GET, NLM_F_DUMP);
	nl_send(&nl);
	while (nl_next(&nl, &ret))
		bad++;
	ok(!bad && !ret, "and are gone when they are reset");
	ask_queue(&nl, BRAID_CMD_DEVICE_GET, 0);
	((struct nlmsghdr *)nl.out)->nlmsg_flags |= NLM_F_DUMP;
	((struct nlmsghdr *)nl.out)->nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN;
	nl_send(&nl);
	check_dump((uint64_t[]){ 0 }, 1, BRAID_A_DEVICE_INDEX, "queues are dumped as well");
}

/* The next event of that kind; others are passed over. NULL after some seconds. */
static const struct nlmsghdr *event(uint8_t cmd)
{
	const struct nlmsghdr *h;
	int ret;

	while ((h = nl_event(&more, 10000, &ret)))
		if (h->nlmsg_type == more.family && nl_cmd(h) == cmd)
			return h;
	return NULL;
}

static void test_events(void)
{
	struct braid_get_info info = { .size = sizeof(info) };
	const struct nlattr *knob, *name, *value;
	const struct nlmsghdr *h;
	uint64_t model, buffer, old;
	int fd, err, ret;

	nl_open(&more);
	is_int(nl_join(&more), 0, "listening");
	fd = dev_open(DEV_TENANT, 0);
	dev_info(fd, &info);
	h = event(BRAID_CMD_TENANT_CAME_NTF);
	ok(h && nl_value(h, BRAID_A_TENANT_ID) == info.tenant &&
	   nl_value(h, BRAID_A_TENANT_PID) == (uint64_t)getpid() &&
	   nl_value(h, BRAID_A_TENANT_OWNER) == 0 && nl_value(h, BRAID_A_TENANT_DEVICE) == 0,
	   "a tenant came");
	model = agent_start(&agent, SLOT_BYTES);
	h = event(BRAID_CMD_AGENT_UP_NTF);
	ok(model && h && nl_value(h, BRAID_A_DEVICE_GENERATION) == agent.generation &&
	   nl_value(h, BRAID_A_DEVICE_MODELS) == 1, "an agent is up");
	dev_write(DEV_SYSFS "window_policy", "fixed");
	h = event(BRAID_CMD_KNOB_NTF);
	knob = h ? nl_find(h, BRAID_A_DEVICE_KNOB) : NULL;
	name = knob ? nl_find_in(knob, BRAID_A_KNOB_NAME) : NULL;
	value = knob ? nl_find_in(knob, BRAID_A_KNOB_VALUE) : NULL;
	ok(name && value && !strcmp(nl_data(name), "window_policy") &&
	   !strcmp(nl_data(value), "fixed"), "a knob was turned");
	dev_write(DEV_SYSFS "window_policy", "adaptive");

	dev_buf(fd, 4096, &buffer, NULL, &err);
	is_int(dev_submit(fd, model, buffer, 3, 1, 0, NULL), 3, "three requests");
	h = event(BRAID_CMD_STALL_NTF);
	ok(h && nl_value(h, BRAID_A_DEVICE_QUEUED) == 3, "that nobody fetches are a stall");
	ret = 0;
	for (int i = 0; i < 10 && agent.arg.jobs.count != 3; i++)
		ret = agent_fetch(&agent, model, 8, 0);
	is_int(ret, 0, "they are fetched");
	h = event(BRAID_CMD_STALL_NTF);
	ok(h && nl_value(h, BRAID_A_DEVICE_FETCHED) == 3, "and never committed: another");
	old = agent.generation;
	agent_close(&agent);
	h = event(BRAID_CMD_REQUEUE_NTF);
	ok(h && nl_value(h, BRAID_A_DEVICE_REQUEUED) == 3 &&
	   nl_value(h, BRAID_A_DEVICE_GENERATION) == old, "they go back");
	h = event(BRAID_CMD_AGENT_DOWN_NTF);
	ok(h && nl_value(h, BRAID_A_DEVICE_GENERATION) == old, "the agent went");
	close(fd);
	h = event(BRAID_CMD_TENANT_GONE_NTF);
	ok(h && nl_value(h, BRAID_A_TENANT_ID) == info.tenant &&
	   nl_value(h, BRAID_A_TENANT_SUBMITTED) == 3, "the tenant went");

	/* Who does not read is told that it missed something, nobody waits. */
	for (int i = 0; i < 3000; i++)
		dev_write(DEV_SYSFS "grace_ms", i & 1 ? "2000" : "2001");
	while ((h = nl_event(&more, 2000, &err)))
		;
	is_int(err, -ENOBUFS, "a listener that does not read loses events");
	dev_write(DEV_SYSFS "grace_ms", "2000");
	ok(event(BRAID_CMD_KNOB_NTF), "and gets those that come after");
	nl_close(&more);
}

int main(void)
{
	dev_require();
	if (nl_open(&nl)) {
		ok(0, "the family is there");
		return tap_done();
	}
	is_int(nl.version, BRAID_FAMILY_VERSION, "the family is there");
	ok(nl.group, "and its group");
	test_policies();
	test_limits_refused();
	test_permission();
	test_gets();
	test_limits();
	test_dumps();
	test_owners();
	test_events();
	return tap_done();
}
