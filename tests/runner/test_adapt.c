// SPDX-License-Identifier: MIT
/*
 * The adaptive policy on made-up devices: tenants in closed loop, a device
 * whose throughput depends on how many launches share it and how much is
 * merged. What it reaches is compared with the best that any arm reaches when
 * it is held all the time.
 */
#include <math.h>
#include <string.h>

#include "agent/runner/adapt.h"
#include "tests/tap.h"

#define LANES		16
#define MAX_DEGREE	8
#define POLICIES	(1u << BRAID_FUSION_NONE | 1u << BRAID_FUSION_MERGE | \
			 1u << BRAID_FUSION_BRANCHES | 1u << BRAID_FUSION_MERGE_FUSE)

/*
 * A launch of degree d has base + d * each of work; n launches together get
 * through full * n / (n + half) of it a nanosecond.
 */
struct device {
	double base, each, full, half;
	double held;		/* of forms that hold a window together: more work */
	double gap;		/* ns between an answer and the tenant's next request */
	double merged;		/* what merging costs: this part more work; */
	bool kinds;		/* models that take 0.4 to 2.6 of the work */
};

static const double kinds[] = { 2.6, 0.4, 0.4, 0.6 };

struct flight {
	bool used;
	uint32_t degree, several, kind;
	double left, start;
};

struct sim {
	const struct device *d;
	struct flight flights[64];
	double now, next[64];	/* when each tenant's next request comes */
	uint32_t tenants, waiting, in_flight, outstanding;
	uint64_t done;
	uint64_t seed;
	double arrives, every;	/* open loop: the next one, and how far apart; 0: closed */
	double area;		/* of requests that have not ended, over time */
	double stalls;		/* so often, ns on average, nothing goes on for STALL_NS */
	double slow[2];		/* from, to: everything takes half as long again */
};

#define STALL_NS	25e6
#define STALLED		12u
#define SLOWER		1.5
#define LUMPS		8u
#define SPEEDS		8u
#define OVERLOADS	4u

static double noise(struct sim *s)
{
	s->seed = s->seed * 6364136223846793005ull + 1442695040888963407ull;
	return 0.95 + 0.1 * (s->seed >> 33) / (1u << 31);
}

/* Poisson. */
static double gap(struct sim *s)
{
	return -log(1 - (noise(s) - 0.95) / 0.1 * 0.999999) * s->every;
}

static double rate(const struct sim *s)
{
	double slower = s->now >= s->slow[0] && s->now < s->slow[1] ? SLOWER : 1;

	return s->d->full * s->in_flight / (s->in_flight + s->d->half) / slower;
}

static void launch(struct sim *s, struct adapt *a, const struct adapt_arm *arm)
{
	uint32_t free = arm->limit - s->in_flight, n = s->waiting, most = MAX_DEGREE;
	bool several = n > 1 && arm->policy != BRAID_FUSION_MERGE &&
		       arm->policy != BRAID_FUSION_NONE;

	if (!n || arm->limit <= s->in_flight)
		return;
	if (a)
		adapt_window(a, s->now, s->outstanding + n);
	if (arm->merge == ADAPT_ALONE)
		most = 1;
	else if (arm->merge == ADAPT_SPREAD && (n + free - 1) / free < most)
		most = (n + free - 1) / free;
	while (s->waiting && s->in_flight < arm->limit) {
		uint32_t degree = s->waiting < most ? s->waiting : most, i = 0, kind = 0;
		double work = (s->d->base + degree * s->d->each) * noise(s);

		if (s->d->kinds) {
			kind = (noise(s) - 0.95) * 39.999;
			work *= kinds[kind];
		}
		work *= (several ? s->d->held : 1) * (degree > 1 ? 1 + s->d->merged : 1);
		while (s->flights[i].used)
			i++;
		s->flights[i] = (struct flight){ true, degree, several, kind, work, s->now };
		s->waiting -= degree;
		s->outstanding += degree;
		s->in_flight++;
		if (a)
			adapt_launched(a, several, true);
	}
}

