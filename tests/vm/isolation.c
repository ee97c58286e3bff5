// SPDX-License-Identifier: MIT
/*
 * One tenant and another: neither sees, maps, cancels or guesses what is the
 * other's. And what the kernel writes into user memory is only what the
 * interface says: reserved fields, ends of names, unused extents and the rest of
 * longer elements are zero, memory behind them stays as it was.
 *
 * Where a byte would come from uninitialised memory, the debug kernel has
 * poisoned that, so it can't be zero by chance.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/vm/dev.h"

#define FILL	0xa5
#define MORE	32		/* bytes by which our structures are larger than the kernel's */

static struct agent agent;
static uint64_t model;

/* A structure in a larger one, and what lies behind. */
static uint8_t room[8192];

static bool all(const void *p, size_t n, uint8_t byte)
{
	const uint8_t *at = p;

	while (n--)
		if (*at++ != byte)
			return false;
	return true;
}

/*
 * A command whose structure is larger than the kernel's, with zeros there and
 * FILL behind it: neither may change. @arg is in and out.
 */
static int call_more(int fd, unsigned int nr, void *arg, size_t bytes, const char *name)
{
	uint32_t size = bytes + MORE;
	int ret;

	memset(room, FILL, sizeof(room));
	memset(room, 0, size);
	memcpy(room, arg, bytes);
	memcpy(room, &size, sizeof(size));
	ret = dev_call(fd, nr, room);
	memcpy(arg, room, bytes);
	ok(all(room + bytes, MORE, 0) && all(room + size, sizeof(room) - size, FILL),
	   "%s writes its structure and nothing behind it", name);
	return ret;
}

static void check_get_info(int tenant)
{
	struct braid_get_info i;

	memset(&i, 0, sizeof(i));
	is_int(call_more(tenant, BRAID_NR_GET_INFO, &i, sizeof(i), "GET_INFO"), 0, "GET_INFO");
	ok(!i.flags && !i.reserved, "GET_INFO: reserved fields are zero");
	memset(&i, 0, sizeof(i));
	is_int(call_more(agent.fd, BRAID_NR_GET_INFO, &i, sizeof(i), "agent's GET_INFO"), 0,
	       "agent's GET_INFO");
	ok(!i.flags && !i.reserved && !i.tenant, "agent's GET_INFO: reserved fields are zero");
}

static void check_model_get(int tenant)
{
	struct {
		struct braid_tensor t;
		uint8_t more[MORE];
	} t[3];
	struct braid_model_get g = {
		.size = sizeof(g), .id = model, .tensors = { sizeof(t[0]), 2, (uintptr_t)t },
	};
	bool clean = true;

	memset(t, FILL, sizeof(t));
	is_int(call_more(tenant, BRAID_NR_MODEL_GET, &g, sizeof(g), "MODEL_GET"), 0, "MODEL_GET");
	ok(all(g.name + strlen(g.name), sizeof(g.name) - strlen(g.name), 0),
	   "MODEL_GET: the end of the name is zero");
	for (unsigned int i = 0; i < 2; i++) {
		size_t used = strnlen(t[i].t.name, sizeof(t[i].t.name));

		clean &= all(t[i].t.name + used, sizeof(t[i].t.name) - used, 0);
		clean &= all(&t[i].t.dims[t[i].t.rank],
			     (BRAID_RANK_MAX - t[i].t.rank) * sizeof(t[i].t.dims[0]), 0);
		clean &= all(t[i].more, MORE, 0);
	}
	ok(clean, "MODEL_GET: ends of names, unused extents, longer elements are zero");
	ok(all(&t[2], sizeof(t[2]), FILL), "MODEL_GET: nothing behind the array");
	g = (struct braid_model_get){ .size = sizeof(g), .id = model };
	memset(t, FILL, sizeof(t));
	g.tensors = (struct braid_array){ sizeof(t[0]), 1, (uintptr_t)t };
	ok(!dev_call(tenant, BRAID_NR_MODEL_GET, &g) && g.tensors.count == 2 &&
	   all(&t[1], sizeof(t[1]), FILL), "MODEL_GET: no more elements than there is room for");
}

