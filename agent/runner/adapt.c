// SPDX-License-Identifier: MIT
/*
 * The adaptive policy: see adapt.h. Owns what was measured.
 *
 * An epoch begins when what was launched under the arm before has ended; what
 * ends before that is not counted. Its score goes into a moving average. In
 * each situation every arm is tried once, from the most promising on (the one
 * that was best in the situation next to it, then its neighbours), so a change
 * of load does not begin at nothing.
 */
#include "agent/runner/adapt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARMS		24u
#define SITUATIONS	64u
#define MODELS		256u		/* weights, hashed by number */
#define LOADS		8u		/* 1, 2, 3-4, 5-8, ... outstanding */
#define SHARES		4u		/* of the device, that others take */
#define MODEL_BITS	58u		/* with these two in a word */
#define EPOCH_NS	20000000ull
#define EPOCH_MAX_NS	250000000ull
#define EPOCH_REQUESTS	48u
#define ROUNDS		6u		/* and of all that is outstanding: the first answers come late */
#define GLANCE_NS	7000000ull	/* after so long and so many requests, */
#define GLANCE_REQUESTS	32u
#define GLANCE_ROUNDS	3u
#define HOPELESS	0.75		/* what does less than this of the best is given up */
#define UNREADY_SEEN	4u		/* launches in another form than asked for: enough */
#define WEIGHT_RUNS	64u		/* of a model, then its weight is fixed */
#define BUSY		0.9
#define CLEARLY		1.05		/* better than the one with a lane for each request, while these vary */
#define UNEVEN		0.8		/* variance by mean of what is outstanding: of arrivals at
					 * random it is 1, of N tenants that wait it is the part of
					 * them that does not just now
					 */
#define LATELY		0.25f		/* of an epoch in what is believed of that, and of how busy it is */
#define EXPLORE		18u		/* epochs, one of them for another arm */
#define CALM		96u		/* epochs with the same best one, then */
#define EXPLORE_CALM	48u		/* this is enough */
#define CONFIRM		4u		/* epochs, before one is believed to be the best */
#define CLOSE		0.93		/* of the best: may be the best, by chance it is not */
#define FAR_BEHIND	0.88		/* of the best: seldom tried again */
#define RARELY		8u		/* explorations, one of them for those */
#define OLD_EPOCHS	2u		/* that an older score counts as then */
#define MEMORY		8u		/* epochs in a score */
#define STAY		1.02		/* so much better to take the best one's place */
#define FEW_LANES	0.92f		/* of its score counts, where requests may have to wait for a lane */
#define ODD		0.15f		/* so far from its score an epoch counts as if it were no farther, */
#define ODD_TIMES	6u		/* unless so many in a row are: then things have changed */
#define SEEN_EPOCHS	24u
#define PAUSE_NS	50000000ull	/* nothing to do for so long ends an epoch unscored */
#define PEAK_STAYS	0.97		/* of the peak of what was outstanding, each epoch */
#define UNREADY_NS	4000000000ull	/* an arm whose form is not there yet waits, */
#define UNREADY_TIMES	6u		/* so often twice as long as before */

struct measure {
	float score;			/* weighted requests a second, 0: none */
	uint32_t n, unready, odd;
	uint64_t not_before;
};

enum look { LOOK_ANY, LOOK_ROOMY, LOOK_FAR, LOOKS };

struct situation {
	uint64_t key, used;
	uint32_t best, epochs, calm, explored, next[LOOKS];
	uint32_t fallen;		/* arm, plus 1: was the best and does far less all at once */
	struct measure arms[ARMS];
};

struct weight {
	float ns;
	uint32_t runs;
};

struct adapt {
	struct adapt_arm arms[ARMS];
	uint32_t n_arms, idle_arm;
	struct situation situations[SITUATIONS];
	struct situation *here;
	struct weight weights[MODELS];
	struct adapt_reason reason;
	uint32_t arm;
	uint32_t shared, shared_next;	/* classes: that holds, that was told last */
	uint64_t tick;

	/* the epoch */
	bool measuring, mixed;		/* mixed: others came or went meanwhile */
	uint64_t start_ns, last_ns, busy_ns, ended_ns;
	uint32_t to_settle, requests, most, several, as_asked;
	uint64_t models;
	double work;
	uint64_t seen[2];		/* models: of late, and before that */
	uint32_t epochs;
	float peak;			/* of what was outstanding, over epochs */
	uint64_t counted_ns;
	uint32_t outstanding;		/* since then */
	double sum, squares;		/* of it, by time */
	float uneven, busy;		/* variance by mean, part of the time; over epochs with all
					 * lanes, the idle arm; negative: none yet
					 */
};