/* To the next event: a launch ends or a request comes. */
static void step(struct sim *s, struct adapt *a)
{
	double first = INFINITY, r = rate(s), dt;
	struct flight *ends = NULL;
	int comes = -1;

	for (uint32_t i = 0; i < 64; i++) {
		struct flight *f = &s->flights[i];

		if (f->used && f->left / (r / s->in_flight) < first) {
			first = f->left / (r / s->in_flight);
			ends = f;
		}
	}
	for (uint32_t i = 0; i < s->tenants; i++) {
		if (s->next[i] - s->now < first) {
			first = s->next[i] - s->now;
			comes = i;
		}
	}
	if (s->every > 0 && s->arrives - s->now < first) {
		first = s->arrives - s->now;
		comes = s->tenants;
	}
	dt = first > 0 ? first : 0;
	if (s->stalls > 0 && (noise(s) - 0.95) / 0.1 < dt / s->stalls)
		s->now += STALL_NS;
	s->area += dt * (s->waiting + s->outstanding);
	for (uint32_t i = 0; i < 64; i++)
		if (s->flights[i].used)
			s->flights[i].left -= dt * r / s->in_flight;
	s->now += dt;
	if (comes >= 0) {
		if (comes == (int)s->tenants)
			s->arrives += gap(s);
		else
			s->next[comes] = INFINITY;
		s->waiting++;
		return;
	}
	ends->used = false;
	s->in_flight--;
	s->outstanding -= ends->degree;
	s->done += ends->degree;
	for (uint32_t i = 0, k = 0; i < s->tenants && k < ends->degree; i++)
		if (isinf(s->next[i]) && (k++, true))
			s->next[i] = s->now + s->d->gap * noise(s);
	if (a)
		adapt_done(a, s->now, 1 + ends->kind, ends->degree,
			   (s->now - ends->start) / (s->in_flight + 1), s->in_flight,
			   s->outstanding + s->waiting);
}

/* Requests a second, of the adaptive policy or of one arm. */
static double run_sim(struct sim s, struct adapt *a, const struct adapt_arm *arm, double warm_ns,
		      double ns)
{
	uint64_t before;
	double from;

	s.now = 1000;
	for (uint32_t i = 0; i < s.tenants; i++)
		s.next[i] = s.now + i;
	while (s.now < warm_ns) {
		launch(&s, a, a ? adapt_arm(a) : arm);
		step(&s, a);
	}
	before = s.done;
	from = s.now;
	while (s.now < from + ns) {
		launch(&s, a, a ? adapt_arm(a) : arm);
		step(&s, a);
	}
	return (s.done - before) * 1e9 / (s.now - from);
}

static double run_of(const struct device *d, uint32_t tenants, struct adapt *a,
		     const struct adapt_arm *arm, double warm_ns, double ns, uint64_t seed, double stalls)
{
	const struct sim s = { .d = d, .tenants = tenants, .seed = seed, .stalls = stalls };

	return run_sim(s, a, arm, warm_ns, ns);
}

static double run(const struct device *d, uint32_t tenants, struct adapt *a,
		  const struct adapt_arm *arm, double warm_ns, double ns)
{
	return run_of(d, tenants, a, arm, warm_ns, ns, 5, 0);
}

static const struct adapt_arm arms[] = {
	{ BRAID_FUSION_NONE, ADAPT_ALONE, 16 }, { BRAID_FUSION_MERGE, ADAPT_ALL, 16 },
	{ BRAID_FUSION_MERGE, ADAPT_SPREAD, 16 }, { BRAID_FUSION_MERGE, ADAPT_SPREAD, 8 },
	{ BRAID_FUSION_MERGE, ADAPT_SPREAD, 4 }, { BRAID_FUSION_MERGE, ADAPT_SPREAD, 2 },
	{ BRAID_FUSION_MERGE, ADAPT_SPREAD, 1 }, { BRAID_FUSION_BRANCHES, ADAPT_ALL, 2 },
	{ BRAID_FUSION_MERGE_FUSE, ADAPT_ALL, 1 },
};

static const struct {
	const char *what;
	struct device d;
} devices[] = {
	{ "a large device, merging saves little", { 20000, 80000, 8, 7, 1.3, 60000 } },
	{ "a small device, merging saves much", { 300000, 60000, 1, 0.2, 1.2, 60000 } },
	{ "one that likes windows held together", { 100000, 50000, 2, 1, 0.5, 60000 } },
	{ "one that a launch fills", { 10000, 300000, 1, 0.05, 1.1, 60000 } },
};

