// SPDX-License-Identifier: MIT
/*
 * The end of a lowering: who waits for whom, and where buffers go.
 *
 * A step waits for the writers of what it reads. Arena bytes are given to two
 * buffers only where every step that touches the one comes before every step
 * that writes the other anyway, so reuse of memory adds no dependency and takes
 * no concurrency away. What comes before what is kept as a bit matrix; a plan
 * of more than MAX_ORDER steps is made a chain instead.
 */
#include "agent/lower/lower.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ORDER	8192u
#define ARENA_ALIGN	256u

struct finish {
	struct lower *l;
	uint64_t *before;	/* [step][words]: steps that come before it */
	uint32_t words;
	uint32_t *first, *users;	/* by buffer: steps that touch it, in users[first[b]..] */
	bool *writes;			/* of users[] */
};

static bool comes_before(const struct finish *f, uint32_t a, uint32_t b)
{
	return f->before[(size_t)b * f->words + a / 64] >> a % 64 & 1;
}

static int descending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Steps that write what step @v reads, newest first, without those that others imply. */
static uint32_t wanted(const struct finish *f, uint32_t v, uint32_t *want)
{
	const struct lower_step *s = &f->l->steps[v];
	uint32_t n = 0, kept = 0;

	for (uint32_t i = 0; i < s->n_refs; i++) {
		uint32_t b = s->refs[i].buf;

		if (s->refs[i].write || f->l->bufs[b].place != BUF_ARENA)
			continue;
		for (uint32_t k = f->first[b]; k < f->first[b + 1]; k++)
			if (f->writes[k] && f->users[k] < v)
				want[n++] = f->users[k];
	}
	qsort(want, n, sizeof(*want), descending);
	for (uint32_t i = 0; i < n; i++) {
		bool implied = i && want[i] == want[i - 1];

		for (uint32_t k = 0; k < kept && !implied; k++)
			implied = comes_before(f, want[i], want[k]);
		if (!implied)
			want[kept++] = want[i];
	}
	return kept;
}

static void order_step(struct finish *f, uint32_t v, uint32_t *want)
{
	struct lower_step *s = &f->l->steps[v];
	uint32_t n = wanted(f, v, want), *deps;

	deps = lower_alloc(f->l, n * sizeof(*deps) + 1);
	if (!deps)
		return;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t *mine = f->before + (size_t)v * f->words;
		const uint64_t *its = f->before + (size_t)want[i] * f->words;

		deps[n - 1 - i] = want[i];
		for (uint32_t w = 0; w <= want[i] / 64; w++)
			mine[w] |= its[w];
		mine[want[i] / 64] |= 1ull << want[i] % 64;
	}
	s->pub.deps = deps;
	s->pub.n_deps = n;
}

static void chain(struct finish *f)
{
	for (uint32_t v = 1; v < f->l->n_steps; v++) {
		uint32_t *dep = lower_alloc(f->l, sizeof(*dep));

		if (!dep)
			return;
		*dep = v - 1;
		f->l->steps[v].pub.deps = dep;
		f->l->steps[v].pub.n_deps = 1;
	}
}

/* ---- the arena ---- */

/* May @b's bytes be written when all is over with @a? */
static bool after(const struct finish *f, uint32_t a, uint32_t b)
{
	for (uint32_t i = f->first[b]; i < f->first[b + 1]; i++) {
		if (!f->writes[i])
			continue;
		for (uint32_t k = f->first[a]; k < f->first[a + 1]; k++) {
			uint32_t x = f->users[k], y = f->users[i];

			if (f->before ? !comes_before(f, x, y) : x >= y)
				return false;
		}
	}
	return true;
}

struct block {
	uint32_t buf;
	uint64_t bytes, offset;
};

static int larger_first(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->buf < y->buf ? -1 : 1;
}

/* The lowest place where nothing lies that is alive with it; @placed by offset. */
static uint64_t place(const struct finish *f, const struct block *x,
		      const struct block *const *placed, uint32_t n)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct block *y = placed[i];

		if (y->offset >= at + x->bytes || y->offset + y->bytes <= at)
			continue;
		if (after(f, x->buf, y->buf) || after(f, y->buf, x->buf))
			continue;
		at = y->offset + y->bytes;
	}
	return at;
}

