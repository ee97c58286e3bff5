#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the property test find mistakes? Every line below breaks a copy of core/
# in one place; the test built with that copy must fail. A change that no
# longer applies fails too, so that the list can't go stale unnoticed.
#
#   make core-mutations          or: tests/core/mutations.sh [NUMBER...]

set -eu
cd "$(dirname "$0")/../.."

CC=${CC:-cc}
STEPS=${BRAID_STEPS:-600000}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

mutations() {
	cat <<'LIST'
order.c|return a->priority > b->priority;|return a->priority < b->priority;|classes upside down
order.c|return a->deadline_ns - 1 < b->deadline_ns - 1;|return a->deadline_ns < b->deadline_ns;|no deadline counts as the earliest
order.c|return ahead < 0 .. ahead > FAR_AHEAD ? min : own;|return own;|an idle owner keeps what it saved up
order.c|for (l = o->waiting.next; falls|for (l = o->waiting.next; false|a falling virtual time is not moved at once
order.c|if (s->vtime == s->owner->vtime)|if (s)|a stale share counts as first
order.c|if (f->vtime == f->tenant->vtime)|if (f)|a stale flow counts as first
order.c|r->owner->vtime - r->charged_vtime + price|r->owner->vtime + price|the estimate stays charged
order.c|ns \* BQ_WEIGHT_DEFAULT, o->limits.weight|ns, 1|weights are ignored
order.c|if (bq_before(q->clock.min, o->vtime))$|if (0)|owners linger for ever or never
order.c|for (i = class; i < BRAID_PRIORITIES; i++)|for (i = 0; i < BRAID_PRIORITIES; i++)|a parked low request saves up
order.c|return start_at(vtime, c->min);|return vtime;|a newcomer starts where nobody was for long
order.c|if (r->state == BQ_QUEUED) {|if (1) {|a suspect moves the clock
order.c|move_tenant(r->tenant, r->tenant->vtime + r->charged_ns);||tenants of an owner do not take turns
window.c|if (total >= q->knobs.BQ_WINDOW_MAX.)|if (total > q->knobs[BQ_WINDOW_MAX])|a full window waits for one more
window.c|else if (old <= now)|else if (old < now)|age is one tick late
window.c|return r->deadline_ns > takes ? r->deadline_ns - takes : 0;|return r->deadline_ns;|deadlines without the estimate
window.c|m->want_left = fixed(q) ? BRAID_MAX_BATCH : wants.i..count;|m->want_left = wants[i].count;|fixed windows follow credits
window.c|if (!q->fetched)|if (1)|a suspect runs beside others
window.c|r->model->want_left--;||credits are not counted down
window.c|r->suspect_key < best->suspect_key|r->suspect_key > best->suspect_key|suspects in the wrong order
window.c|if (!tell_slots(r, f))|if (0)|jobs before the agent knows their buffers
window.c|if (f->n_jobs && f->n_events + |if (0 \&\& |events flood a window
agent.c|if (r->alone)|if (1)|every death counts as a kill
agent.c|r = bq_entry(taken.prev,|r = bq_entry(taken.next,|requeued in reverse
agent.c|bq_order_correct(q, r, 0);||a requeued request stays charged
agent.c|if (m->put_by == q->last_agent)|if (1)|models that did not come back stay
agent.c|q->hold_until = now + q->knobs.BQ_GRACE_MS. . NS_PER_MS;|q->hold_until = now;|no grace after a death
queue.c|if (q->held)$|if (0)|held requests expire
queue.c|if (q->held && t < q->hold_until)|if (0)|the timer fires while all is held
request.c|status = r->cancelled ? -ECANCELED : res->status;|status = res->status;|a cancelled job ends as if it were not
request.c|t->unsent = r->link.next;|t->unsent = \&t->done;|reading one record hides the next
submit.c|if (t->outstanding >= q->knobs|if (t->outstanding > q->knobs|tenant_depth is one too many
submit.c|if (o->requests)|if (0)|a newcomer finds the queue full
request.c|if (--t->unread)|if (0)|what was read keeps its place with the owner
request.c|if (!t->unread++)|if (1)|unread completions are free of charge
submit.c|b->offset < a->offset + a->length;|b->offset + 64 < a->offset + a->length;|small overlaps pass
submit.c|for (j = 0; j < i; j++)|for (j = m->n_inputs; j < i; j++)|outputs may overlap inputs
buffer.c|if (--b->refs == 0 && b->retired)|if (--b->refs == 0 \&\& 0)|a retired buffer is never let go
buffer.c|if (b->known)$|if (1)|the agent hears of the end of what it never knew
model.c|m->put_seq = ++q->last_put;|if (!m->put_seq) m->put_seq = ++q->last_put;|a revived model is not the newest
model.c|q->n_usable--;||models that were withdrawn are counted
queue.c|bq_owners_unset(q);|;|limits of a uid become a cgroup's
owner.c|r->state == BQ_FETCHED|0|a dead tenant's running request is dropped
agent.c|bq_list_add_tail(r->tenant ? &taken : &orphans, &r->link);|if (r->tenant) bq_list_add_tail(\&taken, \&r->link); else bq_request_end(q, r, 0, NULL, now);|an orphan's end takes a draining model along
LIST
}

build() {
	cp core/*.c core/*.h "$tmp/core/"
	sed -i "s|$2|$3|" "$tmp/core/$1"
	if cmp -s "core/$1" "$tmp/core/$1"; then
		return 1
	fi
	$CC -std=gnu11 -O1 -w -I"$tmp" -I. -Iinclude/uapi -o "$tmp/test" \
		tests/core/test_core_property.c tests/core/drive*.c \
		tests/core/naive*.c "$tmp"/core/*.c
}

mkdir "$tmp/core"
n=0
bad=0
mutations >"$tmp/list"
while IFS='|' read -r file from to why; do
	n=$((n + 1))
	if [ $# -gt 0 ]; then
		case " $* " in *" $n "*) ;; *) continue ;; esac
	fi
	if ! build "$file" "$from" "$to"; then
		echo "not ok $n - $why # does not apply: $file: $from"
		bad=1
		continue
	fi
	# A crash or a loop without end is found out too.
	if BRAID_STEPS=$STEPS BRAID_SEED=1 timeout 60 "$tmp/test" >"$tmp/out" 2>&1; then
		echo "not ok $n - $why # not found in $STEPS operations"
		bad=1
	else
		echo "ok $n - $why: $(sed -n 's/^# BRAID_SEED=[0-9]*: //p' "$tmp/out" | head -n 1)"
	fi
done <"$tmp/list"
echo "1..$n"
exit "$bad"
