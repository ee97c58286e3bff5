// SPDX-License-Identifier: MIT
/*
 * What the agent may ask, and every errno that <linux/braid.h> promises it.
 */
#include "tests/abi/abi.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct peer a, t;

static int put(const struct braid_model_put *p, const struct braid_tensor *tensors, uint32_t n)
{
	struct braid_model_put q = *p;

	q.tensors = (struct braid_array){ sizeof(*tensors), n, (uintptr_t)tensors };
	return abi_call(&a, BRAID_NR_MODEL_PUT, &q);
}

static void test_model_put(void)
{
	const struct braid_tensor x = { .name = "x", .type = BRAID_TYPE_F32, .rank = 1,
					.dims = { 16 }, .bytes = 64 };
	const struct braid_model_put good = { .size = sizeof(good), .name = "bad", .device_ns = 1,
					      .n_inputs = 1, .n_outputs = 1 };
	struct braid_tensor many[BRAID_MAX_TENSORS], io[2];
	struct braid_model_put p;
	uint64_t id, next;
	int err;

	for (unsigned int i = 0; i < BRAID_MAX_TENSORS; i++)
		many[i] = x;
#define CASE(expect, change, words)                                     \
	do {                                                            \
		p = good;                                               \
		io[0] = io[1] = x;                                      \
		change;                                                 \
		is_int(put(&p, io, 2), expect, "MODEL_PUT: " words);    \
	} while (0)
	CASE(-EOPNOTSUPP, p.flags = 1, "unknown flag: EOPNOTSUPP");
	CASE(-EINVAL, p.name[0] = 0, "no name: EINVAL");
	CASE(-EINVAL, memset(p.name, 'x', sizeof(p.name)), "a name that does not end: EINVAL");
	CASE(-EINVAL, p.device_ns = 0, "no estimate: EINVAL");
	CASE(-EINVAL, p.n_inputs = 0, "no inputs: EINVAL");
	CASE(-EINVAL, p.n_outputs = 0, "no outputs: EINVAL");
	CASE(-EINVAL, p.n_inputs = ~0u, "a number of inputs that overflows: EINVAL");
	CASE(-EINVAL, p.n_inputs = 2, "more tensors said than came: EINVAL");
	CASE(-EINVAL, io[0].bytes = 60, "size that is not the extents': EINVAL");
	CASE(-EINVAL, io[0].rank = BRAID_RANK_MAX + 1, "too many extents: EINVAL");
	CASE(-EOPNOTSUPP, io[1].type = 99, "unknown type: EOPNOTSUPP");
	CASE(-EOPNOTSUPP, io[1].type = 0, "no type: EOPNOTSUPP");
	CASE(-EOVERFLOW, io[1].rank = 3; io[1].dims[0] = io[1].dims[1] = io[1].dims[2] = 1ull << 40,
	     "extents that overflow: EOVERFLOW");
#undef CASE
	p = good;
	p.n_inputs = BRAID_MAX_TENSORS - 1;
	strcpy(p.name, "many");
	is_int(put(&p, many, BRAID_MAX_TENSORS), 0, "MODEL_PUT: as many tensors as there may be");
	id = abi_model(&a, "m", 1, ABI_BYTES, &err);
	ok(id && !err, "MODEL_PUT");
	is_int(abi_model(&a, "m", 1, ABI_BYTES, NULL), id, "the same again keeps the id");
	is_int(abi_model(&a, "m", 1, ABI_BYTES * 2, &err), 0, "the same digest, other tensors");
	is_int(err, -EINVAL, "is refused: EINVAL");
	next = abi_model(&a, "m", 2, ABI_BYTES, &err);
	ok(next > id, "a new digest makes a new id");
	ok(abi_model(&a, "m", 1, ABI_BYTES, NULL), "the first again");
}

static struct braid_fetch answer;	/* to the last fetch() */

static int fetch(struct braid_fetch f, const struct braid_want *wants, uint32_t n)
{
	f.size = sizeof(f);
	f.wants.count = n;
	f.wants.stride = sizeof(*wants);
	f.wants.ptr = n ? (uintptr_t)wants : 0;
	answer = f;
	return abi_call(&a, BRAID_NR_FETCH, &answer);
}

static struct braid_job jobs[4];
static struct braid_slice slices[16];
static struct braid_event events[4];

static struct braid_fetch room(void)
{
	return (struct braid_fetch){
		.flags = BRAID_FETCH_NONBLOCK,
		.jobs = { sizeof(jobs[0]), 4, (uintptr_t)jobs },
		.slices = { sizeof(slices[0]), 16, (uintptr_t)slices },
		.events = { sizeof(events[0]), 4, (uintptr_t)events },
	};
}

