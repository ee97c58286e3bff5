// SPDX-License-Identifier: MIT
/*
 * The CPU backend from outside: launches of any mix of models and degrees, on
 * any number of threads, give what cpu_eval() gives for each request alone;
 * what does not fit is refused; closing in the middle is safe.
 *
 * Requests have inputs of their own, and every comparison of requests is made
 * only after they have been seen to differ by far more than the tolerance.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/backend/backend.h"
#include "agent/cpu/eval.h"
#include "agent/program/build.h"
#include "tests/cpu/one.h"
#include "tests/tap.h"

#define TOLERANCE	1e-5
#define MODELS		3
#define REQUESTS	24	/* of each model */
#define GROUPS		8
#define LAUNCHES	6

static const struct backend_ops *const ops = &cpu_backend_ops;

/* One model with all its requests: [request][elems] in two buffers. */
struct subject {
	struct program *p;
	struct backend_model *model;
	int64_t in_elems, out_elems;
	float *in, *out, *want;
	int in_fd, out_fd;
	struct backend_buf *in_buf, *out_buf;
};

static uint32_t rand_const(struct build *b, struct one_rng *g, uint32_t rank,
			   const int64_t *dims)
{
	int64_t n = 1;
	void *data;
	uint32_t t = build_const_new(b, BRAID_TYPE_F32, rank, dims, &data);

	for (uint32_t i = 0; i < rank; i++)
		n *= dims[i];
	for (int64_t i = 0; data && i < n; i++)
		((float *)data)[i] = one_float(g);
	return t;
}

static uint32_t conv(struct build *b, struct one_rng *g, uint32_t x, int64_t c, int64_t m,
		     int64_t size)
{
	const int64_t wd[] = { m, 1, 3, 3, c }, yd[] = { 1, 1, size, size, m };
	uint32_t in[] = { x, rand_const(b, g, 5, wd), rand_const(b, g, 1, &m) };
	struct prog_op *op = build_op(b, PROG_CONV, 3, in, 1);
	struct prog_window *win = &op->params.conv.win;

	for (int i = 0; i < 3; i++) {
		win->kernel[i] = i ? 3 : 1;
		win->stride[i] = win->dilation[i] = 1;
		win->pad_lo[i] = win->pad_hi[i] = i ? 1 : 0;
	}
	op->params.conv.group = 1;
	return build_set_out(b, op, 0, BRAID_TYPE_F32, 5, yd);
}

/* A small network with branches, a small perceptron, a chain of small steps. */
static struct program *make(int which, struct one_rng *g)
{
	const int64_t image[] = { 1, 1, 19, 19, 3 }, row[] = { 4, 64 }, line[] = { 500 };
	const int64_t w1[] = { 64, 300 }, w2[] = { 300, 10 };
	struct build *b = build_new();
	struct program *p = NULL;
	uint32_t x, y, z;

	switch (which) {
	case 0:
		x = build_input(b, "x", BRAID_TYPE_F32, 5, image);
		x = conv(b, g, x, 3, 20, 19);
		y = build_unary(b, conv(b, g, x, 20, 20, 19), PROG_FN_RELU, 0, 0);
		z = build_unary(b, conv(b, g, x, 20, 20, 19), PROG_FN_SIGMOID, 0, 0);
		y = build_binary(b, PROG_BIN_ADD, y, z);
		build_output(b, "y", build_reduce(b, y, PROG_RED_MEAN, 0xc, false));
		break;
	case 1:
		x = build_input(b, "x", BRAID_TYPE_F32, 2, row);
		y = build_gemm(b, x, rand_const(b, g, 2, w1), PROG_NONE, false, false, 1.0f);
		y = build_unary(b, y, PROG_FN_TANH, 0, 0);
		y = build_gemm(b, y, rand_const(b, g, 2, w2), PROG_NONE, false, false, 1.0f);
		build_output(b, "y", y);
		break;
	default:
		y = build_input(b, "x", BRAID_TYPE_F32, 1, line);
		for (int i = 0; i < 20; i++) {
			x = build_unary(b, y, PROG_FN_SIGMOID, 0, 0);
			z = build_unary(b, y, PROG_FN_TANH, 0, 0);
			y = build_binary(b, PROG_BIN_SUB, x, z);
		}
		z = build_scalar(b, BRAID_TYPE_F32, 3);
		build_output(b, "y", build_binary(b, PROG_BIN_MUL, y, z));
		break;
	}
	if (build_finish(b, &p))
		diag("model %d: %s", which, b->why);
	build_free(b);
	return p;
}

