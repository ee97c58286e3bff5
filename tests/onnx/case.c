// SPDX-License-Identifier: MIT
/*
 * Runs one case of ONNX's backend tests, guarded by a process of its own.
 *
 * Shapes are bound at load here, while many cases hand over what shapes hang
 * on (axes, sizes, repeats) as inputs. A model that is refused as it stands is
 * therefore tried once more with those inputs made constants, which is what
 * its exporter or its configuration would have done.
 */
#include "tests/onnx/case.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <search.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cpu/eval.h"
#include "agent/onnx/tensor.h"
#include "agent/program/build.h"
#include "agent/program/load.h"
#include "onnx.pb-c.h"

#define MAX_IO		64
#define CASE_SECONDS	60

struct bytes {
	uint8_t *data;
	size_t len;
};

/* A case while it runs: the child's; nothing of it is freed one by one. */
struct run {
	Onnx__ValueInfoProto **in;	/* graph inputs without initializers */
	uint32_t n_in;
	Onnx__ModelProto *model;
	const char *dir;
	const struct case_how *how;
	struct case_result *r;
};

__attribute__((format(printf, 3, 4)))
static void verdict(struct case_result *r, enum case_verdict v, const char *fmt, ...)
{
	va_list ap;

	r->verdict = v;
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
}

static bool read_all(const char *path, struct bytes *b)
{
	FILE *f = fopen(path, "rb");
	long n = -1;

	b->data = NULL;
	if (!f)
		return false;
	if (!fseek(f, 0, SEEK_END))
		n = ftell(f);
	if (n >= 0 && !fseek(f, 0, SEEK_SET)) {
		b->data = malloc(n + 1);
		b->len = b->data ? fread(b->data, 1, n, f) : 0;
		if (b->len != (size_t)n) {
			free(b->data);
			b->data = NULL;
		}
	}
	fclose(f);
	return b->data;
}

static Onnx__TensorProto *read_tensor(const char *dir, unsigned int set, const char *what,
				      unsigned int i)
{
	Onnx__TensorProto *t;
	struct bytes b;
	char path[512];

	snprintf(path, sizeof(path), "%s/test_data_set_%u/%s_%u.pb", dir, set, what, i);
	if (!read_all(path, &b))
		return NULL;
	t = onnx__tensor_proto__unpack(NULL, b.len, b.data);
	free(b.data);
	return t;
}

/* ---- what is in the model ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void list_ops(const Onnx__ModelProto *m, struct case_result *r)
{
	const char *names[CASE_MAX_OPS];
	size_t n = 0, at = 0;

	for (size_t i = 0; i < m->graph->n_node && n < CASE_MAX_OPS; i++) {
		const char *name = m->graph->node[i]->op_type;

		if (!n || !lfind(&name, names, &n, sizeof(*names), by_name))
			names[n++] = name;
	}
	qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++) {
		at += snprintf(r->ops + at, sizeof(r->ops) - at, "%s%s", at ? " " : "", names[i]);
		if (at >= sizeof(r->ops))
			break;
	}
	for (size_t i = 0; i < m->n_opset_import; i++)
		if (!m->opset_import[i]->domain || !m->opset_import[i]->domain[0])
			r->opset = (int)m->opset_import[i]->version;
}

/* Inputs that say how to shape the others, by operator. */
static const struct {
	const char *op;
	unsigned int first, last;
} shaping[] = {
	{ "Reshape", 1, 1 }, { "Expand", 1, 1 }, { "Slice", 1, 4 }, { "Squeeze", 1, 1 },
	{ "Unsqueeze", 1, 1 }, { "Pad", 1, 3 }, { "Tile", 1, 2 }, { "TopK", 1, 1 },
	{ "Resize", 1, 3 }, { "Upsample", 1, 1 }, { "Split", 1, 1 }, { "ReduceSum", 1, 1 },
	{ "ConstantOfShape", 0, 0 }, { "Range", 0, 2 }, { "OneHot", 1, 1 }, { "CumSum", 1, 1 },
	{ "Trilu", 1, 1 }, { "Compress", 1, 1 }, { "NonZero", 0, 0 },
	{ "ReverseSequence", 1, 1 }, { "Dropout", 1, 2 }, { "HannWindow", 0, 0 },
	{ "HammingWindow", 0, 0 }, { "BlackmanWindow", 0, 0 }, { "MaxUnpool", 2, 2 },
};

