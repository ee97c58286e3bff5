// SPDX-License-Identifier: MIT
/*
 * The device: kernels compiled by several threads, plans as graphs, time.
 * Owns all memory of the device that a lane has.
 */
#include "tools/tune/tune.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/lower/tiles.h"
#include "agent/program/program.h"

#define MAX_CODES	8192
#define MAX_THREADS	32

#define ATTR_DEPENDENT	6	/* CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION */

struct code {
	char *name;
	cu_module module;
	cu_function f;
};

/* CUlaunchAttribute and CUlaunchConfig, in the layout of CUDA 12. */
struct attribute {
	int id;
	int pad;
	union {
		unsigned int dim[3];
		int on;
		char room[64];
	} v;
};

struct config {
	unsigned int grid[3], block[3], shared;
	cu_stream stream;
	struct attribute *attributes;
	unsigned int n;
};

void gpu_die(struct gpu *g, cu_result res, const char *what)
{
	if (!res)
		return;
	fprintf(stderr, "%s: %s\n", what, cu_words(&g->cu, res));
	exit(1);
}

static void *need(struct gpu *g, const char *name)
{
	void *p = dlsym(g->cu.lib, name);

	if (!p) {
		fprintf(stderr, "the driver has no %s\n", name);
		exit(1);
	}
	return p;
}