static void *memory(const char *name, size_t bytes, int *fd)
{
	void *p;

	*fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0 || ftruncate(*fd, (off_t)bytes) ||
	    fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		abort();
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (p == MAP_FAILED)
		abort();
	return p;
}

static bool subject_init(struct subject *s, int which, struct one_rng *g)
{
	char why[256] = "";

	s->p = make(which, g);
	if (!s->p)
		return false;
	s->in_elems = s->p->tensors[s->p->inputs[0].tensor].elems;
	s->out_elems = s->p->tensors[s->p->outputs[0].tensor].elems;
	s->in = memory("in", REQUESTS * s->in_elems * sizeof(float), &s->in_fd);
	s->out = memory("out", REQUESTS * s->out_elems * sizeof(float), &s->out_fd);
	s->want = calloc(REQUESTS * s->out_elems, sizeof(float));
	for (int64_t i = 0; i < REQUESTS * s->in_elems; i++)
		s->in[i] = one_float(g);
	for (int r = 0; r < REQUESTS; r++) {
		const void *in = s->in + r * s->in_elems;
		void *out = s->want + r * s->out_elems;

		if (cpu_eval(s->p, &in, &out, why, sizeof(why))) {
			diag("cpu_eval: %s", why);
			return false;
		}
	}
	return true;
}

static bool subject_open(struct subject *s, struct backend *be)
{
	char why[256] = "";

	if (ops->model_load(be, s->p, NULL, &s->model, why, sizeof(why))) {
		diag("load: %s", why);
		return false;
	}
	return !ops->buf_map(be, s->in_fd, REQUESTS * s->in_elems * sizeof(float), 0, &s->in_buf) &&
	       !ops->buf_map(be, s->out_fd, REQUESTS * s->out_elems * sizeof(float), 0, &s->out_buf);
}

static void subject_close(struct subject *s, struct backend *be)
{
	ops->model_unload(be, s->model);
	ops->buf_unmap(be, s->in_buf, NULL);
	ops->buf_unmap(be, s->out_buf, NULL);
}

static void subject_free(struct subject *s)
{
	munmap(s->in, REQUESTS * s->in_elems * sizeof(float));
	munmap(s->out, REQUESTS * s->out_elems * sizeof(float));
	close(s->in_fd);
	close(s->out_fd);
	free(s->want);
	program_free(s->p);
}

/* The smallest distance of two requests' results. */
static double apart(const struct subject *s)
{
	double least = INFINITY;

	for (int r = 1; r < REQUESTS; r++) {
		double d = one_distance(s->want + r * s->out_elems,
					s->want + (r - 1) * s->out_elems, s->out_elems);

		least = d < least ? d : least;
	}
	return least;
}

static void set_io(struct subject *s, struct backend_io *io, int request, int result)
{
	io[0].buf = s->in_buf;
	io[0].offset = (uint64_t)(request * s->in_elems) * sizeof(float);
	io[1].buf = s->out_buf;
	io[1].offset = (uint64_t)(result * s->out_elems) * sizeof(float);
}

static int wrong_results(const struct subject *s)
{
	int wrong = 0;

	for (int r = 0; r < REQUESTS; r++)
		if (one_distance(s->out + r * s->out_elems, s->want + r * s->out_elems,
				 s->out_elems) > TOLERANCE)
			wrong++;
	return wrong;
}

struct load {
	struct backend_launch launches[LAUNCHES * 4];
	struct backend_group groups[LAUNCHES * 4][GROUPS];
	struct backend_io io[MODELS][REQUESTS][2];
};

/*
 * Every request of every model once, cut into groups and launches by chance,
 * all launched before the first is reaped. Returns the number of groups.
 */
static int launch_all(struct backend *be, struct subject *s, struct load *ld,
		      struct one_rng *g, uint32_t max_degree, bool fuse)
{
	int at[MODELS] = { 0 }, n_launches = 0, n = 0, err = 0;