/* Does a node need this value to know its result's shape? */
static bool shapes_node(const Onnx__NodeProto *n, const char *value)
{
	for (size_t s = 0; s < sizeof(shaping) / sizeof(*shaping); s++) {
		if (strcmp(n->op_type, shaping[s].op))
			continue;
		for (size_t k = shaping[s].first; k <= shaping[s].last && k < n->n_input; k++)
			if (!strcmp(n->input[k], value))
				return true;
	}
	return false;
}

/*
 * Do shapes hang on this value, here or further on? A value's own shape is
 * known, so that Shape and Size end the search. Graphs have no cycles, and
 * those of the cases are small; the depth is bounded for the sake of others.
 */
static bool shapes_something(const Onnx__GraphProto *g, const char *value, int depth)
{
	for (size_t i = 0; i < g->n_node && depth < 24; i++) {
		const Onnx__NodeProto *n = g->node[i];

		if (shapes_node(n, value))
			return true;
		if (!strcmp(n->op_type, "Shape") || !strcmp(n->op_type, "Size"))
			continue;
		for (size_t k = 0; k < n->n_input; k++) {
			if (strcmp(n->input[k], value))
				continue;
			for (size_t o = 0; o < n->n_output; o++)
				if (n->output[o][0] &&
				    shapes_something(g, n->output[o], depth + 1))
					return true;
		}
	}
	return false;
}

/* Does an initializer hold it? */
static bool has_value(const struct run *run, const char *name)
{
	const Onnx__GraphProto *g = run->model->graph;

	for (size_t i = 0; i < g->n_initializer; i++)
		if (!strcmp(g->initializer[i]->name, name))
			return true;
	return false;
}

static void find_inputs(struct run *run)
{
	const Onnx__GraphProto *g = run->model->graph;

	run->in = calloc(MAX_IO, sizeof(*run->in));
	for (size_t i = 0; run->in && i < g->n_input && run->n_in < MAX_IO; i++)
		if (!has_value(run, g->input[i]->name))
			run->in[run->n_in++] = g->input[i];
}

/* ---- fixing the inputs that shape others ---- */

/* The model again, with these inputs of set @set as initializers. */
static bool bind(struct run *run, unsigned int set, struct bytes *out)
{
	Onnx__GraphProto *g = run->model->graph;
	size_t had = g->n_initializer, at = 0;
	Onnx__TensorProto **was = g->initializer, **now;
	bool any = false;

	now = calloc(had + run->n_in + 1, sizeof(*now));
	if (!now)
		return false;
	if (had)
		memcpy(now, was, had * sizeof(*now));
	for (uint32_t i = 0; i < run->n_in; i++) {
		Onnx__TensorProto *t;

		if (!shapes_something(g, run->in[i]->name, 0))
			continue;
		t = read_tensor(run->dir, set, "input", i);
		if (!t)
			continue;
		t->name = run->in[i]->name;
		now[had++] = t;
		any = true;
		at += snprintf(run->r->bound + at, sizeof(run->r->bound) - at, "%s%s",
			       at ? ", " : "", run->in[i]->name);
		if (at >= sizeof(run->r->bound))
			at = sizeof(run->r->bound) - 1;
	}
	if (any) {
		g->initializer = now;
		g->n_initializer = had;
		out->len = onnx__model_proto__get_packed_size(run->model);
		out->data = malloc(out->len);
		if (out->data)
			onnx__model_proto__pack(run->model, out->data);
	}
	return any && out->data;
}

/* ---- running ---- */

/* Does the file fix every extent? */
static bool has_extents(const Onnx__TensorShapeProto *shape)
{
	for (size_t i = 0; shape && i < shape->n_dim; i++)
		if (shape->dim[i]->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ||
		    shape->dim[i]->dim_value < 1)
			return false;
	return shape;
}

