// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The queue as a whole: knobs, what expires, and what goes back to the caller.
 */
#include "core/private.h"

#define TIMEOUT_US_MAX	10000000
#define DEPTH_MAX	65536
#define ATTEMPTS_MAX	100
#define REQUESTS_MAX	(1 << 24)
#define GRACE_MS_MAX	600000

void bq_init(struct bq *q)
{
	memset(q, 0, sizeof(*q));
	q->knobs[BQ_WINDOW_MAX] = 32;
	q->knobs[BQ_WINDOW_TIMEOUT_US] = 1000;
	q->knobs[BQ_WINDOW_POLICY] = BRAID_WINDOW_ADAPTIVE;
	q->knobs[BQ_FUSION_POLICY] = BRAID_FUSION_MERGE_FUSE;
	q->knobs[BQ_TENANT_DEPTH] = 256;
	q->knobs[BQ_MAX_ATTEMPTS] = 3;
	q->knobs[BQ_SHARE_BY] = BQ_SHARE_UID;
	q->knobs[BQ_MAX_REQUESTS] = 65536;
	q->knobs[BQ_GRACE_MS] = 2000;
	q->fusion_mask = (1U << BRAID_FUSIONS) - 1;
	q->defaults.weight = BQ_WEIGHT_DEFAULT;
	q->defaults.priority_ceiling = BRAID_PRIORITY_NORMAL;
	q->defaults.request_quota = 8192;
	q->defaults.byte_quota = 1ULL << 30;
	bq_list_init(&q->ending);
	bq_list_init(&q->fresh);
	bq_list_init(&q->retired);
	bq_list_init(&q->told);
	bq_list_init(&q->drained);
	bq_list_init(&q->woken);
}

void bq_exit(struct bq *q)
{
	struct bq_rb_node *n;
	struct bq_model *m;

	while ((n = bq_rb_first(&q->models))) {
		m = bq_entry(n, struct bq_model, by_id);
		bq_model_withdraw(q, m);
		bq_model_settle(q, m);
	}
	while ((n = bq_rb_first(&q->owners)))
		bq_owner_forget(q, bq_entry(n, struct bq_owner, by_key));
}

void bq_knob_range(enum bq_knob knob, u32 *min, u32 *max)
{
	*min = knob == BQ_WINDOW_TIMEOUT_US || knob == BQ_GRACE_MS ? 0 : 1;
	switch (knob) {
	case BQ_WINDOW_MAX:
		*max = BRAID_MAX_BATCH;
		break;
	case BQ_WINDOW_TIMEOUT_US:
		*max = TIMEOUT_US_MAX;
		break;
	case BQ_TENANT_DEPTH:
		*max = DEPTH_MAX;
		break;
	case BQ_MAX_ATTEMPTS:
		*max = ATTEMPTS_MAX;
		break;
	case BQ_MAX_REQUESTS:
		*max = REQUESTS_MAX;
		break;
	case BQ_GRACE_MS:
		*max = GRACE_MS_MAX;
		break;
	default:
		*max = 0;
	}
}

int bq_knob_set(struct bq *q, enum bq_knob knob, u32 value)
{
	u32 min, max;

	switch (knob) {
	case BQ_WINDOW_POLICY:
		if (value >= BRAID_WINDOWS)
			return -EOPNOTSUPP;
		break;
	case BQ_FUSION_POLICY:
		if (value >= BRAID_FUSIONS || !(q->fusion_mask & (1U << value)))
			return -EOPNOTSUPP;
		if (q->ready && value != q->knobs[knob])
			q->policy_changed = true;
		break;
	case BQ_SHARE_BY:
		if (value >= BQ_SHARES)
			return -EOPNOTSUPP;
		/* What was set for a uid is nothing to the cgroup of that number. */
		if (value != q->knobs[knob])
			bq_owners_unset(q);
		break;
	default:
		bq_knob_range(knob, &min, &max);
		if (value < min || value > max)
			return -EINVAL;
	}
	q->knobs[knob] = value;
	return 0;
}

static struct bq_request *first_expiring(const struct bq_rb_root *root)
{
	struct bq_rb_node *n = bq_rb_first(root);

	return n ? bq_entry(n, struct bq_request, expiry) : NULL;
}

bool bq_expire_some(struct bq *q, u64 now, u32 most)
{
	struct bq_request *r;

	if (q->held && now >= q->hold_until)
		bq_hold_lift(q, now);
	for (; most; most--) {
		r = first_expiring(&q->expiry);
		if (r && r->deadline_ns <= now) {
			bq_order_del(q, r);
		} else {
			r = q->held ? NULL : first_expiring(&q->suspect_expiry);
			if (!r || r->deadline_ns > now)
				return true;
			bq_suspect_del(q, r);
		}
		bq_request_end(q, r, -ETIME, &q->count.expired, now);
	}
	return false;
}

void bq_expire(struct bq *q, u64 now)
{
	while (!bq_expire_some(q, now, ~0U))
		;
}

u64 bq_next_event(const struct bq *q)
{
	const struct bq_request *r;
	u64 when = BQ_NEVER, t;

	r = first_expiring(&q->expiry);
	if (r)
		when = r->deadline_ns;

	r = first_expiring(&q->suspect_expiry);
	if (r) {
		t = r->deadline_ns;
		if (q->held && t < q->hold_until)
			t = q->hold_until;
		if (t < when)
			when = t;
	}
	/* Only a hold keeps requests in this list. */
	if (!bq_list_empty(&q->ending) && q->hold_until < when)
		when = q->hold_until;
	return when;
}

void bq_bury(struct bq *q, struct bq_reap *reap, enum bq_kind kind)
{
	reap->kind = kind;
	reap->next = q->reap;
	q->reap = reap;
}

struct bq_reap *bq_reap(struct bq *q)
{
	struct bq_reap *dead = q->reap;

	q->reap = NULL;
	return dead;
}

struct bq_tenant *bq_next_woken(struct bq *q)
{
	struct bq_list *l = q->woken.next;

	if (l == &q->woken)
		return NULL;
	bq_list_del(l);
	return bq_entry(l, struct bq_tenant, woken);
}
