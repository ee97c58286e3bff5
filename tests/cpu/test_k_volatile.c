// SPDX-License-Identifier: MIT
/*
 * A tenant who rewrites its buffers while they are used: a second thread keeps
 * putting random bits into indices, divisors and data. Whatever comes out, no
 * kernel may leave its tensors or trap; the sanitizers watch, and so does the
 * process by not dying.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/cpu/k_ref.h"

#define ROUNDS		40
#define MOST_ROUNDS	20000

/* What the other thread writes to; it holds the lock while it does. */
static struct {
	pthread_mutex_t lock;
	volatile uint8_t *at;
	size_t bytes;
	uint64_t writes;
	atomic_bool end;
} target = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *scribble(void *arg)
{
	struct one_rng g = { 99 };

	while (!atomic_load(&target.end)) {
		pthread_mutex_lock(&target.lock);
		for (int i = 0; i < 256 && target.bytes; i++) {
			uint64_t v = one_u64(&g);
			size_t k = (v >> 8) % target.bytes;

			/* mostly small numbers and zeros, at times anything */
			target.at[k] = v & 3 ? (v & 4 ? 0 : v >> 60) : (uint8_t)v;
			target.writes++;
		}
		pthread_mutex_unlock(&target.lock);
	}
	return NULL;
}

static uint64_t writes(uint64_t since)
{
	uint64_t n;

	pthread_mutex_lock(&target.lock);
	n = target.writes - since;
	pthread_mutex_unlock(&target.lock);
	return n;
}

static void aim(struct one *o, uint32_t input)
{
	pthread_mutex_lock(&target.lock);
	target.at = o ? o->data[o->in[input]][0] : NULL;
	target.bytes = o ? (size_t)k_bytes(o, o->in[input]) : 0;
	pthread_mutex_unlock(&target.lock);
	sched_yield();
}

/* An input that is the tenant's own memory. */
static uint32_t tenant_in(struct one *o, enum braid_type type, uint32_t rank, const int64_t *dims)
{
	uint32_t t = one_in(o, type, rank, dims, false);

	if (o->storages[t].place == PROG_ARENA) {
		o->storages[t].place = PROG_INPUT;
		o->storages[t].index = o->p.n_inputs++;
	}
	k_fill(o, t);
	return t;
}

/* One operation on [64][64] data and [64][64] (or, for tuples, [2048][2]) indices. */
static int one_round(struct one_rng *g, enum prog_kind kind, enum braid_type index)
{
	static const int64_t square[] = { 64, 64 }, tuples[] = { 2048, 2 };
	static const int64_t deep[] = { 64, 64, 5 }, cube[] = { 64, 64, 64 }, two = 2;
	bool nd = kind == PROG_GATHER_ND || kind == PROG_SCATTER_ND;
	char why[WHY] = "";
	struct one o;
	int err;

	one_init(&o, g, kind, 1);
	switch (kind) {
	case PROG_BINARY:
		o.op.params.binary = (enum prog_binary)(PROG_BIN_DIV + 4 * (int)one_range(g, 0, 1));
		tenant_in(&o, index, 2, square);
		tenant_in(&o, index, 2, square);
		one_out(&o, index, 2, square);
		break;
	case PROG_ONEHOT:
		o.op.params.axis = 2;
		tenant_in(&o, index, 2, square);
		tenant_in(&o, BRAID_TYPE_F32, 1, &two);
		one_out(&o, BRAID_TYPE_F32, 3, deep);
		break;
	case PROG_TOPK:
		o.op.params.topk = (struct prog_topk) { 1, true, true };
		tenant_in(&o, BRAID_TYPE_F32, 2, square);
		one_out(&o, BRAID_TYPE_F32, 2, square);
		one_out(&o, BRAID_TYPE_I64, 2, square);
		break;
	case PROG_CAST:
		tenant_in(&o, BRAID_TYPE_F32, 2, square);
		one_out(&o, index, 2, square);
		break;
	default:
		tenant_in(&o, BRAID_TYPE_F32, 2, square);
		tenant_in(&o, index, 2, nd ? tuples : square);
		if (kind == PROG_SCATTER_ELEMENTS)
			tenant_in(&o, BRAID_TYPE_F32, 2, square);
		if (kind == PROG_SCATTER_ND)
			tenant_in(&o, BRAID_TYPE_F32, 1, tuples);
		if (kind == PROG_GATHER)
			one_out(&o, BRAID_TYPE_F32, 3, cube);
		else if (kind == PROG_GATHER_ND)
			one_out(&o, BRAID_TYPE_F32, 1, tuples);
		else
			one_out(&o, BRAID_TYPE_F32, 2, square);
	}
	aim(&o, o.op.n_in > 1 && kind != PROG_ONEHOT ? 1 : 0);
	err = one_run(&o, why, sizeof(why));
	aim(NULL, 0);
	one_free(&o);
	return err == -EILSEQ ? 0 : err;	/* of course runs differ */
}

int main(void)
{
	static const enum prog_kind kinds[] = {
		PROG_GATHER, PROG_GATHER_ELEMENTS, PROG_GATHER_ND, PROG_SCATTER_ELEMENTS,
		PROG_SCATTER_ND, PROG_BINARY, PROG_ONEHOT, PROG_TOPK, PROG_CAST,
	};
	struct one_rng g = { 24 };
	pthread_t thread;

	if (pthread_create(&thread, NULL, scribble, NULL))
		return 1;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		uint64_t before = writes(0);
		int err = 0;

		/* On a busy machine the other thread may need a while to get its turn. */
		for (int i = 0; i < MOST_ROUNDS && !err && (i < ROUNDS || !writes(before)); i++)
			err = one_round(&g, kinds[k], i & 1 ? BRAID_TYPE_I64 : BRAID_TYPE_I32);
		ok(!err && writes(before), "%s survives a tenant who writes meanwhile",
		   prog_kind_name(kinds[k]));
	}
	atomic_store(&target.end, true);
	pthread_join(thread, NULL);
	return tap_done();
}