int gpu_open(struct gpu *g)
{
	char why[256];
	cu_device dev;
	int v[3];

	memset(g, 0, sizeof(*g));
	if (cu_load(&g->cu, why, sizeof(why)) || nvrtc_load(&g->rt, g->cu.version, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	gpu_die(g, g->cu.device_get(&dev, 0), "device");
	gpu_die(g, g->cu.device_name(g->name, sizeof(g->name), dev), "name");
	gpu_die(g, g->cu.device_attribute(&v[0], CU_ATTR_MAJOR, dev), "attribute");
	gpu_die(g, g->cu.device_attribute(&v[1], CU_ATTR_MINOR, dev), "attribute");
	gpu_die(g, g->cu.device_attribute(&v[2], CU_ATTR_MULTIPROCESSORS, dev), "attribute");
	g->sm = (uint32_t)(v[0] * 10 + v[1]);
	g->n_sms = (uint32_t)v[2];
	gpu_die(g, g->cu.primary_retain(&g->ctx, dev), "context");
	gpu_die(g, g->cu.ctx_set(g->ctx), "context");
	gpu_die(g, g->cu.stream_new(&g->stream, CU_STREAM_NON_BLOCKING, 0), "stream");
	*(void **)&g->launch_ex = need(g, "cuLaunchKernelEx");
	*(void **)&g->begin_capture = need(g, "cuStreamBeginCapture_v2");
	*(void **)&g->end_capture = need(g, "cuStreamEndCapture");
	g->codes = calloc(MAX_CODES, sizeof(*g->codes));
	return g->codes ? 0 : 1;
}

/* ---- compiling ---- */

struct work {
	struct gpu *g;
	const struct gpu_kernel **todo;
	void **images;
	uint32_t n, next;
	int failed;
	pthread_mutex_t lock;
};

static void *compile_some(void *arg)
{
	struct work *w = arg;

	for (;;) {
		struct nvrtc_job job = {
			.headers = (const struct nvrtc_header *)gpu_headers, .n_headers = gpu_n_headers,
			.sm = (int)w->g->sm,
		};
		char why[2048];
		size_t bytes;
		uint32_t i;

		pthread_mutex_lock(&w->lock);
		i = w->next++;
		pthread_mutex_unlock(&w->lock);
		if (i >= w->n)
			return NULL;
		job.name = w->todo[i]->name;
		job.source = w->todo[i]->source;
		if (nvrtc_run(&w->g->rt, &job, &w->images[i], &bytes, why, sizeof(why))) {
			fprintf(stderr, "%s\n", why);
			w->failed = 1;
		}
	}
}

cu_function gpu_function(struct gpu *g, const char *name)
{
	for (uint32_t i = 0; i < g->n_codes; i++)
		if (!strcmp(g->codes[i].name, name))
			return g->codes[i].f;
	return NULL;
}

static bool is_there(const struct work *w, const char *name)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (!strcmp(w->todo[i]->name, name))
			return true;
	return gpu_function(w->g, name);
}

static void add_work(struct work *w, const struct gpu_plan *plan, const bool *only)
{
	w->todo = realloc(w->todo, (w->n + plan->n_kernels + 1) * sizeof(*w->todo));
	if (!w->todo)
		exit(1);
	for (uint32_t i = 0; i < plan->n_kernels; i++)
		if ((!only || only[i]) && !is_there(w, plan->kernels[i].name))
			w->todo[w->n++] = &plan->kernels[i];
}

int gpu_compile(struct gpu *g, struct gpu_plan *const *plans, bool *const *only, uint32_t n)
{
	struct work w = { .g = g, .lock = PTHREAD_MUTEX_INITIALIZER };
	long n_threads = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[MAX_THREADS];

	for (uint32_t i = 0; i < n; i++)
		add_work(&w, plans[i], only ? only[i] : NULL);
	w.images = calloc(w.n + 1, sizeof(*w.images));
	n_threads = n_threads > MAX_THREADS ? MAX_THREADS : n_threads;
	for (long i = 0; i < n_threads; i++)
		pthread_create(&threads[i], NULL, compile_some, &w);
	for (long i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 0; i < w.n && !w.failed; i++) {
		struct code *c = &g->codes[g->n_codes];

		if (g->n_codes == MAX_CODES) {
			fprintf(stderr, "too many kernels\n");
			exit(1);
		}
		c->name = strdup(w.todo[i]->name);
		gpu_die(g, g->cu.module_load(&c->module, w.images[i]), c->name);
		gpu_die(g, g->cu.module_function(&c->f, c->module, c->name), c->name);
		gpu_die(g, g->cu.func_set(c->f, CU_FUNC_MAX_DYNAMIC, (int)tile_most(g->sm)), c->name);
		free(w.images[i]);
		g->n_codes++;
	}
	free(w.todo);
	free(w.images);
	return w.failed;
}

/* ---- lanes ---- */

static size_t tensor_bytes(const struct program *p, uint32_t t)
{
	return (size_t)p->tensors[t].elems * prog_type_size(p->tensors[t].type);
}

static cu_ptr get(struct gpu *g, uint64_t bytes)
{
	cu_ptr p;

	gpu_die(g, g->cu.mem_alloc(&p, bytes + 256), "memory");
	return p;
}

struct lane *lane_new(struct gpu *g, const struct program *p, const struct gpu_plan *plan,
		      uint32_t degree, const struct lane *beside)
{
	struct lane *l = calloc(1, sizeof(*l));
	uint32_t width = p->n_inputs + p->n_outputs;
	uint64_t zero, scratch = gpu_plan_scratch(plan, degree, &zero);

	*l = (struct lane) { .gpu = g, .p = p, .plan = plan, .degree = degree };
	l->shares = beside;
	l->image = beside ? beside->image : get(g, plan->image_bytes);
	l->arena = get(g, plan->arena_bytes * degree);
	l->scratch = get(g, scratch);
	l->table = get(g, (uint64_t)width * degree * 8);
	l->buffers = calloc((size_t)width * degree + 1, sizeof(*l->buffers));
	if (!beside)
		gpu_die(g, g->cu.copy_to(l->image, plan->image, plan->image_bytes), "weights");
	gpu_die(g, g->cu.set_d32(l->scratch, 0, scratch / 4 + 1), "scratch");
	gpu_die(g, g->cu.set_d32(l->arena, ~0u, plan->arena_bytes * degree / 4 + 1), "arena");
	for (uint32_t r = 0; r < degree; r++)
		for (uint32_t i = 0; i < width; i++) {
			uint32_t t = i < p->n_inputs ? p->inputs[i].tensor :
						       p->outputs[i - p->n_inputs].tensor;

			l->buffers[r * width + i] = get(g, tensor_bytes(p, t));
			gpu_die(g, g->cu.set_d32(l->buffers[r * width + i], 0, tensor_bytes(p, t) / 4 + 1),
				"buffer");
		}
	gpu_die(g, g->cu.copy_to(l->table, l->buffers, (size_t)width * degree * 8), "table");
	return l;
}

void lane_free(struct lane *l)
{
	uint32_t n = (l->p->n_inputs + l->p->n_outputs) * l->degree;

	for (uint32_t i = 0; i < n; i++)
		l->gpu->cu.mem_free(l->buffers[i]);
	if (!l->shares)
		l->gpu->cu.mem_free(l->image);
	l->gpu->cu.mem_free(l->arena);
	l->gpu->cu.mem_free(l->scratch);
	l->gpu->cu.mem_free(l->table);
	free(l->buffers);
	free(l);
}

void lane_input(struct lane *l, uint32_t request, uint32_t i, const void *data)
{
	uint32_t width = l->p->n_inputs + l->p->n_outputs;

	gpu_die(l->gpu, l->gpu->cu.copy_to(l->buffers[request * width + i], data,
					   tensor_bytes(l->p, l->p->inputs[i].tensor)), "input");
}

void lane_output(struct lane *l, uint32_t request, uint32_t o, void *data)
{
	uint32_t width = l->p->n_inputs + l->p->n_outputs;

	gpu_die(l->gpu, l->gpu->cu.copy_from(data, l->buffers[request * width + l->p->n_inputs + o],
					     tensor_bytes(l->p, l->p->outputs[o].tensor)), "output");
}

/* ---- graphs ---- */

static void bind(struct lane *l, uint32_t step, uint32_t degree, struct gpu_launch *out)
{
	const struct gpu_addresses at = {
		.weights = l->image, .arena = l->arena, .scratch = l->scratch,
		.io = l->table,
	};

	gpu_step_bind(l->plan, step, degree, &at, out);
}

static void add_node(struct lane *l, cu_graph graph, const struct gpu_launch *launch,
		     const cu_node *deps, uint32_t n, cu_node *node)
{
	const struct gpu_kernel *k = &l->plan->kernels[launch->kernel];
	size_t bytes = launch->args_bytes;
	void *extra[] = { CU_ARGS_POINTER, (void *)launch->args, CU_ARGS_SIZE, &bytes, CU_ARGS_END };
	struct cu_kernel_node p = {
		.func = gpu_function(l->gpu, k->name), .grid = { launch->grid, 1, 1 },
		.block = { k->threads, 1, 1 }, .shared_bytes = k->smem, .extra = extra,
	};

	gpu_die(l->gpu, l->gpu->cu.graph_kernel(node, graph, deps, n, &p), k->name);
}

static void capture(struct lane *l, uint32_t degree, uint32_t first, uint32_t last, uint32_t times,
		    cu_graph *graph)
{
	struct gpu_launch launch;

	gpu_die(l->gpu, l->gpu->begin_capture(l->gpu->stream, 2), "capture");
	for (uint32_t s = first; s <= last; s++)
		for (uint32_t i = 0; i < times; i++) {
			const struct gpu_kernel *k;
			struct attribute a = { .id = ATTR_DEPENDENT, .v.on = 1 };
			struct config c = { .stream = l->gpu->stream, .attributes = &a, .n = 1 };
			void *params[1] = { launch.args };

			bind(l, s, degree, &launch);
			k = &l->plan->kernels[launch.kernel];
			c.grid[0] = launch.grid;
			c.block[0] = k->threads;
			c.grid[1] = c.grid[2] = c.block[1] = c.block[2] = 1;
			c.shared = k->smem;
			gpu_die(l->gpu, l->gpu->launch_ex(&c, gpu_function(l->gpu, k->name), params, NULL),
				k->name);
		}
	gpu_die(l->gpu, l->gpu->end_capture(l->gpu->stream, graph), "capture");
}

cu_exec lane_graph(struct lane *l, uint32_t degree, uint32_t first, uint32_t last, uint32_t times,
		   enum order order)
{
	uint32_t n = (last - first + 1) * times, at = 0;
	cu_node *nodes = calloc(n + 1, sizeof(*nodes)), deps[64];
	struct gpu_launch launch;
	cu_graph graph;
	cu_exec exec;

	if (order == ORDER_DEPENDENT) {
		capture(l, degree, first, last, times, &graph);
	} else {
		gpu_die(l->gpu, l->gpu->cu.graph_new(&graph, 0), "graph");
		for (uint32_t s = first; s <= last; s++)
			for (uint32_t i = 0; i < times; i++, at++) {
				const struct gpu_step *st = &l->plan->steps[s];
				uint32_t n_deps = 0;

				bind(l, s, degree, &launch);
				if (order == ORDER_CHAIN || times > 1) {
					if (at)
						deps[n_deps++] = nodes[at - 1];
				} else {
					for (uint32_t d = 0; d < st->n_deps && n_deps < 64; d++)
						if (st->deps[d] >= first)
							deps[n_deps++] = nodes[st->deps[d] - first];
				}
				add_node(l, graph, &launch, deps, n_deps, &nodes[at]);
			}
	}
	gpu_die(l->gpu, l->gpu->cu.graph_instantiate(&exec, graph, 0), "graph");
	gpu_die(l->gpu, l->gpu->cu.graph_upload(exec, l->gpu->stream), "graph");
	l->gpu->cu.graph_free(graph);
	free(nodes);
	return exec;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double time_all(struct gpu *g, const cu_exec *e, const cu_stream *streams, uint32_t n,
		       uint32_t launches)
{
	double t[5];

	for (int i = -1; i < 5; i++) {
		double start = now();

		for (uint32_t k = 0; k < launches; k++)
			for (uint32_t j = 0; j < n; j++)
				gpu_die(g, g->cu.graph_launch(e[j], streams[j]), "launch");
		for (uint32_t j = 0; j < n; j++)
			gpu_die(g, g->cu.stream_synchronize(streams[j]), "run");
		if (i >= 0)
			t[i] = (now() - start) / launches;
	}
	qsort(t, 5, sizeof(*t), by_value);
	return t[2];
}

double gpu_time(struct gpu *g, cu_exec e, uint32_t launches)
{
	return time_all(g, &e, &g->stream, 1, launches);
}

/* ---- several at once ---- */

void lanes_new(struct lane **l, uint32_t n, struct gpu *g, const struct program *p,
	       const struct gpu_plan *plan, uint32_t degree)
{
	for (; g->n_streams < n; g->n_streams++)
		gpu_die(g, g->cu.stream_new(&g->streams[g->n_streams], CU_STREAM_NON_BLOCKING, 0), "stream");
	for (uint32_t i = 0; i < n; i++)
		l[i] = lane_new(g, p, plan, degree, i ? l[0] : NULL);
}

void lanes_free(struct lane **l, uint32_t n)
{
	while (n)
		lane_free(l[--n]);
}

/* To launch a graph takes as long as some of its steps: all must have work meanwhile. */
double lanes_time(struct lane *const *l, uint32_t n, uint32_t degree, uint32_t first, uint32_t last,
		  uint32_t times, enum order order)
{
	struct gpu *g = l[0]->gpu;
	const uint32_t launches = last > first ? 20 : n > 1 ? 4 : 1;
	cu_exec e[MAX_BESIDE] = { NULL };
	double us;

	for (uint32_t i = 0; i < n; i++)
		e[i] = lane_graph(l[i], degree, first, last, times, order);
	gpu_die(g, g->cu.stream_synchronize(g->stream), "graph");
	us = time_all(g, e, g->streams, n, launches);
	for (uint32_t i = 0; i < n; i++)
		g->cu.exec_free(e[i]);
	return us / times;
}