static void against_the_best(void)
{
	static const uint32_t tenants[] = { 1, 4, 8, 16, 32 };

	for (size_t k = 0; k < sizeof(devices) / sizeof(devices[0]); k++) {
		double worst = 10;
		uint32_t at = 0;

		for (int t = 0; t < 5; t++) {
			struct adapt *a = adapt_new(POLICIES, LANES);
			double best = 0, got;

			for (size_t i = 0; i < sizeof(arms) / sizeof(arms[0]); i++) {
				double v = run(&devices[k].d, tenants[t], NULL, &arms[i], 2e7, 3e8);

				best = v > best ? v : best;
			}
			got = run(&devices[k].d, tenants[t], a, NULL, 2e9, 2e9);
			if (got / best < worst) {
				worst = got / best;
				at = tenants[t];
			}
			adapt_free(a);
		}
		diag("%s: at worst %.3f of the best arm, with %u tenants", devices[k].what, worst,
		     at);
		ok(worst > 0.97, "%s", devices[k].what);
	}
}

/* A tenant by himself never waits for company. */
static void alone(void)
{
	struct adapt *a = adapt_new(POLICIES, LANES);
	double by_itself = run(&devices[0].d, 1, NULL, &arms[0], 2e7, 1e9);
	double adaptive = run(&devices[0].d, 1, a, NULL, 5e8, 1e9);

	ok(adaptive > 0.99 * by_itself, "a lone tenant loses nothing: %.0f of %.0f", adaptive,
	   by_itself);
	adapt_free(a);
}

/* Mean time from arrival to answer, and that in the agent, a request each @every ns; ns. */
static double response(const struct device *d, double every, struct adapt *a,
		       const struct adapt_arm *arm, uint64_t seed, double *in_agent)
{
	struct sim s = { .d = d, .now = 1000, .seed = seed, .every = every };
	double area, held = 0;
	uint64_t before;

	while (s.now < 4e9) {
		launch(&s, a, a ? adapt_arm(a) : arm);
		step(&s, a);
	}
	before = s.done;
	area = s.area;
	while (s.now < 7e9) {
		uint32_t n;
		double from = s.now;

		launch(&s, a, a ? adapt_arm(a) : arm);
		n = s.outstanding;
		step(&s, a);
		held += n * (s.now - from);
	}
	if (in_agent)
		*in_agent = held / (s.done - before);
	return (s.area - area) / (s.done - before);
}

/*
 * Requests that come at random, fewer than the device could do: it is busy nearly
 * all the time, all arms do the same work, and what waits for a lane only waits.
 */
static void at_random(void)
{
	static const double parts[] = { 0.5, 0.7 };
	const struct device *d = &devices[0].d;
	const double full = run(d, 32, NULL, &arms[0], 2e7, 1e9);

	for (int i = 0; i < 2; i++) {
		struct adapt *a = adapt_new(POLICIES, LANES);
		double every = 1e9 / (full * parts[i]);
		double best = response(d, every, NULL, &arms[2], 5, NULL);
		double got = response(d, every, a, NULL, 5, NULL);

		ok(got < 1.05 * best, "at %.0f%% of what there could be answers take %.3f of the least",
		   100 * parts[i], got / best);
		adapt_free(a);
	}
}

/*
 * As many as the device can do, or more, and merging loses: lanes full of merged requests
 * make everybody wait for them, also who asks for little, whom the queue would have put
 * first. What waits there varies as well, so these are no tenants that wait.
 */
static void overload(void)
{
	static const struct device d = { 2e3, 98e3, 3.5, 8, 1.3, 60e3, 0.05, true };
	static const double parts[] = { 0.9, 0.95, 1.0, 1.05, 1.1 };
	const double full = run(&d, LANES, NULL, &arms[0], 2e7, 1e9);

	for (int i = 0; i < 5; i++) {
		double best = 0, got = 0, agent;

		for (uint64_t seed = 1; seed <= OVERLOADS; seed++) {
			struct adapt *a = adapt_new(POLICIES, LANES);

			response(&d, 1e9 / (full * parts[i]), NULL, &arms[0], seed, &agent);
			best += agent;
			response(&d, 1e9 / (full * parts[i]), a, NULL, seed, &agent);
			got += agent;
			adapt_free(a);
		}
		ok(got < 2 * best, "at %.0f%% they are %.2f times as long in the agent as unmerged ones",
		   100 * parts[i], got / best);
	}
}

/* Twenty tenants are served at once, @takes as long as they would be; were they merged on lanes? */
static bool burst(struct adapt *a, double *now, double takes)
{
	const struct adapt_arm arm = *adapt_arm(a);
	const uint32_t degree = arm.merge == ADAPT_ALL ? 4 : 1;
	const double each = (degree > 1 ? 100e3 : arm.limit < LANES ? 200e3 : 128e3) / 20 * takes;

	adapt_window(a, *now, 20);
	for (uint32_t left = 20; left; left -= degree) {
		*now += each * degree;
		adapt_done(a, *now, 1, degree, 5000 * degree, 1, left - degree);
	}
	return degree > 1 && arm.policy == BRAID_FUSION_MERGE;
}