static void test_before_ready(void)
{
	struct braid_get_info i = { .size = sizeof(i) };
	struct braid_ready r = { .size = sizeof(r), .flags = 1 };
	uint64_t generation;

	is_int(abi_call(&t, BRAID_NR_GET_INFO, &i), 0, "a tenant asks");
	ok(!i.agent_up, "and learns that there is no agent");
	generation = i.generation;
	is_int(fetch(room(), NULL, 0), -ENODEV, "FETCH before READY: ENODEV");
	is_int(abi_commit(&a, 0, 1, 0), -ENODEV, "COMMIT before READY: ENODEV");
	is_int(abi_call(&a, BRAID_NR_READY, &r), -EOPNOTSUPP, "READY's unknown flag: EOPNOTSUPP");
	is_int(abi_ready(&a), 0, "READY");
	is_int(a.generation, generation + 1, "a new generation");
	is_int(abi_ready(&a), -EINVAL, "READY twice: EINVAL");
	i = (struct braid_get_info){ .size = sizeof(i) };
	abi_call(&t, BRAID_NR_GET_INFO, &i);
	ok(i.agent_up && i.generation == a.generation, "the tenant learns that it is up");
}

static void test_fetch_errors(uint64_t m)
{
	struct braid_want w[2] = { { .model = m, .count = 4 }, { .model = m, .count = 4 } };
	struct braid_want odd = { .model = m, .count = 4, .reserved = 1 };
	struct braid_want unknown = { .model = 1ull << 40, .count = 4 };
	static struct abi_fetch f, g;
	struct braid_fetch x;

	is_int(fetch(room(), w, 1), -EAGAIN, "NONBLOCK with nothing there: EAGAIN");
	is_int(fetch(room(), NULL, 0), -EAGAIN, "events alone: the same");
	is_int(fetch(room(), &unknown, 1), -EAGAIN, "a model that is not there is passed over");
	x = room();
	x.flags = 2;
	is_int(fetch(x, w, 1), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
	is_int(fetch(room(), w, 2), -EINVAL, "a model named twice: EINVAL");
	is_int(fetch(room(), &odd, 1), -E2BIG, "reserved field of a want: E2BIG");
	x = room();
	x.jobs.stride = 0;
	is_int(fetch(x, w, 1), -EINVAL, "stride 0: EINVAL");
	x.jobs.stride = ~0u;
	is_int(fetch(x, w, 1), -EINVAL, "an endless stride: EINVAL");
	x = room();
	x.jobs.count = 0;
	is_int(fetch(x, w, 1), -EINVAL, "no room for a job: EINVAL");
	is_int(fetch(x, NULL, 0), -EAGAIN, "which is needed only if one is wanted");
	x = room();
	x.slices.count = 1;
	is_int(fetch(x, w, 1), -EINVAL, "no room for a job's slices: EINVAL");
	x = room();
	x.events.count = 0;
	is_int(fetch(x, w, 1), -EINVAL, "no room for an event: EINVAL");
	/* A FETCH that is wrong replaces nothing. */
	abi_fetch(&a, &f, m, 1);
	abi_sleep_ms(20);
	is_int(fetch(room(), &odd, 1), -E2BIG, "a wrong FETCH beside one that waits");
	is_int(abi_fetched(&f, ABI_SOON), -ETIMEDOUT, "leaves it waiting");
	abi_fetch(&a, &g, m, 2);
	is_int(abi_fetched(&f, ABI_LONG), -ECANCELED, "a right one replaces it: ECANCELED");
	abi_sleep_ms(20);
	is_int(fetch(room(), w, 1), -EAGAIN, "NONBLOCK is answered at once: EAGAIN");
	is_int(abi_fetched(&g, ABI_LONG), -ECANCELED, "and replaces as well");
}

/* What does not fit comes the next time. */
static void test_room(uint64_t m)
{
	static struct abi_fetch f;
	struct braid_want w = { .model = m, .count = 4 };
	struct braid_fetch x = room();
	unsigned int seen = 0, rounds = 0;
	uint64_t bufs[10];
	bool told = true;

	for (int i = 0; i < 10; i++)
		bufs[i] = abi_buf(&t, 4096);
	while (seen < 10 && rounds++ < 10 && !fetch(x, &w, 1)) {
		for (int i = 0; i < 4 && seen < 10; i++, seen++)
			told &= events[i].type == BRAID_EVENT_BUF_NEW &&
				events[i].id == bufs[seen] && events[i].length == 4096 &&
				events[i].tenant && !events[i].flags;
	}
	ok(seen == 10 && rounds == 3 && told, "ten events with room for four: in three FETCHes");
	for (int i = 0; i < 10; i++)
		abi_buf_free(&t, bufs[i]);
	abi_drain(&a);

	t.buf = abi_buf(&t, 4096);
	ok(t.buf, "a buffer to work with");
	abi_drain(&a);
	for (int i = 0; i < 3; i++)
		abi_submit(&t, m, 1, 0, NULL);
	w.count = 2;
	is_int(fetch(room(), &w, 1), 0, "three requests, two wanted");
	is_int(answer.queued, 1, "one still waits, it says");
	ok(jobs[0].cookie && jobs[1].cookie && jobs[0].n_inputs == 1 && jobs[1].first_slice == 2 &&
	   slices[2].buffer == t.buf, "two come, their slices in order");
	abi_commit(&a, a.generation, jobs[0].cookie, 0);
	abi_commit(&a, a.generation, jobs[1].cookie, 0);
	x = room();
	x.slices.count = 3;
	is_int(abi_submit(&t, m, 1, 0, NULL), 0, "one more");
	w.count = 4;
	is_int(fetch(x, &w, 1), 0, "two requests, room for the slices of one");
	abi_commit(&a, a.generation, jobs[0].cookie, 0);
	is_int(abi_jobs(&a, &f, m, 4, ABI_LONG), 0, "the other one comes the next time");
	is_int(f.arg.jobs.count, 1, "alone");
	is_int(f.arg.queued, 0, "and none waits");
	abi_commit_all(&a, &f);
	for (int i = 0; i < 4; i++)
		is_int(abi_status(&t, NULL, ABI_LONG), 0, "request %d completes", i);
}

static int get_fd(uint64_t id, uint32_t flags, uint32_t reserved, int *fd, uint64_t *length)
{
	struct braid_buf_get_fd g = { .size = sizeof(g), .id = id, .flags = flags,
				      .reserved = reserved };
	int ret = abi->call(&a, BRAID_NR_BUF_GET_FD, &g, fd);

	*length = g.length;
	return ret;
}

static void test_buffers(void)
{
	struct braid_buf_put p = { .size = sizeof(p), .flags = 1 };
	static struct abi_fetch f;
	uint64_t id, length;
	uint8_t *mine;
	struct peer u;
	int fd = -1;

	is_int(get_fd(1ull << 40, 0, 0, &fd, &length), -ENOENT, "BUF_GET_FD of nothing: ENOENT");
	is_int(abi_put(&a, 1ull << 40), -ENOENT, "BUF_PUT of nothing: ENOENT");
	abi_tenant(&u);
	id = abi_buf(&u, 8192);
	p.id = id;
	is_int(get_fd(id, 0, 0, &fd, &length), -ENOENT, "of one it was not told of: ENOENT");
	abi_drain(&a);
	is_int(get_fd(id, 1, 0, &fd, &length), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
	is_int(get_fd(id, 0, 1, &fd, &length), -E2BIG, "reserved field set: E2BIG");
	is_int(abi_call(&a, BRAID_NR_BUF_PUT, &p), -EOPNOTSUPP, "BUF_PUT's too: EOPNOTSUPP");
	is_int(get_fd(id, 0, 0, &fd, &length), 0, "told of, it is there");
	is_int(length, 8192, "with its length");
	mine = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (ok(mine != MAP_FAILED, "and can be mapped")) {
		u.mem[8191] = 7;
		mine[0] = 9;
		ok(mine[8191] == 7 && u.mem[0] == 9, "tenant and agent see the same memory");
	}
	is_int(abi_put(&a, id), -EBUSY, "BUF_PUT of what is not retired: EBUSY");
	u.mem[0] = 9;
	abi_close(&u);
	ok(mine == MAP_FAILED || mine[0] == 9, "the tenant gone, the agent's mapping holds");
	/* Over the socket the queue notices some time later. */
	abi_fetch(&a, &f, 0, 0);
	is_int(abi_fetched(&f, ABI_LONG), 0, "which the agent is told");
	ok(f.arg.events.count == 1 && f.events[0].type == BRAID_EVENT_BUF_RETIRED &&
	   f.events[0].id == id, "as that its buffer is retired");
	is_int(abi_put(&a, id), 0, "it is put");
	is_int(abi_put(&a, id), -ENOENT, "once: ENOENT from then on");
	is_int(get_fd(id, 0, 0, &fd, &length), -ENOENT, "BUF_GET_FD likewise");
	if (mine != MAP_FAILED) {
		ok(mine[0] == 9, "and memory is there as long as it is mapped");
		munmap(mine, 8192);
	}
}

static void test_commit_errors(uint64_t m)
{
	struct braid_result res[4] = { 0 };
	struct braid_commit c = { .size = sizeof(c), .generation = a.generation,
				  .results = { sizeof(res[0]), 1, (uintptr_t)res } }, k;
	static struct abi_fetch f;
	uint64_t cookie;

	is_int(abi_commit(&a, a.generation, 12345, 0), -ENOENT, "COMMIT of an unknown cookie");
	is_int(abi_commit(&a, a.generation, 0, 0), -ENOENT, "of cookie 0");
	is_int(abi_commit(&a, a.generation + 1, 1, 0), -ESTALE, "of a later generation: ESTALE");
	is_int(abi_commit(&a, a.generation - 1, 1, 0), -ESTALE, "of an earlier one: ESTALE");
	k = c;
	k.flags = 4;
	is_int(abi_call(&a, BRAID_NR_COMMIT, &k), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
	k = c;
	k.reserved = 1;
	is_int(abi_call(&a, BRAID_NR_COMMIT, &k), -E2BIG, "reserved field: E2BIG");
	k = c;
	k.results.count = 0;
	is_int(abi_call(&a, BRAID_NR_COMMIT, &k), 0, "of nothing: success");
	is_int(k.committed, 0, "and nothing committed");

	/* A partial one. */
	for (int i = 0; i < 2; i++)
		abi_submit(&t, m, 1, 0, NULL);
	is_int(abi_jobs(&a, &f, m, 4, ABI_LONG), 0, "two jobs");
	cookie = f.jobs[0].cookie;
	res[0] = (struct braid_result){ .cookie = ~0ull };
	res[1] = (struct braid_result){ .cookie = cookie, .device_ns = 5, .merge_degree = 2,
					.fuse_degree = 1 };
	res[2] = (struct braid_result){ .cookie = cookie };
	res[3] = (struct braid_result){ .cookie = f.jobs[1].cookie, .status = 1 };
	k = c;
	k.results.count = 4;
	is_int(abi_call(&a, BRAID_NR_COMMIT, &k), 0, "COMMIT of good and bad ones: success");
	is_int(k.committed, 1, "one is taken");
	ok(res[0].result == -ENOENT && !res[1].result && res[2].result == -ENOENT &&
	   res[3].result == -EINVAL, "each says why: unknown, taken, taken already, positive status");
	is_int(k.results.count, 4, "all have their answer");
	is_int(abi_commit(&a, a.generation, f.jobs[1].cookie, -ENOMEM), 0, "the other one");
	is_int(abi_status(&t, NULL, ABI_LONG), 0, "the first is well");
	is_int(abi_status(&t, NULL, ABI_LONG), -ENOMEM, "the second got what the agent said");
}

static void test_model_del(uint64_t m)
{
	struct braid_model_del d = { .size = sizeof(d), .id = 1ull << 40 };

	is_int(abi_call(&a, BRAID_NR_MODEL_DEL, &d), -ENOENT, "MODEL_DEL of nothing: ENOENT");
	d.id = m;
	d.flags = 2;
	is_int(abi_call(&a, BRAID_NR_MODEL_DEL, &d), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
	d.flags = 0;
	is_int(abi_call(&a, BRAID_NR_MODEL_DEL, &d), 0, "MODEL_DEL");
	is_int(abi_submit(&t, m, 1, 0, NULL), -ENOENT, "new requests: ENOENT");
	is_int(abi_call(&a, BRAID_NR_MODEL_DEL, &d), -ENOENT, "again: ENOENT");
}

/* So many models and no more; those of an agent that died go at the next READY. */
static void test_many_models(void)
{
	struct braid_get_info i = { .size = sizeof(i) };
	struct braid_model_del d = { .size = sizeof(d) };
	int err = 0, n = 0;
	char name[32];
	uint64_t id;

	while (!err && n < 5000) {
		snprintf(name, sizeof(name), "many-%d", n);
		id = abi_model(&a, name, 3, ABI_BYTES, &err);
		if (id) {
			d.id = id;
			n++;
		}
	}
	is_int(err, -EAGAIN, "too many models: EAGAIN");
	ok(n >= 500, "after %d", n);
	is_int(abi_call(&a, BRAID_NR_MODEL_DEL, &d), 0, "one is withdrawn");
	abi_successor(&a);
	abi_call(&t, BRAID_NR_GET_INFO, &i);
	is_int(i.models, 1, "the next agent's are the only ones left");
	ok(abi_model(&a, "many-0", 3, ABI_BYTES, NULL), "and there is room again");
}

static void test_alone(void)
{
	struct peer second = { .agent = true };

	if (!abi->device) {
		tap_skip("a second agent", "over the socket there is no way to be one");
		return;
	}
	is_int(abi->agent(&second), -EBUSY, "a second agent: EBUSY");
}

int main(int argc, char **argv)
{
	uint64_t m;

	abi_start(argc, argv);
	abi_agent(&a);
	abi_tenant(&t);
	test_alone();
	test_model_put();
	m = abi_model(&a, "m", 1, ABI_BYTES, NULL);
	test_before_ready();
	test_fetch_errors(m);
	test_room(m);
	test_buffers();
	test_commit_errors(m);
	test_model_del(m);
	test_many_models();
	abi_close(&t);
	abi_close(&a);
	return abi_stop();
}