static void colour(struct finish *f)
{
	struct lower *l = f->l;
	struct block *blocks = calloc(l->n_bufs + 1, sizeof(*blocks));
	const struct block **placed = calloc(l->n_bufs + 1, sizeof(*placed));
	uint32_t n = 0, k;

	if (!blocks || !placed) {
		lower_nomem(l);
		goto out;
	}
	for (uint32_t b = 0; b < l->n_bufs; b++)
		if (l->bufs[b].place == BUF_ARENA && f->first[b] < f->first[b + 1])
			blocks[n++] = (struct block) {
				b, (l->bufs[b].bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN, 0,
			};
	qsort(blocks, n, sizeof(*blocks), larger_first);
	for (uint32_t i = 0; i < n; i++) {
		struct block *x = &blocks[i];

		x->offset = place(f, x, placed, i);
		for (k = i; k && placed[k - 1]->offset > x->offset; k--)
			placed[k] = placed[k - 1];
		placed[k] = x;
		l->bufs[x->buf].offset = x->offset;
		if (x->offset + x->bytes > l->arena_bytes)
			l->arena_bytes = x->offset + x->bytes;
	}
out:
	free(blocks);
	free(placed);
}

/*
 * Slots of scratch: a step takes one whose last user comes before it. Where all
 * are taken by others that may run beside it, there is one more.
 */
static void give_slots(struct finish *f)
{
	struct lower *l = f->l;
	uint32_t last[LOWER_MAX_SLOTS];

	for (uint32_t v = 0; v < l->n_steps; v++) {
		struct lower_step *s = &l->steps[v];
		uint32_t i = 0;

		if (!s->scratch)
			continue;
		while (i < l->n_slots && f->before && !comes_before(f, last[i], v))
			i++;
		if (i == LOWER_MAX_SLOTS) {
			lower_refuse(l, "too many steps beside each other that need scratch");
			return;
		}
		if (i == l->n_slots)
			l->n_slots++;
		s->slot = i;
		last[i] = v;
	}
}

/* Steps by buffer. */
static bool index_users(struct finish *f)
{
	struct lower *l = f->l;
	uint32_t n = 0, *at;

	f->first = calloc(l->n_bufs + 2, sizeof(*f->first));
	at = calloc(l->n_bufs + 2, sizeof(*at));
	if (!f->first || !at)
		goto fail;
	for (uint32_t v = 0; v < l->n_steps; v++)
		for (uint32_t i = 0; i < l->steps[v].n_refs; i++, n++)
			f->first[l->steps[v].refs[i].buf + 1]++;
	for (uint32_t b = 0; b < l->n_bufs; b++)
		f->first[b + 1] += f->first[b];
	f->users = calloc(n + 1, sizeof(*f->users));
	f->writes = calloc(n + 1, sizeof(*f->writes));
	if (!f->users || !f->writes)
		goto fail;
	memcpy(at, f->first, (l->n_bufs + 1) * sizeof(*at));
	for (uint32_t v = 0; v < l->n_steps; v++)
		for (uint32_t i = 0; i < l->steps[v].n_refs; i++) {
			uint32_t k = at[l->steps[v].refs[i].buf]++;

			f->users[k] = v;
			f->writes[k] = l->steps[v].refs[i].write;
		}
	free(at);
	return true;
fail:
	free(at);
	lower_nomem(l);
	return false;
}

void lower_finish(struct lower *l)
{
	struct finish f = { .l = l, .words = l->n_steps / 64 + 1 };
	uint32_t *want = NULL;

	if (l->err || !index_users(&f))
		goto out;
	if (l->n_steps > MAX_ORDER) {
		chain(&f);
	} else {
		f.before = calloc((size_t)f.words * (l->n_steps + 1), sizeof(*f.before));
		want = calloc((size_t)LOWER_MAX_REFS * l->n_steps + 1, sizeof(*want));
		if (!f.before || !want) {
			lower_nomem(l);
			goto out;
		}
		for (uint32_t v = 0; v < l->n_steps; v++)
			order_step(&f, v, want);
	}
	give_slots(&f);
	colour(&f);
out:
	free(f.before);
	free(f.first);
	free(f.users);
	free(f.writes);
	free(want);
}