static void add_arm(struct adapt *a, enum braid_fusion_policy policy, enum adapt_merge merge,
		    uint32_t limit)
{
	if (a->n_arms < ARMS)
		a->arms[a->n_arms++] = (struct adapt_arm){ policy, merge, limit };
}

/* Neighbours in the list are neighbours in kind. */
struct adapt *adapt_new(uint32_t policies, uint32_t lanes)
{
	static const uint32_t limits[] = { 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64 };
	struct adapt *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]) && limits[i] < lanes; i++)
		if (policies & 1u << BRAID_FUSION_MERGE)
			add_arm(a, BRAID_FUSION_MERGE, ADAPT_SPREAD, limits[i]);
	if (policies & 1u << BRAID_FUSION_MERGE)
		add_arm(a, BRAID_FUSION_MERGE, ADAPT_SPREAD, lanes);
	if (policies & 1u << BRAID_FUSION_NONE || !a->n_arms)
		add_arm(a, BRAID_FUSION_NONE, ADAPT_ALONE, lanes);
	a->idle_arm = a->n_arms - 1;
	if (policies & 1u << BRAID_FUSION_MERGE)
		add_arm(a, BRAID_FUSION_MERGE, ADAPT_ALL, lanes);
	if (policies & 1u << BRAID_FUSION_BRANCHES)
		for (uint32_t n = 1; n <= 2 && n <= lanes; n++)
			add_arm(a, BRAID_FUSION_BRANCHES, ADAPT_ALL, n);
	if (policies & 1u << BRAID_FUSION_MERGE_FUSE)
		for (uint32_t n = 1; n <= 2 && n <= lanes; n++)
			add_arm(a, BRAID_FUSION_MERGE_FUSE, ADAPT_ALL, n);
	a->arm = a->idle_arm;
	a->uneven = a->busy = -1;
	a->reason = (struct adapt_reason){ .arm = a->arms[a->arm], .why = ADAPT_FIRST };
	return a;
}

void adapt_free(struct adapt *a)
{
	free(a);
}

const struct adapt_arm *adapt_arm(const struct adapt *a)
{
	return &a->arms[a->arm];
}

const struct adapt_reason *adapt_reason(const struct adapt *a)
{
	return &a->reason;
}

/* ---- situations ---- */

static uint32_t load_class(uint32_t outstanding)
{
	uint32_t c = outstanding < 2 ? 0 : 32 - __builtin_clz(outstanding - 1);

	return c < LOADS ? c : LOADS - 1;
}

static struct situation *find(struct adapt *a, uint64_t key)
{
	for (uint32_t i = 0; i < SITUATIONS; i++)
		if (a->situations[i].key == key)
			return &a->situations[i];
	return NULL;
}

/* Never 0: an epoch that ends has models. */
static uint64_t key_of(uint64_t models, uint32_t shared, uint32_t load)
{
	return (models * SHARES + shared) * LOADS + load;
}

/* What the same models did under the next lower or higher load, or with more of the device. */
static const struct situation *neighbour(struct adapt *a, uint64_t models, uint32_t load)
{
	uint32_t shared = a->shared;
	const struct situation *s = load ? find(a, key_of(models, shared, load - 1)) : NULL;

	if (!s && load + 1 < LOADS)
		s = find(a, key_of(models, shared, load + 1));
	while (!s && shared)
		s = find(a, key_of(models, --shared, load));
	return s;
}

static struct situation *enter(struct adapt *a, uint64_t models, uint32_t load)
{
	uint64_t key = key_of(models, a->shared, load);
	struct situation *s = find(a, key), *oldest = &a->situations[0];
	const struct situation *near;

	a->tick++;
	if (!s) {
		for (uint32_t i = 0; i < SITUATIONS; i++)
			if (a->situations[i].used < oldest->used)
				oldest = &a->situations[i];
		near = neighbour(a, models, load);
		s = oldest;
		s->best = near && near != s ? near->best : a->idle_arm;
		s->key = key;
		s->epochs = s->calm = s->explored = s->fallen = 0;
		memset(s->next, 0, sizeof(s->next));
		memset(s->arms, 0, sizeof(s->arms));
	}
	s->used = a->tick;
	return s;
}

/* ---- choosing ---- */

