// SPDX-License-Identifier: MIT
/*
 * Programs run on the calling thread: sessions, and cpu_eval() on one.
 *
 * A session owns prepared operations, an arena for its highest degree and one
 * thread's scratch. One thread at a time may use it; it has no lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/cpu/eval.h"
#include "agent/cpu/igemm.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/profile.h"

struct cpu_session {
	const struct program *prog;
	struct cpu_op *ops;
	uint32_t max_degree;
	uint8_t *arena;
	void *scratch;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int cpu_session_open(const struct program *p, uint32_t max_degree,
		     struct cpu_session **out, char *why, size_t len)
{
	struct cpu_session *s;
	size_t scratch;
	uint64_t arena;
	int err;

	s = calloc(1, sizeof(*s));
	if (!s)
		goto nomem;
	s->prog = p;
	s->max_degree = max_degree;
	err = cpu_ops_prepare(p, &s->ops, &scratch, why, len);
	if (err)
		goto fail;
	if (__builtin_mul_overflow(p->arena_bytes, max_degree, &arena))
		goto nomem;
	s->arena = cpu_alloc(arena);
	s->scratch = cpu_alloc(scratch);
	if (!s->arena || !s->scratch)
		goto nomem;
	*out = s;
	return 0;
nomem:
	err = -ENOMEM;
	if (why && len)
		snprintf(why, len, "out of memory");
fail:
	cpu_session_close(s);
	return err;
}

void cpu_session_run(struct cpu_session *s, uint32_t degree, void *const *io,
		     uint64_t *op_ns)
{
	struct cpu_run run = {
		.prog = s->prog, .degree = degree, .arena = s->arena, .io = io,
		.scratch = s->scratch,
	};
	uint64_t t = op_ns ? now_ns() : 0;

	for (uint32_t i = 0; i < s->prog->n_ops; i++) {
		const struct cpu_op *co = &s->ops[i];
		uint32_t n = co->kernel->tiles(co, degree);

		for (uint32_t k = 0; k < n; k++)
			co->kernel->run(&run, co, k, n);
		if (op_ns) {
			uint64_t end = now_ns();

			op_ns[i] += end - t;
			t = end;
		}
	}
}

void cpu_session_close(struct cpu_session *s)
{
	if (!s)
		return;
	if (s->ops)
		cpu_ops_release(s->ops, s->prog->n_ops);
	free(s->arena);
	free(s->scratch);
	free(s);
}

int cpu_eval(const struct program *p, const void *const *in, void *const *out,
	     char *why, size_t len)
{
	struct cpu_session *s;
	void **io;
	int err;

	io = calloc((size_t)p->n_inputs + p->n_outputs + 1, sizeof(*io));
	if (!io) {
		if (why && len)
			snprintf(why, len, "out of memory");
		return -ENOMEM;
	}
	/* Inputs are only read; one table holds both. */
	for (uint32_t i = 0; i < p->n_inputs; i++)
		io[i] = (void *)(uintptr_t)in[i];
	for (uint32_t i = 0; i < p->n_outputs; i++)
		io[p->n_inputs + i] = out[i];
	err = cpu_session_open(p, 1, &s, why, len);
	if (!err) {
		cpu_session_run(s, 1, io, NULL);
		cpu_session_close(s);
	}
	free(io);
	return err;
}