/* All the structures of one request's way. */
static void check_request(int tenant)
{
	struct {
		struct braid_job j;
		uint8_t more[MORE];
	} jobs[3];
	struct {
		struct braid_slice s;
		uint8_t more[MORE];
	} slices[5];
	struct {
		struct braid_event e;
		uint8_t more[MORE];
	} events[9];
	struct {
		struct braid_result r;
		uint8_t more[MORE];
	} result = { { 0 } };
	struct braid_request r = { .user_data = 7, .model = model, .n_inputs = 1, .n_outputs = 1,
				   .priority = BRAID_PRIORITY_NORMAL };
	struct braid_slice s[2] = { { 0, 0, SLOT_BYTES }, { 0, SLOT_BYTES, SLOT_BYTES } };
	struct braid_buf_alloc b = { .size = sizeof(b), .length = 100 };
	struct braid_submit submit = {
		.size = sizeof(submit), .requests = { sizeof(r), 1, (uintptr_t)&r },
		.slices = { sizeof(s[0]), 2, (uintptr_t)s },
	};
	struct braid_want want = { .model = model, .count = 1 };
	struct braid_fetch f = {
		.size = sizeof(f), .wants = { sizeof(want), 1, (uintptr_t)&want },
		.jobs = { sizeof(jobs[0]), 2, (uintptr_t)jobs },
		.slices = { sizeof(slices[0]), 4, (uintptr_t)slices },
		.events = { sizeof(events[0]), 8, (uintptr_t)events },
	};
	struct braid_buf_get_fd get = { .size = sizeof(get) };
	struct braid_commit commit = {
		.size = sizeof(commit), .results = { sizeof(result), 1, (uintptr_t)&result },
	};
	struct braid_completion c[2];
	bool clean = true;
	void *at;

	is_int(call_more(tenant, BRAID_NR_BUF_ALLOC, &b, sizeof(b), "BUF_ALLOC"), 0, "BUF_ALLOC");
	ok(!b.flags && !b.reserved && b.length == BRAID_BUF_ALIGN, "BUF_ALLOC: nothing else");
	at = mmap(NULL, b.length, PROT_READ | PROT_WRITE, MAP_SHARED, b.fd, 0);
	ok(at != MAP_FAILED && all(at, b.length, 0), "a buffer is zero to its page's end");
	s[0].buffer = b.id;
	s[1].buffer = b.id;
	is_int(call_more(tenant, BRAID_NR_SUBMIT, &submit, sizeof(submit), "SUBMIT"), 0, "SUBMIT");

	memset(jobs, FILL, sizeof(jobs));
	memset(slices, FILL, sizeof(slices));
	memset(events, FILL, sizeof(events));
	is_int(call_more(agent.fd, BRAID_NR_FETCH, &f, sizeof(f), "FETCH"), 0, "FETCH");
	while (!f.jobs.count) {
		f.jobs = (struct braid_array){ sizeof(jobs[0]), 2, (uintptr_t)jobs };
		f.slices = (struct braid_array){ sizeof(slices[0]), 4, (uintptr_t)slices };
		f.events = (struct braid_array){ sizeof(events[0]), 8, (uintptr_t)events };
		memset(events, FILL, sizeof(events));
		if (dev_call(agent.fd, BRAID_NR_FETCH, &f))
			break;
	}
	is_int(f.jobs.count, 1, "FETCH brings the job");
	ok(all(jobs[0].more, MORE, 0) && all(slices[0].more, MORE, 0) && all(slices[1].more, MORE, 0),
	   "FETCH: longer elements are zero");
	ok(all(&jobs[1], 2 * sizeof(jobs[0]), FILL) && all(&slices[2], 3 * sizeof(slices[0]), FILL),
	   "FETCH: unused room is not written");
	for (unsigned int i = 0; i < f.events.count; i++)
		clean &= all(events[i].more, MORE, 0) && !events[i].e.flags;
	ok(clean && all(&events[f.events.count], (9 - f.events.count) * sizeof(events[0]), FILL),
	   "FETCH: the same with events");

	get.id = b.id;
	is_int(call_more(agent.fd, BRAID_NR_BUF_GET_FD, &get, sizeof(get), "BUF_GET_FD"), 0,
	       "BUF_GET_FD");
	ok(!get.flags && !get.reserved, "BUF_GET_FD: nothing else");
	close(get.fd);

	commit.generation = agent.generation;
	result.r.cookie = jobs[0].j.cookie;
	is_int(call_more(agent.fd, BRAID_NR_COMMIT, &commit, sizeof(commit), "COMMIT"), 0, "COMMIT");
	ok(commit.committed == 1 && !commit.reserved && all(result.more, MORE, 0), "COMMIT: nothing else");

	memset(c, FILL, sizeof(c));
	is_int(read(tenant, c, sizeof(c)), sizeof(c[0]), "read() gives one whole record");
	ok(c[0].size == sizeof(c[0]) && !c[0].reserved && all(&c[1], sizeof(c[1]), FILL),
	   "read() writes nothing behind it");
	munmap(at, b.length);
	close(b.fd);
	dev_buf_free(tenant, b.id);
}