/*
 * Such tenants, who then all ask again: what is outstanding varies as much as with
 * arrivals at random, but merging does more.
 */
static void bursts(void)
{
	struct adapt *a = adapt_new(POLICIES, LANES);
	uint32_t merged = 0, all = 0;
	double now = 1000;

	while (now < 4e9) {
		bool is_merged = burst(a, &now, 1);

		if (now > 3e9) {
			all++;
			merged += is_merged;
		}
	}
	ok(merged > all * 3 / 4, "bursts are no arrivals at random: merged in %u of %u", merged, all);
	adapt_free(a);
}

/*
 * The same tenants, and a machine that is slower or faster for seconds: that is no arm's
 * fault, neither while it lasts nor when it is over. Nor does it take long to see that an
 * arm is far behind.
 */
static void other_speeds(void)
{
	static const double takes[] = { 1, 1, 1, 1.5, 1, 1.12, 0.9, 1.25, 1.1, 1, 1.4, 0.95 };
	const uint32_t different = sizeof(takes) / sizeof(takes[0]), seconds = 2 * different;
	double worst = 1, sum = 0;

	for (uint32_t seed = 1; seed <= SPEEDS; seed++) {
		struct adapt *a = adapt_new(POLICIES, LANES);
		struct sim random = { .seed = seed };
		double now = 1000;

		for (uint32_t s = 0; s < seconds; s++) {
			uint32_t merged = 0, all = 0;

			while (now < (s + 1) * 1e9) {
				merged += burst(a, &now, takes[s % different] * noise(&random));
				all++;
			}
			if (s > 1) {
				sum += (double)merged / all;
				if ((double)merged / all < worst)
					worst = (double)merged / all;
			}
		}
		adapt_free(a);
	}
	sum /= SPEEDS * (seconds - 2);
	ok(worst > 0.75 && sum > 0.95,
	   "the best arm stays while all is slower, or faster: %.3f of the time, %.2f of a second at worst",
	   sum, worst);
}

/*
 * Till then, four lanes take so many times as long as all of them, and other numbers
 * of lanes too. What part of the time the four were held.
 */
static double four_held(struct adapt *a, struct sim *random, double *now, double till, double four,
			double others)
{
	uint32_t held = 0, all = 0;

	while (*now < till) {
		struct adapt_arm arm = *adapt_arm(a);
		double each = (arm.limit == LANES ? 1 : arm.limit == 4 ? four : others) * 250e3;

		adapt_window(a, *now, 20);
		for (uint32_t left = 20; left; left -= 4) {
			*now += each * noise(random);
			adapt_done(a, *now, 1, 4, 250e3, 1, 16);
		}
		all++;
		held += arm.limit == 4;
	}
	return (double)held / all;
}

/* Where they do so many times as much. */
static double held_for(double times)
{
	struct adapt *a = adapt_new(POLICIES, LANES);
	struct sim random = { .seed = 11 };
	double now = 1000, held;

	four_held(a, &random, &now, 5e9, 1 / times, 1.5);
	held = four_held(a, &random, &now, 20e9, 1 / times, 1.5);
	adapt_free(a);
	return held;
}

/* Answers come later with few lanes: a little more work is not worth that. */
static void few_lanes(void)
{
	double little = held_for(1.10), much = held_for(1.14);

	ok(little < 0.2, "few lanes that do 10%% more are not held: %.2f of the time", little);
	ok(much > 0.8, "those that do 14%% more are: %.2f", much);
}

/*
 * Arms with few lanes do half, and later one of them more than all others: it is looked
 * at again, if seldom.
 */
static void rises(void)
{
	struct adapt *a = adapt_new(POLICIES, LANES);
	struct sim random = { .seed = 3 };
	double now = 1000, held;

	four_held(a, &random, &now, 20e9, 2, 2);
	four_held(a, &random, &now, 200e9, 0.6, 2);
	held = four_held(a, &random, &now, 240e9, 0.6, 2);
	ok(held > 0.5, "an arm that was far behind and got better is found: %.3f of the time", held);
	adapt_free(a);
}

