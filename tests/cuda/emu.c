// SPDX-License-Identifier: MIT
/*
 * The engine under emulated kernels, see emu.h.
 *
 * Owns one struct engine an OS thread, made at its first launch and kept:
 * stacks and shared memory are reused. No lock: nothing is shared.
 */
#include "tests/cuda/emu.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define STACK	(256u << 10)
#else
#define STACK	(64u << 10)
#endif

#define THREADS		256
#define LANES		32
#define WARPS		(THREADS / LANES)
#define BARRIERS	16
#define COPIES		1024	/* in flight, of one thread */
#define MAX_SMEM	(256u << 10)

/* ---- switching stacks ---- */

#ifdef __x86_64__
/* Saves what the ABI wants kept, and the stack; everything else is the caller's loss. */
void emu_switch(void **from, void *to);
__asm__(".text\n"
	".globl emu_switch\n"
	".hidden emu_switch\n"
	".type emu_switch, @function\n"
	"emu_switch:\n"
	"	push %rbp\n	push %rbx\n	push %r12\n"
	"	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n"
	"	pop %r12\n	pop %rbx\n	pop %rbp\n"
	"	ret\n"
	".size emu_switch, . - emu_switch\n");

typedef void *context;

static void context_make(context *c, char *stack, void (*fn)(void))
{
	void **sp = (void **)(stack + STACK - 64);

	*--sp = NULL;		/* fn's return address: it never returns */
	*--sp = (void *)fn;
	sp -= 6;
	memset(sp, 0, 6 * sizeof(*sp));
	*c = sp;
}

static void context_switch(context *from, context *to)
{
	emu_switch(from, *to);
}
#else
#include <ucontext.h>

typedef ucontext_t context;

static void context_make(context *c, char *stack, void (*fn)(void))
{
	getcontext(c);
	c->uc_stack.ss_sp = stack;
	c->uc_stack.ss_size = STACK;
	c->uc_link = NULL;
	makecontext(c, fn, 0);
}

static void context_switch(context *from, context *to)
{
	swapcontext(from, to);
}
#endif

/* ---- state ---- */

struct copy {
	void *to;
	unsigned int bytes;
	char data[16];
};

struct block;

struct fiber {
	context ctx;
	struct block *block;
	unsigned int id;		/* in its block */
	void *mine;			/* handed in at a warp's meeting */
	struct copy *copies;		/* oldest first */
	unsigned int n_copies;
	unsigned int ends[COPIES];	/* of each committed group: copies up to its end */
	unsigned int n_groups;
};

struct barrier {
	unsigned int arrived;
	uint32_t waiting[WARPS];
};

/* A lane is in exactly one of: running, runnable, waiting somewhere, done. */
struct block {
	struct fiber fibers[THREADS];
	uint32_t runnable[WARPS];
	uint32_t at_warp[WARPS];	/* lanes that wait for the others of their warp */
	struct barrier bars[BARRIERS];
	unsigned int number, done;
	char *smem;
};

struct engine {
	struct block block;
	char *stacks;
	unsigned int smem_bytes;
	struct fiber *now;
	context home;
	emu_entry entry;
	const void *args;
	uint64_t rng;
};

static _Thread_local struct engine *engine;
static float half_table[65536];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_halves(void)
{
	for (unsigned int h = 0; h < 65536; h++) {
		uint32_t sign = (h & 0x8000u) << 16, exp = h >> 10 & 31, frac = h & 0x3ff, bits;
		float f;

		if (!exp) {
			f = (float)frac * 0x1p-24f;
			half_table[h] = sign ? -f : f;
			continue;
		}
		bits = sign | frac << 13 | (exp == 31 ? 0x7f800000u : (exp + 112) << 23);
		memcpy(&half_table[h], &bits, sizeof(bits));
	}
}

__attribute__((noreturn))
static void die(const char *why)
{
	fprintf(stderr, "emulated kernel: %s", why);
	if (engine && engine->now)
		fprintf(stderr, " (block %u, thread %u)", engine->now->block->number,
			engine->now->id);
	fputc('\n', stderr);
	abort();
}

