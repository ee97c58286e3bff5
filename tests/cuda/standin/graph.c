// SPDX-License-Identifier: MIT
/*
 * Graphs of the stand-in: kernels with edges, run one after the other in a
 * random one of the orders that the edges allow.
 *
 * A graph is its maker's. An instance is immutable but for what runs of it,
 * which si.lock protects: the same one in two streams at once is an error, as
 * the caller must not count on the driver to serialise it.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/standin/standin.h"

struct cu_node_opaque {
	struct cu_node_opaque *next;
	uint32_t number;
	struct call call;
	uint32_t *deps, n_deps;
};

struct cu_graph_opaque {
	struct cu_node_opaque *nodes, **end;
	uint32_t n;
};

/* What is instantiated: nodes by number; launches not yet over, and their stream. */
struct cu_exec_opaque {
	struct cu_node_opaque *nodes;
	uint32_t n, pending;
	cu_stream stream;
};

struct graph_work {
	struct work work;
	struct cu_exec_opaque *e;
};

API cu_result cuGraphCreate(cu_graph *out, unsigned int flags)
{
	cu_result res = si_check();

	if (res)
		return res;
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return CU_OUT_OF_MEMORY;
	(*out)->end = &(*out)->nodes;
	return CU_SUCCESS;
}

API cu_result cuGraphDestroy(cu_graph g)
{
	while (g->nodes) {
		struct cu_node_opaque *n = g->nodes;

		g->nodes = n->next;
		call_drop(&n->call);
		free(n->deps);
		free(n);
	}
	free(g);
	return CU_SUCCESS;
}

API cu_result cuGraphAddKernelNode_v2(cu_node *out, cu_graph g, const cu_node *deps,
				      size_t n_deps, const struct cu_kernel_node *p)
{
	struct cu_node_opaque *n = calloc(1, sizeof(*n));
	cu_result res = si_check();

	if (!res)
		res = n ? call_make(&n->call, p) : CU_OUT_OF_MEMORY;
	if (!res && n_deps) {
		n->deps = calloc(n_deps, sizeof(*n->deps));
		res = n->deps ? CU_SUCCESS : CU_OUT_OF_MEMORY;
	}
	if (res) {
		free(n);
		return res;
	}
	n->n_deps = n_deps;
	for (size_t i = 0; i < n_deps; i++)
		n->deps[i] = deps[i]->number;
	n->number = g->n++;
	*g->end = n;
	g->end = &n->next;
	*out = n;
	return CU_SUCCESS;
}

static void exec_drop(struct cu_exec_opaque *e)
{
	for (uint32_t i = 0; i < e->n; i++) {
		call_drop(&e->nodes[i].call);
		free(e->nodes[i].deps);
	}
	free(e->nodes);
	free(e);
}

API cu_result cuGraphInstantiateWithFlags(cu_exec *out, cu_graph g, unsigned long long flags)
{
	cu_result res = si_check();
	struct cu_exec_opaque *e;

	if (res)
		return res;
	si_count(&si.say->instantiated, 1);
	e = calloc(1, sizeof(*e));
	if (e)
		e->nodes = calloc(g->n ? g->n : 1, sizeof(*e->nodes));
	if (!e || !e->nodes) {
		free(e);
		return CU_OUT_OF_MEMORY;
	}
	for (struct cu_node_opaque *n = g->nodes; n; n = n->next, e->n++) {
		struct cu_node_opaque *to = &e->nodes[e->n];

		*to = *n;
		to->deps = calloc(n->n_deps + 1, sizeof(*to->deps));
		if (call_copy(&to->call, n->call.args) || !to->deps) {
			e->n++;
			exec_drop(e);
			return CU_OUT_OF_MEMORY;
		}
		if (n->n_deps)
			memcpy(to->deps, n->deps, n->n_deps * sizeof(*to->deps));
	}
	*out = e;
	return CU_SUCCESS;
}

API cu_result cuGraphUpload(cu_exec e, cu_stream s)
{
	return si_check();
}

API cu_result cuGraphExecDestroy(cu_exec e)
{
	pthread_mutex_lock(&si.lock);
	if (e->pending && !si.sticky) {
		pthread_mutex_unlock(&si.lock);
		si_misuse("a graph is freed that runs");
		return INVALID_VALUE;
	}
	pthread_mutex_unlock(&si.lock);
	exec_drop(e);
	return CU_SUCCESS;
}

static bool may_run(const struct cu_exec_opaque *e, uint32_t i, const bool *done)
{
	for (uint32_t k = 0; k < e->nodes[i].n_deps; k++)
		if (!done[e->nodes[i].deps[k]])
			return false;
	return !done[i];
}

static void graph_run(struct work *w, unsigned int *seed)
{
	struct cu_exec_opaque *e = ((struct graph_work *)w)->e;
	bool *done = calloc(e->n + 1, sizeof(*done));

	for (uint32_t left = e->n; left && done; left--) {
		uint32_t i = rand_r(seed) % e->n;

		while (!may_run(e, i, done))
			i = (i + 1) % e->n;
		call_run(&e->nodes[i].call, seed);
		done[i] = true;
	}
	free(done);
}

static void graph_drop(struct work *w)
{
	struct graph_work *g = (struct graph_work *)w;

	pthread_mutex_lock(&si.lock);
	g->e->pending--;
	pthread_mutex_unlock(&si.lock);
	free(g);
}

API cu_result cuGraphLaunch(cu_exec e, cu_stream s)
{
	cu_result res = si_check();
	struct graph_work *g;
	bool elsewhere;

	if (res)
		return res;
	si_count(&si.say->launches, 1);
	if (si_due(&si.say->fail_launch)) {
		si_break(LAUNCH_FAILED);
		return LAUNCH_FAILED;
	}
	pthread_mutex_lock(&si.lock);
	elsewhere = e->pending && e->stream != s;
	e->pending++;
	e->stream = s;
	pthread_mutex_unlock(&si.lock);
	if (elsewhere)
		si_misuse("a graph is launched while it runs in another stream");
	g = malloc(sizeof(*g));
	if (!g)
		return CU_OUT_OF_MEMORY;
	*g = (struct graph_work){ { .run = graph_run, .drop = graph_drop, .launch = true }, e };
	res = stream_put(s, &g->work);
	return res || !si.say->blocking ? res : stream_end(s);
}