static struct program *load(struct run *run, const struct bytes *model, unsigned int set,
			    bool passes, int *err)
{
	struct load_shape shapes[MAX_IO];
	struct load_config cfg = { .shapes = shapes, .passes = passes };
	struct program *p = NULL;

	/* Extents that the file leaves open are those of the data; the others speak for themselves. */
	for (uint32_t i = 0; i < run->n_in; i++) {
		struct load_shape *s = &shapes[cfg.n_shapes];
		const Onnx__TypeProto *type = run->in[i]->type;
		Onnx__TensorProto *t;

		if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
		    has_extents(type->tensor_type->shape))
			continue;
		t = read_tensor(run->dir, set, "input", i);
		if (!t || t->n_dims > PROG_MAX_RANK || has_value(run, run->in[i]->name))
			continue;
		s->input = run->in[i]->name;
		s->rank = (uint32_t)t->n_dims;
		memcpy(s->dims, t->dims, t->n_dims * sizeof(*t->dims));
		cfg.n_shapes++;
	}
	*err = program_load_mem(model->data, model->len, "model.onnx", &cfg, &p, run->r->why,
				sizeof(run->r->why));
	return p;
}

/* A refusal must say who: an operator of the model, an input or an output of it. */
static void refused(struct run *run, const char *why)
{
	const Onnx__GraphProto *g = run->model->graph;
	char quoted[160];
	bool named = false;

	for (size_t i = 0; i < g->n_node; i++)
		named |= strstr(why, g->node[i]->op_type) != NULL;
	for (size_t i = 0; i < g->n_input; i++) {
		snprintf(quoted, sizeof(quoted), "input '%s'", g->input[i]->name);
		named |= strstr(why, quoted) != NULL;
	}
	for (size_t i = 0; i < g->n_output; i++) {
		snprintf(quoted, sizeof(quoted), "output '%s'", g->output[i]->name);
		named |= strstr(why, quoted) != NULL;
	}
	run->r->verdict = named ? CASE_REFUSED : CASE_FAILED;
}

static bool close_enough(double got, double want)
{
	if (isnan(want) || isnan(got))
		return isnan(want) && isnan(got);
	if (isinf(want) || isinf(got))
		return want == got;
	return fabs(got - want) <= CASE_ATOL + CASE_RTOL * fabs(want);
}

/* Relative L2 distance of two constants of one shape; NaN where one holds NaN. */
static double distance(const struct build *b, uint32_t have, uint32_t want)
{
	double off = 0, all = 0;

	for (int64_t k = 0; k < build_t(b, want)->elems; k++) {
		double g = build_elem(b, have, k), w = build_elem(b, want, k);

		off += (g - w) * (g - w);
		all += w * w;
	}
	return all > 0 ? sqrt(off / all) : sqrt(off);
}

/* ONNX's own files hold bfloat16 as the bits of an uint16. */
static void as_declared(Onnx__TensorProto *pb, enum braid_type type)
{
	if (type == BRAID_TYPE_BF16 && pb->data_type == (int)BRAID_TYPE_U16)
		pb->data_type = BRAID_TYPE_BF16;
}

/* Some hand over one element for an input that lends its type alone. */
static uint32_t repeat(struct build *b, uint32_t c, const struct prog_tensor *t)
{
	const struct build_tensor *x = build_t(b, c);
	size_t size = prog_type_size(x->type);
	void *data;
	uint32_t y = build_const_new(b, x->type, t->rank, t->dims, &data);

	for (int64_t i = 0; data && i < t->elems; i++)
		memcpy((char *)data + i * size, x->data, size);
	return y;
}

/* Another first element: a larger float, a neighbouring index. */
static void disturb(void *data, enum braid_type type)
{
	if (type == BRAID_TYPE_F32)
		*(float *)data += 3.0f;
	else
		*(uint8_t *)data ^= 1;
}