/* The arm that was not measured and is nearest to the best; ARMS: there is none. */
static uint32_t untried(const struct adapt *a, const struct situation *s, uint64_t now)
{
	for (uint32_t d = 0; d < a->n_arms; d++) {
		const uint32_t near[2] = { s->best + d, s->best - d };

		for (int i = 0; i < 2; i++)
			if (near[i] < a->n_arms && !s->arms[near[i]].n &&
			    now >= s->arms[near[i]].not_before)
				return near[i];
	}
	return ARMS;
}

/*
 * One that was measured, but not often enough to tell it from the best: the
 * highest of many first results is mostly luck.
 */
static uint32_t unconfirmed(const struct adapt *a, const struct situation *s, uint64_t now)
{
	float bar = s->arms[s->best].score * CLOSE;
	uint32_t found = ARMS;

	for (uint32_t i = 0; i < a->n_arms; i++)
		if (s->arms[i].n && s->arms[i].n < CONFIRM && s->arms[i].score >= bar &&
		    now >= s->arms[i].not_before &&
		    (found == ARMS || s->arms[i].n < s->arms[found].n))
			found = i;
	return found;
}

/* Under such an arm nothing waits for a lane. */
static bool is_roomy(const struct adapt *a, uint32_t i)
{
	const struct adapt_arm *arm = &a->arms[i];

	return arm->limit >= a->arms[a->idle_arm].limit &&
	       (arm->policy == BRAID_FUSION_NONE || arm->policy == BRAID_FUSION_MERGE);
}

/* The next one that makes nobody wait; there is one. */
static uint32_t next_roomy(const struct adapt *a, struct situation *s)
{
	uint32_t k;

	do
		k = s->next[LOOK_ROOMY]++ % a->n_arms;
	while (!is_roomy(a, k));
	return k;
}

/*
 * One to be looked at again: every other time one that makes nobody wait, and seldom
 * those far behind, of every kind in turn.
 */
static uint32_t another(const struct adapt *a, struct situation *s, uint64_t now)
{
	const uint32_t turn = s->explored++ % RARELY;
	const enum look look = turn == RARELY - 1 ? LOOK_FAR : turn % 2 ? LOOK_ANY : LOOK_ROOMY;
	float bar = look == LOOK_FAR ? 0 : s->arms[s->best].score * FAR_BEHIND;

	for (uint32_t i = 0; i < a->n_arms; i++) {
		uint32_t k = s->next[look]++ % a->n_arms;

		if (k != s->best && s->arms[k].score >= bar && now >= s->arms[k].not_before &&
		    (look != LOOK_ROOMY || is_roomy(a, k)))
			return k;
	}
	return s->best;
}

/* What an arm is worth: with few lanes answers come later, which must be worth something. */
static float worth(const struct adapt *a, const struct situation *s, uint32_t i)
{
	return s->arms[i].score * (is_roomy(a, i) ? 1 : FEW_LANES);
}

static void find_best(const struct adapt *a, struct situation *s)
{
	uint32_t best = s->best;
	float bar = s->arms[best].n ? worth(a, s, best) * STAY : 0;

	for (uint32_t i = 0; i < a->n_arms; i++) {
		if (!s->arms[i].n || worth(a, s, i) <= bar)
			continue;
		best = i;
		bar = worth(a, s, i);
	}
	s->calm = best == s->best ? s->calm + 1 : 0;
	s->best = best;
}

static void hold(struct adapt *a, uint32_t arm, enum adapt_why why, uint32_t load)
{
	const struct situation *s = a->here;
	float best = s ? worth(a, s, s->best) : 0;

	a->arm = arm;
	a->reason = (struct adapt_reason){ .arm = a->arms[arm], .why = why, .load = load,
					  .shared = a->shared };
	if (!s || best <= 0)
		return;
	a->reason.score = 1000 * worth(a, s, arm) / best;
	a->reason.best_is = arm != s->best;
	a->reason.best = a->arms[s->best];
}

/* The next epoch is as if it were the first. */
static void forget(struct measure *m)
{
	m->n = m->odd = 0;
}

/* What an arm did long ago counts little where it is looked at again, far behind nothing. */
static void age(struct situation *s, uint32_t arm)
{
	struct measure *m = &s->arms[arm];

	if (m->n > OLD_EPOCHS)
		m->n = OLD_EPOCHS;
	if (m->score < s->arms[s->best].score * FAR_BEHIND)
		forget(m);
}

