/* SPDX-License-Identifier: MIT */
/*
 * A second queue, written from the rules and not from core/: arrays that are
 * searched from end to end, no trees, no lazy anything. The property test and
 * the fuzzer run both and compare. Of core/ it takes only names of knobs and
 * the structures of limits and counters.
 */
#ifndef BRAID_TESTS_CORE_NAIVE_H
#define BRAID_TESTS_CORE_NAIVE_H

#include "core/queue.h"

#define NV_REQUESTS	512
#define NV_TENANTS	32
#define NV_OWNERS	16
#define NV_MODELS	32
#define NV_BUFFERS	256
#define NV_SLOTS	4

enum nv_state { NV_QUEUED, NV_SUSPECT, NV_ENDING, NV_FETCHED, NV_DONE };

struct nv_request {
	enum nv_state state;
	u64 tenant;			/* 0: orphan */
	u64 owner;
	u64 model;
	u64 id, user_data, deadline, enqueue, fetch, done, device, window, cookie;
	u64 seq;
	u64 rank;			/* place among suspects, ending or done */
	u64 cost_owner, cost_tenant;
	u32 priority, attempt, kills, merge, fuse;
	s32 status;
	bool cancelled, alone, sent;
	u32 n_slots;
	struct braid_slice slots[NV_SLOTS];
};

struct nv_tenant {
	u64 id, owner, last_id, sent, seen;
	u64 vtime;
};

struct nv_owner {
	u64 key;
	struct bq_owner_limits limits;
	bool set;
	u64 vtime, clock[BRAID_PRIORITIES], min_vtime;
};

struct nv_model {
	u64 id, agent, newest;
	bool deleting, drained;
	u64 drained_at;
	struct bq_model def;		/* name, digest, estimate, tensors only */
	struct braid_tensor tensors[NV_SLOTS];
};

struct nv_buffer {
	u64 id, tenant, owner, length;
	bool gone, known, retired, told;	/* gone: its tenant is dead */
	u32 refs;
	u64 unused_at;
};

struct naive {
	u32 knobs[BQ_KNOBS];
	struct bq_owner_limits defaults;
	struct bq_counters count;
	bool attached, ready, held, policy;
	u64 hold_until, generation, agent;
	u64 last_tenant, last_model, last_newest, last_buffer, last_seq, last_cookie;
	u64 last_window, last_rank, last_unused, killers;
	u64 clock[BRAID_PRIORITIES], min_vtime;
	u32 n_requests, n_tenants, n_owners, n_models, n_buffers;
	struct nv_request request[NV_REQUESTS];
	struct nv_tenant tenant[NV_TENANTS];
	struct nv_owner owner[NV_OWNERS];
	struct nv_model model[NV_MODELS];
	struct nv_buffer buffer[NV_BUFFERS];
};

/* Walk an array by name: NV_FOR_EACH(nv, request, r). */
#define NV_FOR_EACH(nv, kind, p) \
	for ((p) = (nv)->kind; (p) < (nv)->kind + (nv)->n_##kind##s; (p)++)

void nv_init(struct naive *nv);
bool nv_full(const struct naive *nv);
int nv_knob_set(struct naive *nv, enum bq_knob knob, u32 value);

struct nv_owner *nv_owner(struct naive *nv, u64 key);
struct nv_tenant *nv_tenant(struct naive *nv, u64 id);
struct nv_model *nv_model(struct naive *nv, u64 id);
struct nv_buffer *nv_buffer(struct naive *nv, u64 id);
u32 nv_outstanding(const struct naive *nv, u64 tenant);
u32 nv_owner_requests(const struct naive *nv, u64 owner);
u64 nv_owner_bytes(const struct naive *nv, u64 owner);
u32 nv_count(const struct naive *nv, u64 model, enum nv_state state);

u64 nv_tenant_add(struct naive *nv, u64 owner);
void nv_tenant_gone(struct naive *nv, u64 id);
int nv_owner_set(struct naive *nv, u64 key, const struct bq_owner_limits *limits);
int nv_buffer_add(struct naive *nv, u64 tenant, u64 length, u64 *id);
int nv_buffer_free(struct naive *nv, u64 tenant, u64 id);
int nv_buffer_put(struct naive *nv, u64 id);
int nv_model_put(struct naive *nv, const struct bq_model *def, u64 *id);
int nv_model_del(struct naive *nv, u64 id, bool end_queued, u64 now);
u64 nv_model_by_name(struct naive *nv, const char *name);
int nv_submit(struct naive *nv, u64 tenant, const struct braid_request *in,
	      const struct braid_slice *slices, u32 n, u64 now, u64 *id);
int nv_cancel(struct naive *nv, u64 tenant, u64 id, u64 now);
int nv_window(struct naive *nv, const struct braid_want *wants, u32 n, u64 now,
	      struct bq_look *look);
int nv_fetch(struct naive *nv, struct bq_fetch *f, u64 now);
int nv_commit(struct naive *nv, const struct braid_result *res, u64 now);
bool nv_peek(struct naive *nv, u64 tenant, struct braid_completion *out);
void nv_pop(struct naive *nv, u64 tenant);
void nv_sent(struct naive *nv, u64 tenant);
int nv_seen(struct naive *nv, u64 tenant, u64 total);
void nv_expire(struct naive *nv, u64 now);
u64 nv_next_event(const struct naive *nv);
int nv_attach(struct naive *nv);
int nv_ready(struct naive *nv, u64 now);
void nv_gone(struct naive *nv, u64 now);

/* Between the files of the naive queue. */
void nv_drop(struct naive *nv, struct nv_request *r);
void nv_request_remove(struct naive *nv, struct nv_request *r);
void nv_buffer_remove(struct naive *nv, struct nv_buffer *b);
void nv_buffer_settle(struct naive *nv, struct nv_buffer *b);
void nv_model_settle(struct naive *nv, u64 id);
void nv_end_waiting(struct naive *nv, u64 model, u64 now);
void nv_begin(struct naive *nv, struct nv_owner *o, struct nv_tenant *t, u32 class);
void nv_serve(struct naive *nv, const struct nv_request *r);
void nv_raise(struct naive *nv);
void nv_forget(struct naive *nv);
void nv_pay(struct naive *nv, struct nv_request *r, u64 ns);
void nv_complete(struct naive *nv, struct nv_request *r, s32 status, u64 *counter, u64 now);

#endif