/* Four seconds, of which the middle two are slow. */
static void slower(void)
{
	double worst = 10;

	for (size_t k = 0; k < sizeof(devices) / sizeof(devices[0]); k++)
		for (uint64_t seed = 1; seed <= 3; seed++) {
			const struct sim s = { .d = &devices[k].d, .tenants = 16, .seed = seed,
					       .slow = { 4e9, 6e9 } };
			struct adapt *a = adapt_new(POLICIES, LANES);
			double best = 0, got;

			for (size_t i = 0; i < sizeof(arms) / sizeof(arms[0]); i++) {
				got = run_sim(s, NULL, &arms[i], 3e9, 4e9);
				best = got > best ? got : best;
			}
			got = run_sim(s, a, NULL, 3e9, 4e9) / best;
			worst = got < worst ? got : worst;
			adapt_free(a);
		}
	ok(worst > 0.975, "with a machine that is slower for a while: %.3f of the best arm at worst",
	   worst);
}

/*
 * A few milliseconds for a launch, models that differ, and no gain in merging: an epoch
 * has few launches, and what looks best by chance has to be found out.
 */
static void lumps(void)
{
	static const struct device d = { 0, 180e3, 1, 0.05, 1.1, 60e3, 0.06, true };
	static const struct adapt_arm unmerged = { BRAID_FUSION_NONE, ADAPT_ALONE, 32 };
	double worst = 10, sum = 0;

	for (uint64_t seed = 1; seed <= LUMPS; seed++) {
		struct adapt *a = adapt_new(POLICIES, 32);
		double best = run_of(&d, 32, NULL, &unmerged, 2e8, 5e9, seed, 0);
		double got = run_of(&d, 32, a, NULL, 2e9, 5e9, seed, 0) / best;

		worst = got < worst ? got : worst;
		sum += got;
		adapt_free(a);
	}
	ok(worst > 0.95 && sum / LUMPS > 0.97,
	   "launches of milliseconds, models that differ: %.3f of the best arm, %.3f at worst",
	   sum / LUMPS, worst);
}

/* Everything stands still now and then, which is no arm's fault. */
static void stalls(void)
{
	double sum = 0, worst = 10;

	for (uint64_t seed = 1; seed <= STALLED; seed++) {
		struct adapt *a = adapt_new(POLICIES, LANES);
		double best = run_of(&devices[0].d, 32, NULL, &arms[2], 2e7, 2e9, seed, 2.5e8);
		double got = run_of(&devices[0].d, 32, a, NULL, 2e9, 2e9, seed, 2.5e8) / best;

		sum += got;
		worst = got < worst ? got : worst;
		adapt_free(a);
	}
	diag("with stalls: %.3f of the best arm on average, %.3f at worst", sum / STALLED, worst);
	ok(sum / STALLED > 0.985, "stalls do not take the best arm's place away");
}

/* What was best becomes bad: it loses its place. */
static void demoted(void)
{
	struct device d = devices[2].d;
	struct adapt *a = adapt_new(POLICIES, LANES);
	char words[320];
	double best = 0, got;

	run(&d, 16, a, NULL, 1e9, 1e9);
	ok(adapt_reason(a)->why != ADAPT_FIRST, "something is known");
	adapt_words(adapt_reason(a), words, sizeof(words));
	diag("%s", words);
	ok(strstr(words, "one graph") || strstr(words, "side by side"),
	   "a form that holds windows together was chosen where it wins");
	d.held = 3;
	for (size_t i = 0; i < sizeof(arms) / sizeof(arms[0]); i++) {
		double v = run(&d, 16, NULL, &arms[i], 2e7, 3e8);

		best = v > best ? v : best;
	}
	got = run(&d, 16, a, NULL, 2e9, 1e9);
	ok(got > 0.93 * best, "and given up where it does not any more: %.3f of the best",
	   got / best);
	adapt_words(adapt_reason(a), words, sizeof(words));
	ok(strstr(words, "lanes, ") && strstr(words, "outstanding"), "in words: %s", words);
	adapt_free(a);
}

/* A form that is not ready when it is tried says nothing about itself. */
static void not_ready(void)
{
	struct adapt *a = adapt_new(1u << BRAID_FUSION_MERGE | 1u << BRAID_FUSION_BRANCHES, 2);
	uint64_t now = 1000;
	unsigned int held = 0, all = 0;

	for (int i = 0; i < 40000; i++) {
		bool several = adapt_arm(a)->policy == BRAID_FUSION_BRANCHES;

		adapt_window(a, now, 8);
		adapt_launched(a, several, false);
		now += 100000;
		adapt_done(a, now, 1, 4, 100000, 1, 8);
		held += several;
		all++;
	}
	ok(held && held < all / 5, "a form that never gets ready is tried now and then: %u of %u",
	   held, all);
	adapt_free(a);
}