	memset(ld, 0, sizeof(*ld));
	for (int m = 0; m < MODELS; m++)
		for (int r = 0; r < REQUESTS; r++)
			set_io(&s[m], ld->io[m][r], r, r);
	while (at[0] + at[1] + at[2] < MODELS * REQUESTS) {
		struct backend_launch *l = &ld->launches[n_launches];
		int groups = fuse ? (int)one_range(g, 1, GROUPS) : 1;

		/* The last launches take all that is left. */
		l->groups = ld->groups[n_launches];
		while ((int)l->n_groups < groups && at[0] + at[1] + at[2] < MODELS * REQUESTS) {
			struct backend_group *grp = &l->groups[l->n_groups];
			int m = (int)one_range(g, 0, MODELS - 1);
			int degree = (int)one_range(g, 2, max_degree);

			if (at[m] == REQUESTS)
				continue;
			if (degree > REQUESTS - at[m])
				degree = REQUESTS - at[m];
			grp->model = s[m].model;
			grp->degree = (uint32_t)degree;
			grp->io = ld->io[m][at[m]];
			at[m] += degree;
			l->n_groups++;
			n++;
		}
		if (++n_launches == LAUNCHES * 4 && at[0] + at[1] + at[2] < MODELS * REQUESTS)
			return -1;
		err = ops->launch(be, l);
		if (err)
			return err;
	}
	return n;
}

static int reap_all(struct backend *be, int n, int *bad)
{
	struct backend_group *done[4];
	struct pollfd pfd = { .fd = ops->event_fd(be), .events = POLLIN };
	int seen = 0;

	while (seen < n) {
		unsigned int k;

		if (poll(&pfd, 1, 20000) != 1)
			return seen;
		k = ops->reap(be, done, 4);
		for (unsigned int i = 0; i < k; i++)
			if (done[i]->status || !done[i]->device_ns ||
			    done[i]->end_ns < done[i]->start_ns)
				++*bad;
		seen += (int)k;
	}
	return seen;
}

static void check_threads(struct subject *s, uint32_t threads, uint32_t lanes)
{
	struct backend_config cfg = { .threads = threads, .lanes = lanes, .max_degree = 8 };
	struct one_rng g = { threads * 100 + lanes };
	static struct load ld;
	struct backend *be;
	char why[256] = "";
	int bad = 0, wrong = 0, lost = 0;

	if (!ok(!ops->open(&cfg, &be, why, sizeof(why)), "open with %u threads, %u lanes",
		threads, lanes)) {
		diag("%s", why);
		return;
	}
	for (int m = 0; m < MODELS; m++)
		if (!subject_open(&s[m], be))
			bad++;
	for (int round = 0; round < 12 && !bad; round++) {
		int n;

		for (int m = 0; m < MODELS; m++)
			memset(s[m].out, 0, REQUESTS * s[m].out_elems * sizeof(float));
		n = launch_all(be, s, &ld, &g, 8, round % 3 != 0);
		if (n < 0 || reap_all(be, n, &bad) != n)
			lost++;
		for (int m = 0; m < MODELS; m++)
			wrong += wrong_results(&s[m]);
	}
	ok(!bad && !lost && !wrong, "%u threads, %u lanes: every group done, every result right",
	   threads, lanes);
	is_int(ops->credits(be, s[0].model, true), lanes * 8, "all lanes are free again");
	is_int(ops->credits(be, s[0].model, false), lanes, "a lane takes one request, unmerged");
	for (int m = 0; m < MODELS; m++)
		subject_close(&s[m], be);
	ops->close(be);
}

static void check_swap(struct subject *s)
{
	struct backend_config cfg = { .threads = 2, .lanes = 1, .max_degree = 8 };
	struct backend_group grp = { 0 };
	struct backend_launch l = { .groups = &grp, .n_groups = 1 };
	struct backend_io io[2][2];
	struct backend *be;
	int bad = 0;

	if (ops->open(&cfg, &be, NULL, 0) || !subject_open(s, be)) {
		ok(false, "open for the swapped merge");
		return;
	}
	memcpy(s->out, s->want, REQUESTS * s->out_elems * sizeof(float));
	is_int(wrong_results(s), 0, "results in their places are right");
	set_io(s, io[0], 0, 1);
	set_io(s, io[1], 1, 0);
	grp.model = s->model;
	grp.degree = 2;
	grp.io = io[0];
	ok(!ops->launch(be, &l) && reap_all(be, 1, &bad) == 1, "a merge with its outputs swapped");
	is_int(wrong_results(s), 2, "is found out, twice");
	subject_close(s, be);
	ops->close(be);
}