/* @got holds what output @i of the program gave; @b serves to read elements. */
static bool compare(struct run *run, struct build *b, const struct program *p, uint32_t i,
		    const void *got, unsigned int set)
{
	const struct prog_tensor *t = &p->tensors[p->outputs[i].tensor];
	Onnx__TensorProto *pb = read_tensor(run->dir, set, "output", i);
	const char *name = p->outputs[i].name;
	const struct build_tensor *x;
	uint32_t want, have;

	if (!pb) {
		verdict(run->r, CASE_FAILED, "output_%u.pb of set %u cannot be read", i, set);
		return false;
	}
	as_declared(pb, t->type);
	want = onnx_tensor(b, pb, "expected output");
	have = build_const_ref(b, t->type, t->rank, t->dims, got);
	if (b->err) {
		verdict(run->r, CASE_FAILED, "output '%s': %s", name, b->why);
		return false;
	}
	x = build_t(b, want);
	if (x->type != t->type || !build_same_shape(b, want, have)) {
		char dims[2][96] = { "", "" };

		for (uint32_t k = 0; k < x->rank; k++)
			snprintf(dims[0] + strlen(dims[0]), 12, "[%d]", (int)x->dims[k]);
		for (uint32_t k = 0; k < t->rank; k++)
			snprintf(dims[1] + strlen(dims[1]), 12, "[%d]", (int)t->dims[k]);
		verdict(run->r, CASE_FAILED, "output '%s' has type %d and shape %s, expected %d and %s",
			name, t->type, dims[1], x->type, dims[0]);
		return false;
	}
	if (run->how->rule != CASE_BY_ELEMENT && prog_type_is_float(t->type)) {
		double d = distance(b, have, want), most = run->how->l2 ? run->how->l2 : CASE_L2;

		if (!(d <= most))
			verdict(run->r, CASE_FAILED, "output '%s' is off by %.3g, relative L2", name, d);
		return d <= most;
	}
	for (int64_t k = 0; k < x->elems; k++) {
		double g = build_elem(b, have, k), w = build_elem(b, want, k);
		bool exact = !prog_type_is_float(t->type);

		if (exact ? memcmp((const char *)got + k * prog_type_size(t->type),
				   (const char *)x->data + k * prog_type_size(t->type),
				   prog_type_size(t->type)) : !close_enough(g, w)) {
			verdict(run->r, CASE_FAILED, "output '%s', element %lld is %.9g, expected %.9g",
				name, (long long)k, g, w);
			return false;
		}
	}
	return true;
}

/* One data set through a loaded program. */
static bool run_set(struct run *run, const struct program *p, unsigned int set)
{
	const void *in[MAX_IO];
	void *out[MAX_IO];
	struct build *b = build_new();
	int err;

	if (!b || p->n_inputs > MAX_IO || p->n_outputs > MAX_IO) {
		verdict(run->r, CASE_FAILED, "too many inputs or outputs, or no memory");
		return false;
	}
	for (uint32_t i = 0; i < p->n_inputs; i++) {
		const struct prog_tensor *t = &p->tensors[p->inputs[i].tensor];
		Onnx__TensorProto *pb = NULL;
		uint32_t c;

		for (uint32_t k = 0; k < run->n_in; k++)
			if (!strcmp(run->in[k]->name, p->inputs[i].name))
				pb = read_tensor(run->dir, set, "input", k);
		if (!pb) {
			verdict(run->r, CASE_FAILED, "data of input '%s' cannot be read",
				p->inputs[i].name);
			return false;
		}
		as_declared(pb, t->type);
		c = onnx_tensor(b, pb, p->inputs[i].name);
		if (!b->err && build_t(b, c)->elems == 1)
			c = repeat(b, c, t);
		if (b->err || build_t(b, c)->type != t->type || build_t(b, c)->elems != t->elems) {
			verdict(run->r, CASE_FAILED, "data of input '%s' does not fit: %s",
				p->inputs[i].name, b->why);
			return false;
		}
		/* A copy with exactly its bytes, so that a sanitizer sees what is read. */
		in[i] = malloc(t->elems * prog_type_size(t->type));
		memcpy((void *)in[i], build_t(b, c)->data, t->elems * prog_type_size(t->type));
		if (!i && run->how->rule == CASE_BY_L2_DISTURBED)
			disturb((void *)in[i], t->type);
	}
	for (uint32_t i = 0; i < p->n_outputs; i++) {
		const struct prog_tensor *t = &p->tensors[p->outputs[i].tensor];

		out[i] = malloc(t->elems * prog_type_size(t->type));
		memset(out[i], 0xa5, t->elems * prog_type_size(t->type));
	}
	err = (run->how->eval ? run->how->eval : cpu_eval)(p, in, out, run->r->why,
							   sizeof(run->r->why));
	if (err == -EOPNOTSUPP) {
		refused(run, run->r->why);
		return false;
	}
	if (err) {
		char why[200];

		snprintf(why, sizeof(why), "%.199s", run->r->why);
		verdict(run->r, CASE_FAILED, "it does not run: %s; %s", strerror(-err), why);
		return false;
	}
	for (uint32_t i = 0; i < p->n_outputs; i++)
		if (!compare(run, b, p, i, out[i], set))
			return false;
	return true;
}