/* One event at least. */
static void until(struct sim *s, struct adapt *a, double ns)
{
	do {
		launch(s, a, adapt_arm(a));
		step(s, a);
	} while (s->now < ns);
}

/* The arm that is the best by what was measured, once one is held for that. */
static const struct adapt_arm *best_arm(struct sim *s, struct adapt *a)
{
	do
		until(s, a, s->now);
	while (adapt_reason(a)->why != ADAPT_BEST);
	return adapt_arm(a);
}

static void put_off(struct sim *s, double ns)
{
	for (uint32_t i = 0; i < s->tenants; i++)
		if (s->next[i] < ns)
			s->next[i] = ns;
}

/* A pause in the middle of an epoch is nothing that the arm did. */
static void paused(void)
{
	struct device d = devices[2].d;
	struct adapt *a = adapt_new(POLICIES, LANES);
	struct sim s = { .d = &d, .tenants = 16, .now = 1000, .seed = 5 };
	const struct adapt_arm *best;
	uint32_t kept = 0, all = 40;

	for (uint32_t i = 0; i < s.tenants; i++)
		s.next[i] = s.now + i;
	until(&s, a, 8e9);
	best = best_arm(&s, a);
	for (uint32_t round = 0; round < all; round++) {
		double from = s.now + 5e9;

		/* All end, nobody asks for five seconds, then it goes on. */
		for (; s.waiting || s.in_flight; step(&s, a)) {
			put_off(&s, from);
			launch(&s, a, adapt_arm(a));
		}
		put_off(&s, from);
		until(&s, a, from + 3e7);
		kept += best_arm(&s, a) == best;
		until(&s, a, s.now + 5e6);
	}
	ok(kept > all * 3 / 4, "pauses take no arm's place away: %u of %u", kept, all);
	adapt_free(a);
}

/*
 * Others take most of the device: everything is slower, and under their load
 * another arm is best. What was known before still holds when they are gone.
 */
static void shared(void)
{
	struct device quiet = devices[2].d, busy = devices[2].d;
	struct adapt *a = adapt_new(POLICIES, LANES);
	double before, got, best = 0;
	char words[400];

	busy.full /= 3;
	busy.held = 3;
	run(&quiet, 16, a, NULL, 2e9, 1e9);
	is_int(adapt_reason(a)->shared, 0, "nobody else is there");
	before = run(&quiet, 16, a, NULL, 0, 5e8);
	adapt_shared(a, 600, 0);
	run(&quiet, 16, a, NULL, 0, 1e8);
	is_int(adapt_reason(a)->shared, 0, "told once it may be an accident");
	adapt_shared(a, 620, 0);
	run(&busy, 16, a, NULL, 2e9, 1e9);
	is_int(adapt_reason(a)->shared, 3, "told twice it is believed");
	adapt_words(adapt_reason(a), words, sizeof(words));
	ok(strstr(words, "others take most of the device"), "in words: %s", words);
	for (size_t i = 0; i < sizeof(arms) / sizeof(arms[0]); i++) {
		double v = run(&busy, 16, NULL, &arms[i], 2e7, 3e8);

		best = v > best ? v : best;
	}
	got = run(&busy, 16, a, NULL, 0, 1e9);
	ok(got > 0.9 * best, "what is best with them is found: %.3f of it", got / best);
	adapt_shared(a, 0, 0);
	adapt_shared(a, 0, 0);
	got = run(&quiet, 16, a, NULL, 1e8, 5e8);
	/* Arms that are nearly as good may take turns; the one for the others is far behind. */
	ok(got > 0.85 * before,
	   "when they are gone, what was best without them is held at once: %.3f of it",
	   got / before);
	adapt_shared(a, 0, 50);
	adapt_shared(a, 0, 50);
	run(&quiet, 16, a, NULL, 0, 3e8);
	is_int(adapt_reason(a)->shared, 1, "launches of others alone are a little");
	adapt_free(a);
}

int main(void)
{
	against_the_best();
	alone();
	at_random();
	overload();
	bursts();
	other_speeds();
	few_lanes();
	rises();
	slower();
	lumps();
	stalls();
	demoted();
	not_ready();
	paused();
	shared();
	return tap_done();
}