static uint64_t random_u64(struct engine *e)
{
	uint64_t z = (e->rng += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* ---- scheduling ---- */

/* The running fiber gives up; another lane of its warp goes on, or the scheduler. */
static void yield_now(void)
{
	struct engine *e = engine;
	struct fiber *me = e->now, *next;
	struct block *b = me->block;
	uint32_t *run = &b->runnable[me->id / LANES];

	if (!*run) {
		e->now = NULL;
		context_switch(&me->ctx, &e->home);
		return;
	}
	next = &b->fibers[me->id / LANES * LANES + (unsigned int)__builtin_ctz(*run)];
	*run &= *run - 1;
	e->now = next;
	context_switch(&me->ctx, &next->ctx);
}

static const struct emu_ops ops;

static void fiber_start(void)
{
	engine->entry(&ops, engine->args);
	engine->now->block->done++;
	yield_now();
	die("a thread went on after its end");
}

static unsigned int op_thread(void)
{
	return engine->now->id;
}

static unsigned int op_block(void)
{
	return engine->now->block->number;
}

static char *op_smem(void)
{
	return engine->now->block->smem;
}

static void op_sync(unsigned int id, unsigned int threads)
{
	struct fiber *me = engine->now;
	struct block *b = me->block;
	struct barrier *bar = &b->bars[id];

	if (id >= BARRIERS)
		die("no such barrier");
	if (++bar->arrived < threads) {
		bar->waiting[me->id / LANES] |= 1u << me->id % LANES;
		yield_now();
		return;
	}
	for (unsigned int w = 0; w < WARPS; w++) {
		b->runnable[w] |= bar->waiting[w];
		bar->waiting[w] = 0;
	}
	bar->arrived = 0;
}

static void op_warp(void *mine, void (*op)(void **all))
{
	struct fiber *me = engine->now;
	struct block *b = me->block;
	unsigned int w = me->id / LANES;
	void *all[LANES];

	me->mine = mine;
	b->at_warp[w] |= 1u << me->id % LANES;
	if (b->at_warp[w] != ~0u) {
		yield_now();
		return;
	}
	for (unsigned int i = 0; i < LANES; i++)
		all[i] = b->fibers[w * LANES + i].mine;
	op(all);
	b->runnable[w] |= b->at_warp[w] & ~(1u << me->id % LANES);
	b->at_warp[w] = 0;
}

static void op_copy(void *to, const void *from, unsigned int bytes, unsigned int got)
{
	struct fiber *me = engine->now;
	struct copy *c;

	if (me->n_copies == COPIES || bytes > sizeof(c->data))
		die("too many copies in the background");
	if ((uintptr_t)to % bytes || (got && (uintptr_t)from % bytes))
		die("cp.async: an address is not aligned");
	if ((char *)to < me->block->smem || (char *)to + bytes > me->block->smem + engine->smem_bytes)
		die("cp.async: outside of shared memory");
	c = &me->copies[me->n_copies++];
	c->to = to;
	c->bytes = bytes;
	memset(c->data, 0, sizeof(c->data));
	if (got)
		memcpy(c->data, from, got);
}

static void op_commit(void)
{
	struct fiber *me = engine->now;

	if (me->n_groups == COPIES)
		die("too many groups of copies");
	me->ends[me->n_groups++] = me->n_copies;
}

static void op_wait(unsigned int n)
{
	struct fiber *me = engine->now;
	unsigned int groups = me->n_groups > n ? me->n_groups - n : 0, upto;

	if (!groups)
		return;
	upto = me->ends[groups - 1];
	for (unsigned int i = 0; i < upto; i++)
		memcpy(me->copies[i].to, me->copies[i].data, me->copies[i].bytes);
	memmove(me->copies, me->copies + upto, (me->n_copies - upto) * sizeof(*me->copies));
	me->n_copies -= upto;
	me->n_groups -= groups;
	for (unsigned int i = 0; i < me->n_groups; i++)
		me->ends[i] = me->ends[i + groups] - upto;
}

static const struct emu_ops ops = {
	.half = half_table,
	.thread = op_thread,
	.block = op_block,
	.smem = op_smem,
	.sync = op_sync,
	.warp = op_warp,
	.copy = op_copy,
	.commit = op_commit,
	.wait = op_wait,
	.die = die,
};

/* ---- blocks ---- */

static void block_reset(struct engine *e, unsigned int number)
{
	struct block *b = &e->block;

	memset(b->runnable, 0xff, sizeof(b->runnable));
	memset(b->at_warp, 0, sizeof(b->at_warp));
	memset(b->bars, 0, sizeof(b->bars));
	b->number = number;
	b->done = 0;
	memset(b->smem, 0xff, e->smem_bytes);
#ifdef __SANITIZE_ADDRESS__
	__asan_unpoison_memory_region(e->stacks, (size_t)THREADS * STACK);
#endif
	for (unsigned int t = 0; t < THREADS; t++) {
		struct fiber *f = &b->fibers[t];

		f->block = b;
		f->id = t;
		f->n_copies = 0;
		f->n_groups = 0;
		context_make(&f->ctx, e->stacks + (size_t)t * STACK, fiber_start);
	}
}

/* Some warp with a lane that can run, at random; NULL where there is none. */
static struct fiber *pick(struct engine *e)
{
	unsigned int start = (unsigned int)(random_u64(e) % WARPS);

	for (unsigned int i = 0; i < WARPS; i++) {
		unsigned int w = (start + i) % WARPS, lane;
		uint32_t *run = &e->block.runnable[w];

		if (!*run)
			continue;
		lane = (unsigned int)__builtin_ctz(*run);
		*run &= *run - 1;
		return &e->block.fibers[w * LANES + lane];
	}
	return NULL;
}

static void run_block(struct engine *e, unsigned int number)
{
	struct fiber *f;

	block_reset(e, number);
	while ((f = pick(e))) {
		e->now = f;
		context_switch(&e->home, &f->ctx);
	}
	if (e->block.done != THREADS)
		die("deadlock: threads wait that nobody will wake");
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("no memory");
	return p;
}

static struct engine *engine_new(void)
{
	struct engine *e = map(sizeof(*e));

	e->stacks = map((size_t)THREADS * STACK);
	e->block.smem = map(MAX_SMEM);
	for (unsigned int t = 0; t < THREADS; t++)
		e->block.fibers[t].copies = map(COPIES * sizeof(struct copy));
	return e;
}

void emu_launch(emu_entry entry, unsigned int grid, unsigned int smem, const void *args, uint64_t seed)
{
	unsigned int *order;
	struct engine *e = engine;

	pthread_once(&once, fill_halves);
	if (!e)
		engine = e = engine_new();
	if (smem > MAX_SMEM)
		die("a launch that no machine takes");
	e->smem_bytes = smem;
	e->entry = entry;
	e->args = args;
	e->rng = seed;
	order = malloc((grid + 1) * sizeof(*order));
	if (!order)
		die("no memory");
	for (unsigned int i = 0; i < grid; i++)
		order[i] = i;
	for (unsigned int i = grid; i > 1; i--) {
		unsigned int k = (unsigned int)(random_u64(e) % i), x = order[k];

		order[k] = order[i - 1];
		order[i - 1] = x;
	}
	for (unsigned int i = 0; i < grid; i++)
		run_block(e, order[i]);
	free(order);
}