static void choose(struct adapt *a, uint64_t now, uint32_t load)
{
	struct situation *s = a->here;
	uint32_t arm = untried(a, s, now);

	if (arm == ARMS)
		arm = unconfirmed(a, s, now);
	if (arm < ARMS) {
		hold(a, arm, ADAPT_TRY, load);
		return;
	}
	if (++s->epochs >= (s->calm < CALM ? EXPLORE : EXPLORE_CALM)) {
		s->epochs = 0;
		arm = another(a, s, now);
		if (arm != s->best) {
			age(s, arm);
			hold(a, arm, ADAPT_EXPLORE, load);
			return;
		}
	}
	hold(a, s->best, ADAPT_BEST, load);
}

/* ---- measuring ---- */

static void begin(struct adapt *a, uint64_t now, uint32_t left)
{
	a->measuring = false;
	a->to_settle = left;
	a->start_ns = now;
	a->last_ns = left ? now : 0;
	a->busy_ns = 0;
	a->work = 0;
	a->requests = a->most = a->several = a->as_asked = 0;
	a->models = 0;
	a->mixed = false;
	a->counted_ns = now;
	a->sum = a->squares = 0;
}

/* So many from now on. */
static void count(struct adapt *a, uint64_t now, uint32_t outstanding)
{
	double ns = now > a->counted_ns ? now - a->counted_ns : 0;

	a->sum += ns * a->outstanding;
	a->squares += ns * a->outstanding * a->outstanding;
	a->counted_ns += (uint64_t)ns;
	a->outstanding = outstanding;
}

/* The others' scores are from before: so much has changed for all since. */
static void change_others(const struct adapt *a, struct situation *s, uint32_t but, float times)
{
	for (uint32_t i = 0; i < a->n_arms; i++)
		if (i != but)
			s->arms[i].score *= times;
}

/*
 * The driver may hold up everything for some milliseconds, while it loads code that
 * was made in the background: whose epoch that is has nothing to do with the arm.
 */
static float tamed(struct measure *m, float got)
{
	const float low = m->score * (1 - ODD), high = m->score * (1 + ODD);

	if (!m->n || (got >= low && got <= high)) {
		m->odd = 0;
		return got;
	}
	if (++m->odd < ODD_TIMES)
		return got < low ? low : high;
	forget(m);
	return got;
}

/* One of another kind than what has fallen, which was measured. */
static uint32_t witness(const struct adapt *a, const struct situation *s)
{
	uint32_t w = s->fallen - 1 != a->idle_arm ? a->idle_arm : a->idle_arm + 1;

	return w < a->n_arms && s->arms[w].n ? w : ARMS;
}

/*
 * Machines are slower for a while, and loads change: arms are not to be compared by when
 * they were measured. What happens to the best one all at once happens to all, but for a
 * fall, which may be its own. Then another arm is looked at: where that fell as well, all
 * did.
 */
static void compare(struct adapt *a, struct situation *s, struct measure *m, float got)
{
	const float was = m->score;
	const uint32_t n = m->n;

	if (s->fallen && a->arm == witness(a, s)) {
		if (got < was)
			change_others(a, s, s->fallen - 1, got / was);
		s->fallen = 0;
	}
	got = tamed(m, got);
	m->n++;
	m->score += (got - m->score) / (m->n < MEMORY ? m->n : MEMORY);
	if (a->arm != s->best || n < CONFIRM || m->n > 1)
		return;
	if (m->score > was)
		change_others(a, s, a->arm, m->score / was);
	else if (!s->fallen)
		s->fallen = a->arm + 1;
}

static void score(struct adapt *a, struct situation *s, uint64_t now)
{
	struct measure *m = &s->arms[a->arm];

	/* Most of it ran in another form: that says nothing of this one. */
	if (a->several && a->as_asked * 4 < a->several * 3) {
		m->not_before = now + (UNREADY_NS << m->unready);
		m->unready += m->unready < UNREADY_TIMES;
		return;
	}
	m->unready = 0;
	compare(a, s, m, a->work * 1e9 / (now - a->start_ns));
}

/* What a request of this model counts. */
static float weigh(struct adapt *a, uint32_t model, float each_ns)
{
	struct weight *w = &a->weights[model % MODELS];

	if (w->runs < WEIGHT_RUNS) {
		w->runs++;
		w->ns += (each_ns - w->ns) / w->runs;
	}
	return w->ns;
}

