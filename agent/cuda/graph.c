// SPDX-License-Identifier: MIT
/*
 * A plan's steps as a CUDA graph, addresses and all: see cuda.h.
 *
 * Called by loaders and the chores thread; keeps nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/cuda/cuda.h"

int graph_add(const struct device *d, struct graph *g, struct kernel *k,
	      const struct gpu_launch_args *a, const uint32_t *deps, uint32_t n_deps,
	      uint32_t *node)
{
	cu_function code = atomic_load_explicit(&k->code, memory_order_acquire);
	size_t bytes = a->bytes;
	void *extra[] = { CU_ARGS_POINTER, (void *)a->args, CU_ARGS_SIZE, &bytes, CU_ARGS_END };
	struct cu_kernel_node p = {
		.func = code, .grid = { a->grid, 1, 1 }, .block = { a->threads, 1, 1 },
		.shared_bytes = a->smem, .extra = extra,
	};
	cu_node on[GRAPH_MAX_DEPS];

	if (n_deps > GRAPH_MAX_DEPS || g->n == g->room)
		return -E2BIG;
	for (uint32_t i = 0; i < n_deps; i++)
		on[i] = g->nodes[deps[i]];
	g->best &= atomic_load(&k->best);
	*node = g->n;
	return d->cu.graph_kernel(&g->nodes[g->n++], g->graph, on, n_deps, &p);
}

int graph_begin(const struct device *d, struct graph *g, uint32_t room)
{
	*g = (struct graph){ .room = room, .best = true };
	g->nodes = calloc(room ? room : 1, sizeof(cu_node));
	if (!g->nodes)
		return CU_OUT_OF_MEMORY;
	return d->cu.graph_new(&g->graph, 0);
}

int graph_end(const struct device *d, struct graph *g, cu_result res, struct exec **out, char *why,
	      size_t len)
{
	struct exec *e = res ? NULL : calloc(1, sizeof(*e));

	if (!res && !e)
		res = CU_OUT_OF_MEMORY;
	if (!res)
		res = d->cu.graph_instantiate(&e->graph, g->graph, 0);
	if (!res)
		res = d->cu.graph_upload(e->graph, NULL);
	if (g->graph)
		d->cu.graph_free(g->graph);
	free(g->nodes);
	if (res) {
		exec_free(d, e);
		return res < 0 ? res : cu_fail(&d->cu, res, "a graph", why, len);
	}
	e->best = g->best;
	*out = e;
	return 0;
}

/* One plan's steps; the first has no dependency on anything outside. */
static cu_result add_branch(const struct device *d, struct graph *g, const struct graph_part *p)
{
	uint32_t *node = calloc(p->plan->n_steps + 1, sizeof(*node)), deps[GRAPH_MAX_DEPS];
	struct gpu_launch launch;
	cu_result res = node ? 0 : CU_OUT_OF_MEMORY;

	for (uint32_t s = 0; s < p->plan->n_steps && !res; s++) {
		const struct gpu_step *step = &p->plan->steps[s];
		struct gpu_launch_args a;

		res = gpu_step_bind(p->plan, s, p->degree, &p->at, &launch);
		if (!res && step->n_deps > GRAPH_MAX_DEPS)
			res = -E2BIG;
		if (res)
			break;
		for (uint32_t i = 0; i < step->n_deps; i++)
			deps[i] = node[step->deps[i]];
		a = (struct gpu_launch_args){ launch.args, launch.args_bytes, launch.grid,
					      p->plan->kernels[launch.kernel].threads,
					      p->plan->kernels[launch.kernel].smem };
		res = graph_add(d, g, p->kernels[launch.kernel], &a, deps, step->n_deps, &node[s]);
	}
	free(node);
	return res;
}

int graph_branches(const struct device *d, const struct graph_part *parts, uint32_t n,
		   struct exec **out, char *why, size_t len)
{
	uint32_t room = 0;
	struct graph g;
	cu_result res;

	for (uint32_t i = 0; i < n; i++)
		room += parts[i].plan->n_steps;
	res = graph_begin(d, &g, room);
	for (uint32_t i = 0; i < n && !res; i++)
		res = add_branch(d, &g, &parts[i]);
	if (res < 0 && why)
		snprintf(why, len, "a graph: a step can't be put into it (error %d)", -res);
	return graph_end(d, &g, res, out, why, len);
}

void exec_free(const struct device *d, struct exec *e)
{
	if (!e)
		return;
	if (e->graph)
		d->cu.exec_free(e->graph);
	free(e);
}