/* All data sets, with or without the optimising passes. */
static void run_all(struct run *run, const struct bytes *plain, bool passes)
{
	bool model_bound = false;
	struct bytes model = *plain;
	struct program *p;
	unsigned int set;
	int err;

	for (set = 0; ; set++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/test_data_set_%u", run->dir, set);
		if (access(path, R_OK))
			break;
		p = load(run, &model, set, passes, &err);
		if (err && !model_bound && bind(run, set, &model)) {
			model_bound = true;
			p = load(run, &model, set, passes, &err);
		}
		if (err) {
			refused(run, run->r->why);
			if (err != -EOPNOTSUPP)
				run->r->verdict = CASE_FAILED;
			return;
		}
		run->r->verdict = CASE_PASSED;
		if (!run_set(run, p, set))
			return;
	}
	if (!set)
		verdict(run->r, CASE_FAILED, "it has no data");
}

static void child(const char *dir, const struct case_how *how, struct case_result *r)
{
	struct case_result without;
	struct bytes model;
	char path[512];

	snprintf(path, sizeof(path), "%s/model.onnx", dir);
	verdict(r, CASE_FAILED, "its model cannot be read");
	if (!read_all(path, &model))
		return;
	for (int passes = 0; passes < 2; passes++) {
		struct run run = { .dir = dir, .how = how, .r = r };

		memset(r, 0, sizeof(*r));
		verdict(r, CASE_FAILED, "its model cannot be parsed");
		run.model = onnx__model_proto__unpack(NULL, model.len, model.data);
		if (!run.model || !run.model->graph)
			return;
		list_ops(run.model, r);
		find_inputs(&run);
		run_all(&run, &model, passes);
		if (!passes)
			without = *r;
		if (r->verdict == CASE_FAILED)
			return;
	}
	if (r->verdict != without.verdict)
		verdict(r, CASE_FAILED, "passes change the verdict; without: %.200s; with: %.200s",
			without.verdict ? without.why : "passed", r->verdict ? r->why : "passed");
	if (r->verdict == CASE_PASSED)
		r->why[0] = '\0';
}

void case_run(const char *dir, const struct case_how *how, struct case_result *r)
{
	int fd[2], status = 0;
	size_t got = 0;
	pid_t pid;

	memset(r, 0, sizeof(*r));
	if (how->here) {
		child(dir, how, r);
		return;
	}
	verdict(r, CASE_FAILED, "no process for it: %s", strerror(errno));
	fflush(stdout);
	if (pipe2(fd, O_CLOEXEC))
		return;
	pid = fork();
	if (pid < 0) {
		close(fd[0]);
		close(fd[1]);
		return;
	}
	if (!pid) {
		struct case_result mine;
		const char *p = (const char *)&mine;
		size_t left = sizeof(mine);

		close(fd[0]);
		alarm(CASE_SECONDS);
		memset(&mine, 0, sizeof(mine));
		child(dir, how, &mine);
		while (left) {
			ssize_t n = write(fd[1], p, left);

			if (n <= 0)
				_exit(1);
			p += n;
			left -= n;
		}
		_exit(0);
	}
	close(fd[1]);
	while (got < sizeof(*r)) {
		ssize_t n = read(fd[0], (char *)r + got, sizeof(*r) - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += n;
	}
	close(fd[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (got == sizeof(*r) && WIFEXITED(status) && !WEXITSTATUS(status))
		return;
	memset(r, 0, sizeof(*r));
	if (WIFSIGNALED(status))
		verdict(r, CASE_FAILED, "killed by signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		verdict(r, CASE_FAILED, "its process ended with status %d", WEXITSTATUS(status));
}