static void check_bytes(int tenant)
{
	struct braid_cancel c = { .size = sizeof(c), .id = 1ull << 60 };
	struct braid_ready r = { .size = sizeof(r) };

	check_get_info(tenant);
	check_model_get(tenant);
	check_request(tenant);
	is_int(call_more(tenant, BRAID_NR_CANCEL, &c, sizeof(c), "CANCEL"), -ENOENT, "CANCEL");
	is_int(call_more(agent.fd, BRAID_NR_READY, &r, sizeof(r), "READY"), -EINVAL, "READY");
}

/* What was another's comes back as zeros. */
static void check_secrets(int alice, int bob)
{
	uint64_t id, ids[16];
	bool clean = true;
	void *at;
	int err;

	for (unsigned int i = 0; i < 16; i++) {
		at = dev_buf(alice, 16 * BRAID_BUF_ALIGN, &ids[i], NULL, &err);
		if (!at)
			break;
		memset(at, 0x5e, 16 * BRAID_BUF_ALIGN);
		munmap(at, 16 * BRAID_BUF_ALIGN);
	}
	is_int(err, 0, "a tenant writes into 16 buffers");
	for (unsigned int i = 0; i < 16; i++)
		dev_buf_free(alice, ids[i]);
	while (!agent_jobs(&agent, 0, 0, BRAID_FETCH_NONBLOCK))
		;
	for (unsigned int i = 0; i < 16; i++) {
		at = dev_buf(bob, 16 * BRAID_BUF_ALIGN, &id, NULL, &err);
		clean &= at && all(at, 16 * BRAID_BUF_ALIGN, 0);
		if (at)
			munmap(at, 16 * BRAID_BUF_ALIGN);
		dev_buf_free(bob, id);
	}
	ok(clean, "another tenant's buffers come zeroed");
}

static void check_others(int alice, int bob)
{
	struct braid_completion c;
	struct braid_get_info info;
	uint64_t buffer, first, id;
	int err, ret, odd = 0;
	uint8_t *at = dev_buf(alice, BRAID_BUF_ALIGN, &buffer, NULL, &err);

	if (!ok(at && dev_submit(alice, model, buffer, 4, 1, 0, &first) == 4, "alice has four requests"))
		return;
	is_int(dev_submit(bob, model, buffer, 1, 1, 0, NULL), -ENOENT, "bob can't name alice's buffer");
	is_int(dev_buf_free(bob, buffer), -ENOENT, "bob can't free it");
	/* Ids count by tenant: the same number is nothing of bob's. */
	for (id = 0; id < 300; id++)
		odd += dev_cancel(bob, id) != -ENOENT;
	is_int(odd, 0, "bob can't cancel what he has not");
	for (id = 0; id < 1000; id++)
		odd += dev_buf_free(bob, id) != -ENOENT;
	is_int(odd, 0, "bob guesses no buffer");
	is_int(dev_wait(bob, &c, 1, 20), 0, "bob gets nothing of alice's");
	ok(!dev_info(bob, &info) && !info.outstanding, "bob sees none of it in GET_INFO");
	ret = mmap(NULL, 4096, PROT_READ, MAP_SHARED, bob, 0) == MAP_FAILED ? -errno : 0;
	is_int(ret, -ENODEV, "a tenant's own descriptor maps nothing");
	do {
		ret = agent_jobs(&agent, model, 8, 0);
		if (!ret)
			ret = agent_finish(&agent);
	} while (!ret && dev_wait(alice, &c, 1, 0) != 1);
	is_int(dev_wait(bob, &c, 1, 20), 0, "nor when they are done");
	while (dev_wait(alice, &c, 1, 100) == 1)
		;
	munmap(at, BRAID_BUF_ALIGN);
	dev_buf_free(alice, buffer);
}

static void check_roles(int tenant)
{
	struct braid_buf_get_fd get = { .size = sizeof(get), .id = 1 };
	uint8_t any[512] = { 0 };
	uint32_t size = 256;
	int wrong = 0;

	memcpy(any, &size, sizeof(size));
	for (unsigned int nr = 0; nr < 256; nr++)
		if (nr > BRAID_NR_CANCEL)
			wrong += dev_call(tenant, nr, any) != -ENOTTY;
	is_int(wrong, 0, "a tenant has no command but its own");
	wrong = 0;
	for (unsigned int nr = BRAID_NR_BUF_ALLOC; nr < 256; nr++)
		if (nr < BRAID_NR_MODEL_PUT || nr > BRAID_NR_BUF_PUT)
			wrong += dev_call(agent.fd, nr, any) != -ENOTTY;
	is_int(wrong, 0, "an agent has no command but its own");
	is_int(dev_call(tenant, BRAID_NR_BUF_GET_FD, &get), -ENOTTY, "a tenant gets no buffer by id");
}