bool adapt_window(struct adapt *a, uint64_t now, uint32_t outstanding)
{
	uint32_t before = a->arm;

	if (!a->start_ns)
		begin(a, now, 0);
	/* The pause says nothing of the arm, and nobody knows what comes now. */
	if (!a->last_ns && a->ended_ns && now - a->ended_ns > PAUSE_NS) {
		begin(a, now, 0);
		hold(a, a->idle_arm, ADAPT_IDLE, outstanding);
	}
	if (!a->last_ns)
		a->last_ns = now;
	count(a, now, outstanding);
	if (outstanding > a->most)
		a->most = outstanding;
	return a->arm != before;
}

void adapt_restart(struct adapt *a, uint64_t now, uint32_t left)
{
	if (a->start_ns)
		begin(a, now, left);
}

void adapt_launched(struct adapt *a, bool several, bool as_asked)
{
	a->several += several;
	a->as_asked += several && as_asked;
}

static uint32_t at_least(uint32_t least, float n)
{
	return n > least ? n : least;
}

/* What is clear already: the form is not there, or another arm is far better. */
static bool is_hopeless(const struct adapt *a, uint64_t took)
{
	const struct situation *s = a->here;
	double best = s && a->arm != s->best ? s->arms[s->best].score : 0;
	uint32_t enough = at_least(GLANCE_REQUESTS, GLANCE_ROUNDS * a->peak);

	if (a->several >= UNREADY_SEEN && !a->as_asked)
		return true;
	return took >= GLANCE_NS && a->requests >= enough &&
	       a->work * 1e9 < best * HOPELESS * took;
}

static bool is_over(const struct adapt *a, uint64_t now)
{
	uint64_t took = now - a->start_ns;

	if (is_hopeless(a, took))
		return true;
	return took >= EPOCH_MAX_NS ||
	       (took >= EPOCH_NS && a->requests >= at_least(EPOCH_REQUESTS, ROUNDS * a->peak));
}

/*
 * The load is the most that was outstanding at once of late: a mean would be
 * another under each arm, and arms could not be compared.
 */
static uint32_t decayed(struct adapt *a)
{
	a->peak = a->peak * PEAK_STAYS > a->most ? a->peak * PEAK_STAYS : a->most;
	return a->peak + 0.5f;
}

/* Models of the last epochs: one that comes seldom is not another situation each time. */
static uint64_t seen(struct adapt *a)
{
	a->seen[0] |= a->models;
	if (++a->epochs % SEEN_EPOCHS == 0) {
		a->seen[1] = a->seen[0];
		a->seen[0] = a->models;
	}
	return a->seen[0] | a->seen[1];
}

/* Not measured, or not far from the best and not often enough to be told from it. */
static bool is_unsure(const struct situation *s, uint32_t i)
{
	const struct measure *m = &s->arms[i];

	return !m->n || (m->n < CONFIRM && m->score >= s->arms[s->best].score * FAR_BEHIND);
}

/*
 * Requests come when they like, or so it seems: tenants that wait may be served in
 * bursts as well. Those arms are tried that make nobody wait, and another than the
 * idle one is held where it does clearly more. They are few: one that is looked at again
 * is measured anew, as fast as such tenants come and go.
 */
static void choose_roomy(struct adapt *a, uint32_t load)
{
	struct situation *s = a->here;
	float bar = s->arms[a->idle_arm].score * CLEARLY;
	uint32_t arm;

	s->best = a->idle_arm;
	for (uint32_t i = 0; i < a->n_arms; i++) {
		if (!is_roomy(a, i))
			continue;
		if (s->arms[i].score > bar) {
			s->best = i;
			bar = s->arms[i].score;
		}
	}
	for (uint32_t i = 0; i < a->n_arms; i++)
		if (is_roomy(a, i) && is_unsure(s, i)) {
			hold(a, i, ADAPT_TRY, load);
			return;
		}
	if (++s->epochs >= EXPLORE_CALM) {
		s->epochs = 0;
		arm = next_roomy(a, s);
		forget(&s->arms[arm]);
		hold(a, arm, ADAPT_EXPLORE, load);
		return;
	}
	hold(a, s->best, s->best == a->idle_arm ? ADAPT_UNEVEN : ADAPT_BEST, load);
}

/* A mean of what was lately; negative before the first. */
static void believe(float *mean, double now_is)
{
	*mean += *mean < 0 ? now_is - *mean : (now_is - *mean) * LATELY;
}

/* Of arms that make nobody wait: with few lanes tenants are answered in bursts. */
static bool is_uneven(struct adapt *a, uint64_t now)
{
	double ns = now - a->start_ns, mean, now_is;

	if (!is_roomy(a, a->arm))
		return false;
	mean = a->sum / ns;
	now_is = mean > 0 ? (a->squares / ns - mean * mean) / mean : 0;
	believe(&a->uneven, now_is);
	return a->uneven >= UNEVEN;
}