static void check_refusals(struct subject *s)
{
	struct backend_config cfg = { .threads = 1, .lanes = 1, .max_degree = 4 };
	struct backend_group grp = { .degree = 1 }, *done[1];
	struct backend_launch l = { .groups = &grp, .n_groups = 1 };
	uint64_t out_bytes = REQUESTS * s->out_elems * sizeof(float);
	struct backend_buf *buf;
	struct backend_io io[2];
	struct backend *be;
	int fd;

	if (ops->open(&cfg, &be, NULL, 0) || !subject_open(s, be)) {
		ok(false, "open for refusals");
		return;
	}
	grp.model = s->model;
	grp.io = io;
	set_io(s, io, 0, 0);
	grp.degree = 0;
	is_int(ops->launch(be, &l), -EINVAL, "degree 0");
	grp.degree = 5;
	is_int(ops->launch(be, &l), -EINVAL, "a degree above the highest");
	grp.degree = 1;
	io[1].offset = out_bytes;
	is_int(ops->launch(be, &l), -EINVAL, "an offset behind the end");
	io[1].offset = out_bytes - s->out_elems * sizeof(float) + 4;
	is_int(ops->launch(be, &l), -EINVAL, "an offset that leaves too little");
	io[1].offset = UINT64_MAX - 3;
	is_int(ops->launch(be, &l), -EINVAL, "an offset that would overflow");
	io[1].offset = 2;
	is_int(ops->launch(be, &l), -EINVAL, "an offset within an element");
	io[1].offset = 0;
	io[0].buf = NULL;
	is_int(ops->launch(be, &l), -EINVAL, "no buffer");
	l.n_groups = 0;
	is_int(ops->launch(be, &l), -EINVAL, "no group");
	is_int(ops->reap(be, done, 1), 0, "nothing of that was run");

	fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ftruncate(fd, 4096))
		abort();
	is_int(ops->buf_map(be, fd, 4096, 0, &buf), -EPERM, "a file that could shrink");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
		abort();
	is_int(ops->buf_map(be, fd, 8192, 0, &buf), -EINVAL, "a file smaller than said");
	is_int(ops->buf_map(be, fd, 0, 0, &buf), -EINVAL, "a buffer of no bytes");
	is_int(ops->buf_map(be, -1, 4096, 0, &buf), -EBADF, "no file");
	is_int(ops->buf_map(be, fd, 4096, 0, &buf), 0, "a sealed file is mapped");
	ops->buf_unmap(be, buf, NULL);
	close(fd);
	subject_close(s, be);
	ops->close(be);
}

static void check_close(struct subject *s)
{
	struct backend_config cfg = { .threads = 3, .lanes = 2, .max_degree = 8 };
	struct one_rng g = { 77 };
	static struct load ld;
	int bad = 0;

	for (int round = 0; round < 20; round++) {
		struct backend *be;
		int n;

		if (ops->open(&cfg, &be, NULL, 0)) {
			bad++;
			break;
		}
		for (int m = 0; m < MODELS; m++)
			if (!subject_open(&s[m], be))
				bad++;
		n = launch_all(be, s, &ld, &g, 8, true);
		if (n < 0)
			bad++;
		/* Now and then after some have been reaped, mostly at once. */
		if (round % 4 == 0)
			reap_all(be, n / 2, &bad);
		ops->close(be);
		for (int m = 0; m < MODELS; m++)
			subject_close(&s[m], NULL);
	}
	ok(!bad, "closed with launches running and waiting");
}

int main(void)
{
	struct subject s[MODELS] = { 0 };
	struct one_rng g = { 42 };

	for (int m = 0; m < MODELS; m++) {
		if (!ok(subject_init(&s[m], m, &g), "model %d", m))
			return tap_done();
		ok(apart(&s[m]) > 10 * TOLERANCE, "its requests differ: %.1e", apart(&s[m]));
	}
	for (uint32_t threads = 1; threads <= 4; threads++)
		for (uint32_t lanes = 1; lanes <= 3; lanes++)
			check_threads(s, threads, lanes);
	check_swap(&s[0]);
	check_refusals(&s[0]);
	check_close(s);
	for (int m = 0; m < MODELS; m++)
		subject_free(&s[m]);
	return tap_done();
}