static sigjmp_buf fault;

static void on_fault(int sig)
{
	siglongjmp(fault, sig);
}

/* The signal that reading there gives, 0 for none. */
static int touch(volatile uint8_t *p)
{
	struct sigaction sa = { .sa_handler = on_fault }, old[2];
	int sig;

	sigaction(SIGBUS, &sa, &old[0]);
	sigaction(SIGSEGV, &sa, &old[1]);
	sig = sigsetjmp(fault, 1);
	if (!sig)
		(void)*p;
	sigaction(SIGBUS, &old[0], NULL);
	sigaction(SIGSEGV, &old[1], NULL);
	return sig;
}

#define ERR(expr)	((expr) < 0 ? -errno : 0)

/* What a buffer's descriptor can do: be mapped, shared, as long as it is. */
static void check_buffer_fd(int tenant)
{
	const size_t page = BRAID_BUF_ALIGN;
	struct stat st;
	char path[64], byte = 0;
	uint64_t id;
	uint8_t *at, *p;
	int fd, err, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	at = dev_buf(tenant, 2 * page, &id, &fd, &err);
	if (!ok(at, "a buffer of two pages"))
		return;
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "its descriptor closes on exec");
	ok(ERR(ftruncate(fd, 0)) < 0, "it can't be truncated");
	ok(ERR(write(fd, &byte, 1)) < 0, "it can't be written to");
	ok(ERR(fallocate(fd, 3, 0, page)) < 0, "no hole can be punched");
	ok(ERR(sendfile(null, fd, NULL, 1)) < 0, "it can't be sent away");
	ok(ERR(fsync(fd)) <= 0 && !fstat(fd, &st), "fsync and fstat do no harm");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ok(open(path, O_RDWR) < 0, "it can't be opened a second time");
	ok(mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED,
	   "it is never executable");
	ok(mprotect(at, page, PROT_READ | PROT_EXEC) < 0, "nor later");
	ok(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED,
	   "there is no private copy");
	ok(mmap(NULL, 3 * page, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED,
	   "no more than it has can be mapped");
	ok(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 2 * page) == MAP_FAILED, "nor what is behind it");
	ok(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)1 << 62) == MAP_FAILED,
	   "nor anything far behind");
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page);
	ok(p != MAP_FAILED, "its second page can be mapped alone");
	at[page] = 77;
	is_int(p[0], 77, "and is the same memory");
	p = mremap(p, page, 2 * page, MREMAP_MAYMOVE);
	ok(p == MAP_FAILED || touch(p + page), "a mapping does not grow beyond the buffer");
	ok(madvise(at, 2 * page, MADV_DONTNEED) || !touch(at + page), "MADV_DONTNEED does no harm");
	ok(ERR(madvise(at, page, MADV_REMOVE)) < 0, "MADV_REMOVE is refused");
	is_int(dev_buf_free(tenant, id), 0, "it is freed while mapped");
	is_int(touch(at), 0, "and stays readable for who has it mapped");
	munmap(at, 2 * page);
	close(fd);
	close(null);
}

/* Two children of other users. */
static void check_users(void)
{
	struct {
		uid_t uid;
		bool may;
	} users[] = { { 1000, true }, { 1002, false } };
	struct stat st;
	int status;

	if (stat(DEV_TENANT, &st) || (st.st_mode & 0777) != 0660) {
		tap_skip("who may open the devices", "no rule has set their modes");
		return;
	}
	for (unsigned int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (!pid) {
			gid_t group = users[i].may ? st.st_gid : 1002;
			int fd;

			if (setgroups(1, &group) || setgid(group) || setuid(users[i].uid))
				_exit(9);
			fd = dev_open(DEV_TENANT, 0);
			_exit((fd >= 0) != users[i].may || dev_open(DEV_AGENT, 0) != -EACCES);
		}
		waitpid(pid, &status, 0);
		is_int(status, 0, users[i].may ? "who is in the group may open the one, not the other" :
		       "who is not may open neither");
	}
}

int main(void)
{
	int alice, bob;

	dev_require();
	model = agent_start(&agent, SLOT_BYTES);
	alice = dev_open(DEV_TENANT, 0);
	bob = dev_open(DEV_TENANT, 0);
	if (!ok(model && alice >= 0 && bob >= 0, "an agent and two tenants"))
		return tap_done();
	check_bytes(alice);
	check_secrets(alice, bob);
	check_others(alice, bob);
	check_roles(bob);
	check_buffer_fd(alice);
	check_users();
	return tap_done();
}