/*
 * Whether there is enough to do shows only with all lanes: with fewer a device that
 * waits for its tenants may be one that they wait for. Not by one epoch: those that
 * happen to be busy would be all that is known of this arm.
 */
static bool is_idle(struct adapt *a, uint64_t now)
{
	if (a->arm != a->idle_arm)
		return false;
	believe(&a->busy, (double)a->busy_ns / (now - a->start_ns));
	return a->busy < BUSY;
}

static void end_epoch(struct adapt *a, uint64_t now)
{
	uint32_t load = decayed(a);
	bool idle = is_idle(a, now);
	bool uneven = is_uneven(a, now);

	a->here = enter(a, seen(a), load_class(load));
	if (idle) {
		a->here->best = a->idle_arm;
		a->here->fallen = 0;
		hold(a, a->idle_arm, ADAPT_IDLE, load);
		return;
	}
	if (!a->mixed)
		score(a, a->here, now);
	if (a->here->fallen && witness(a, a->here) < ARMS) {
		hold(a, witness(a, a->here), ADAPT_EXPLORE, load);
		return;
	}
	a->here->fallen = 0;
	if (uneven) {
		choose_roomy(a, load);
		return;
	}
	find_best(a, a->here);
	choose(a, now, load);
}

bool adapt_done(struct adapt *a, uint64_t now, uint32_t model, uint32_t degree,
		uint64_t device_ns, uint32_t left, uint32_t outstanding)
{
	uint32_t before = a->arm;
	float w = weigh(a, model, (float)device_ns / degree);

	count(a, now, outstanding);

	if (!a->measuring) {
		if (a->to_settle > 1) {
			a->to_settle--;
			return false;
		}
		begin(a, now, left);
		a->measuring = true;
		return false;
	}
	/* It was busy since the last end, unless nothing was left then. */
	if (a->last_ns)
		a->busy_ns += now - a->last_ns;
	a->last_ns = left ? now : 0;
	a->ended_ns = now;
	a->work += (double)w * degree;
	a->requests += degree;
	a->models |= 1ull << model % MODEL_BITS;
	if (!is_over(a, now))
		return false;
	end_epoch(a, now);
	begin(a, now, left);
	return a->arm != before;
}

/* Below a fiftieth it makes no difference that could be measured. */
static uint32_t share_class(uint32_t away, float launches_per_s)
{
	if (away < 20)
		return launches_per_s >= 10;
	return away < 200 ? 1 : away < 500 ? 2 : 3;
}

void adapt_shared(struct adapt *a, uint32_t away, float launches_per_s)
{
	uint32_t told = share_class(away, launches_per_s);

	if (told != a->shared && told == a->shared_next) {
		a->shared = told;
		a->mixed = true;
	}
	a->shared_next = told;
}

/* ---- words ---- */

static int arm_words(const struct adapt_arm *m, char *buf, size_t len)
{
	static const char *const forms[] = { "lanes", "lanes", "side by side", "side by side",
					     "branches of one graph", "lanes" };
	static const char *const merges[] = { "unmerged", "merged as lanes are short", "merged" };

	return snprintf(buf, len, "%s, %s, %u at once", merges[m->merge], forms[m->policy],
			m->limit);
}

void adapt_words(const struct adapt_reason *r, char *buf, size_t len)
{
	static const char *const whys[] = {
		"nothing is measured yet", "the device is not busy all the time",
		"requests come when they like, and all are served",
		"not measured enough under this load yet", "to see whether it still is worse",
		"the best that was measured under this load",
	};
	static const char *const shares[SHARES] = {
		"", "others use the device a little", "others take much of the device",
		"others take most of the device",
	};
	char arm[96], best[96];
	size_t n;

	arm_words(&r->arm, arm, sizeof(arm));
	n = snprintf(buf, len, "%s: %s (%u outstanding", arm, whys[r->why], r->load);
	if (r->best_is && n < len) {
		arm_words(&r->best, best, sizeof(best));
		n += snprintf(buf + n, len - n, "; the best is %s", best);
		if (r->score && n < len)
			n += snprintf(buf + n, len - n, ", this does %u.%u%% of it",
				      r->score / 10, r->score % 10);
	}
	if (r->shared && n < len)
		n += snprintf(buf + n, len - n, "; %s", shares[r->shared]);
	if (n < len)
		snprintf(buf + n, len - n, ")");
}
