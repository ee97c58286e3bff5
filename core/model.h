/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The table of models that agents publish, against which every request is
 * checked. It outlives the agent.
 */
#ifndef BRAID_CORE_MODEL_H
#define BRAID_CORE_MODEL_H

#include <linux/braid.h>

#include "core/list.h"
#include "core/rbtree.h"
#include "core/reap.h"

struct bq;

/**
 * struct bq_model - a model
 * @name: set by the caller
 * @digest: set by the caller
 * @device_ns: set by the caller, at least 1
 * @n_inputs: set by the caller
 * @n_outputs: set by the caller
 * @tensors: set by the caller, inputs first; lives as long as the model
 * @id: the queue's, as all that follows
 * @queued: requests that wait in the order
 * @suspects: requests that wait to run alone, or to end after a hold
 * @fetched: requests that the agent has
 * @deleting: no new requests
 */
struct bq_model {
	char name[BRAID_NAME_MAX];
	u8 digest[BRAID_DIGEST_BYTES];
	u64 device_ns;
	u32 n_inputs;
	u32 n_outputs;
	const struct braid_tensor *tensors;

	u64 id;
	u32 queued;
	u32 suspects;
	u32 fetched;
	bool deleting;

	/* The queue's own. */
	u64 put_by;			/* which agent published it last */
	u64 put_seq;			/* order of publication: the newest wins its name */
	struct bq_rb_node by_id;
	struct bq_rb_node by_name;	/* while it may be used: by name, newest first */
	struct bq_rb_root shares;	/* by class, owner's virtual time */
	struct bq_rb_root deadlines;	/* QUEUED with a deadline */
	struct bq_list arrivals;	/* QUEUED */
	struct bq_list suspect_list;	/* SUSPECT */
	struct bq_list flows;
	struct bq_list link;		/* drained, to be told */
	struct bq_model *want_next;	/* during one look at the wants */
	u64 want_seq;
	u32 want_left;
	struct bq_reap reap;
};

/**
 * bq_model_put - publish a model
 * @q: queue
 * @m: caller's node with the fields above filled in
 * @out: the model in the table: @m, or the one that was there before, in which
 *       case @m stays the caller's
 *
 * A deleted model that still drains is revived by the same name and digest.
 *
 * Returns 0. -ENODEV: no agent attached. -EINVAL: name empty or not ended,
 * device_ns 0, no inputs or outputs, tensor whose name does not end, rank
 * above BRAID_RANK_MAX, an extent 0, extents beyond the rank set, bytes that
 * are not its extents'; other tensors with the same digest. -EMSGSIZE: more
 * than BRAID_MAX_TENSORS. -EOPNOTSUPP: unknown type. -EOVERFLOW: extents too
 * large. -EAGAIN: too many models.
 */
int bq_model_put(struct bq *q, struct bq_model *m, struct bq_model **out);

/**
 * bq_model_del - withdraw a model
 * @q: queue
 * @id: model
 * @end_queued: requests that wait end with ENOENT (BRAID_MODEL_DEL_NOW)
 * @now: CLOCK_MONOTONIC ns
 *
 * Returns 0. -ENODEV: no agent attached. -ENOENT: no such model. The event
 * MODEL_DRAINED comes when nothing of it is left, in both cases, if this agent
 * published the model.
 */
int bq_model_del(struct bq *q, u64 id, bool end_queued, u64 now);

/**
 * bq_model_by_id - find a model that may be used
 * @q: queue
 * @id: model
 *
 * Returns it, or NULL.
 */
struct bq_model *bq_model_by_id(const struct bq *q, u64 id);

/**
 * bq_model_by_name - find the newest model of a name that may be used
 * @q: queue
 * @name: ends with zero within BRAID_NAME_MAX
 *
 * Returns it, or NULL.
 */
struct bq_model *bq_model_by_name(const struct bq *q, const char *name);

/**
 * bq_model_next - the model with the smallest id above @id that may be used
 * @q: queue
 * @id: 0 to start
 *
 * Returns it, or NULL.
 */
struct bq_model *bq_model_next(const struct bq *q, u64 id);

/* Bytes of one element of enum braid_type @type, 0 if there is no such type. */
u32 bq_type_bytes(u32 type);

#endif
