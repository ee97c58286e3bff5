// SPDX-License-Identifier: MIT
/*
 * Steps, kernels, memory and errors of a plan in the making.
 */
#include "agent/lower/lower.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/attn_args.h"
#include "kernels/conv_args.h"
#include "kernels/entries.h"
#include "kernels/vec_args.h"

struct lower_chunk {
	struct lower_chunk *next;
	_Alignas(16) uint8_t data[];
};

void lower_refuse(struct lower *l, const char *fmt, ...)
{
	va_list ap;
	int n = 0;

	if (l->err)
		return;
	l->err = -EOPNOTSUPP;
	if (!l->why || !l->why_len)
		return;
	if (l->op)
		n = snprintf(l->why, l->why_len, "%s node '%s': ", l->op->op_type, l->op->node);
	if (n < 0 || (size_t)n >= l->why_len)
		return;
	va_start(ap, fmt);
	vsnprintf(l->why + n, l->why_len - (size_t)n, fmt, ap);
	va_end(ap);
}

void lower_nomem(struct lower *l)
{
	if (l->err)
		return;
	l->err = -ENOMEM;
	if (l->why && l->why_len)
		snprintf(l->why, l->why_len, "out of memory");
}

void *lower_alloc(struct lower *l, size_t bytes)
{
	struct lower_chunk *c = calloc(1, sizeof(*c) + bytes);

	if (!c) {
		lower_nomem(l);
		return NULL;
	}
	c->next = l->chunks;
	l->chunks = c;
	return c->data;
}

char *lower_format(struct lower *l, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	s = n < 0 ? NULL : lower_alloc(l, (size_t)n + 1);
	if (!s)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

void lower_chunks_free(struct lower_chunk *c)
{
	while (c) {
		struct lower_chunk *next = c->next;

		free(c);
		c = next;
	}
}

/* ---- kernels ---- */

struct plain_entry {
	const char *name, *header, *args, *fn;
	uint32_t args_bytes, min_ctas;
};

#define PLAIN(entry, header_, args_, ctas, fn_)						\
	{ .name = #entry, .header = #header_, .args = #args_, .fn = #fn_,		\
	  .args_bytes = sizeof(struct args_), .min_ctas = ctas },
static const struct plain_entry plain_entries[] = { PLAIN_ENTRIES(PLAIN) };
#undef PLAIN

uint32_t lower_kernel(struct lower *l, const struct gpu_kernel *k)
{
	struct gpu_kernel *ks;

	for (uint32_t i = 0; i < l->n_kernels; i++) {
		if (strcmp(l->kernels[i].name, k->name))
			continue;
		if (l->kernels[i].smem < k->smem)
			l->kernels[i].smem = k->smem;
		return i;
	}
	if (l->n_kernels == l->cap_kernels) {
		l->cap_kernels = l->cap_kernels ? 2 * l->cap_kernels : 64;
		ks = realloc(l->kernels, l->cap_kernels * sizeof(*ks));
		if (!ks) {
			lower_nomem(l);
			l->cap_kernels = l->n_kernels;
			return 0;
		}
		l->kernels = ks;
	}
	l->kernels[l->n_kernels] = *k;
	return l->n_kernels++;
}

uint32_t lower_entry(struct lower *l, const char *entry, uint32_t smem)
{
	const struct plain_entry *e = plain_entries;
	struct gpu_kernel k = { .threads = K_THREADS, .smem = smem };

	while (strcmp(e->name, entry))
		e++;
	k.name = k.generic = e->name;
	k.min_ctas = e->min_ctas;
	k.args_bytes = e->args_bytes;
	k.args = e->args;
	k.call = lower_format(l, "%s(", e->fn);
	k.decl = lower_format(l, "#include \"%s.cuh\"\n", e->header);
	k.source = lower_format(l, "#include \"%s.cuh\"\nENTRY(%s, %s, %u, %s(a, tile, smem))\n",
				e->header, e->name, e->args, e->min_ctas, e->fn);
	if (l->err)
		return 0;
	return lower_kernel(l, &k);
}

/* ---- steps ---- */

struct lower_step *lower_step(struct lower *l, const char *what, uint32_t kernel,
			      const void *args, size_t bytes, size_t degree_at, uint64_t grid)
{
	struct lower_step *s;

	if (grid * GPU_MAX_DEGREE > INT32_MAX)
		lower_refuse(l, "it would take %llu blocks a request", (unsigned long long)grid);
	if (bytes > GPU_ARGS_MAX)
		lower_refuse(l, "its arguments do not fit");
	if (!l->err && l->n_steps == l->cap_steps) {
		l->cap_steps = l->cap_steps ? 2 * l->cap_steps : 128;
		s = realloc(l->steps, l->cap_steps * sizeof(*s));
		if (s)
			l->steps = s;
		else
			lower_nomem(l);
	}
	if (l->err) {
		l->spare.n_refs = 0;
		return &l->spare;
	}
	s = &l->steps[l->n_steps++];
	memset(s, 0, sizeof(*s));
	s->pub.what = what;
	s->pub.node = l->op ? lower_format(l, "%s", l->op->node) : "";
	s->pub.op_type = l->op ? lower_format(l, "%s", l->op->op_type) : "";
	s->kernel = kernel;
	s->args = lower_alloc(l, bytes);
	if (s->args)
		memcpy(s->args, args, bytes);
	s->args_bytes = (uint32_t)bytes;
	s->degree_at = (uint32_t)degree_at;
	s->grid = (uint32_t)grid;
	return s;
}

static bool add_ref(struct lower *l, struct lower_step *s, const struct lower_ref *ref)
{
	if (l->err)
		return false;
	if (s->n_refs == LOWER_MAX_REFS) {
		lower_refuse(l, "too many tensors");
		return false;
	}
	s->refs[s->n_refs++] = *ref;
	return true;
}

static void add_val(struct lower *l, struct lower_step *s, size_t at, const struct lower_val *v,
		    bool write)
{
	const struct lower_ref ref = {
		.at = (uint16_t)at, .form = LOWER_REF, .write = write, .buf = v->buf,
		.off = v->off * (int64_t)lower_size(v->type),
	};

	if (add_ref(l, s, &ref))
		((struct k_ref *)((uint8_t *)s->args + at))->type = (k_u16)v->type;
}

void lower_address(struct lower *l, struct lower_step *s, size_t at, uint32_t buf)
{
	const struct lower_ref ref = { .at = (uint16_t)at, .form = LOWER_ADDRESS, .buf = buf };

	add_ref(l, s, &ref);
}

void lower_ref_read(struct lower *l, struct lower_step *s, size_t at, const struct lower_val *v)
{
	add_val(l, s, at, v, false);
}

void lower_ref_write(struct lower *l, struct lower_step *s, size_t at, const struct lower_val *v)
{
	add_val(l, s, at, v, true);
}

struct k_div lower_div(int64_t d)
{
	struct k_div v = { .d = (k_u32)d };

	while ((1ull << v.shift) < v.d)
		v.shift++;
	v.mul = (k_u32)((((1ull << v.shift) - v.d) << 32) / v.d + 1);
	return v;
}

struct k_act lower_act(const struct prog_epilogue *e)
{
	return (struct k_act) {
		.fn = (k_u32)e->fn, .residual_last = e->residual_last,
		.alpha = e->alpha, .beta = e->beta,
	};
}
