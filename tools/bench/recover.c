// SPDX-License-Identifier: MIT
/*
 * braid-recover: how long from the end of a runner until everybody is served again,
 * and where the time goes.
 *
 * A tenant for each model, each a thread with a connection of its own, asks without
 * pause and keeps the pauses between its answers. The main thread ends the runner: it
 * kills it, or it has a request sent that does ([debug] in braidd's configuration
 * says which). Then it follows the runners that come, by braidd's control socket,
 * until nobody waits any more, or it is clear that this will not come. Each tenant's
 * books are its own; `lock` protects them while they are read and begun anew.
 */
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <braid.h>

#include "tools/braidctl/source.h"

#define MAX_TENANTS	64
#define MAX_PAUSES	64
#define MAX_STARTS	32
#define PAUSE_MS	50	/* shorter ones are of the load itself */
#define POLL_NS		1000000l
#define QUIET_NS	1000000000ull	/* so long served, and no other end */
#define LIMIT_S		180
#define SILENT_NS	15000000000ull	/* so long no word from braidd: it is gone */

struct pause {
	uint64_t from, to;
};

struct tenant {
	pthread_t thread;
	pthread_mutex_t lock;
	struct braid *b;
	struct braid_model *m;
	struct braid_at at[BRAID_MAX_TENSORS];
	uint64_t last;			/* answer; 0: none yet */
	struct pause pauses[MAX_PAUSES];
	unsigned int n_pauses, failed;
	uint64_t pause_ns;
	atomic_bool *stop;
};

/* One that came: as braidd tells, of the end before it too, and as it tells itself. */
struct start {
	long long number, gone_ns, ended_ns, started_ns, ready_ns;
	bool asked;
	json_t *runner;
};

struct options {
	const char *socket, *json, *how;
	struct ctl ctl;
	char model[BRAID_NAME_MAX];	/* of the deadly request */
	float value;
	unsigned int rounds;
	unsigned int limit_s;		/* of a round */
	uint64_t pause_ns;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void nap(void)
{
	const struct timespec ts = { .tv_nsec = POLL_NS };

	nanosleep(&ts, NULL);
}

/* ---- tenants ---- */

static int make_buffers(struct braid *b, const struct braid_model *m, struct braid_at *at)
{
	unsigned int n_in = braid_model_inputs(m), n = n_in + braid_model_outputs(m);
	int ret = 0;

	for (unsigned int i = 0; i < n && !ret; i++) {
		const struct braid_tensor *t = i < n_in ? braid_model_input(m, i) :
					       braid_model_output(m, i - n_in);

		ret = braid_buf_new(b, t->bytes, &at[i].buf);
	}
	return ret;
}

/* One request from submit to completion, or till @stop; its status, or why there was none. */
static int ask(struct braid *b, const struct braid_model *m, const struct braid_at *at,
	       const atomic_bool *stop)
{
	const struct braid_job_desc job = { .model = m, .io = at };
	struct braid_completion c;
	int ret = braid_submit(b, &job, 1);

	if (ret < 0)
		return ret;
	do {
		ret = braid_wait(b, &c, 1, 1000);
	} while (!ret && !atomic_load(stop));
	return ret < 0 ? ret : ret ? c.status : -ECANCELED;
}

static void note(struct tenant *t, int status)
{
	uint64_t now = now_ns();

	pthread_mutex_lock(&t->lock);
	t->failed += status != 0;
	if (t->last && now - t->last > t->pause_ns && t->n_pauses < MAX_PAUSES)
		t->pauses[t->n_pauses++] = (struct pause){ t->last, now };
	t->last = now;
	pthread_mutex_unlock(&t->lock);
}

static void *tenant_run(void *arg)
{
	struct tenant *t = arg;

	while (!atomic_load(t->stop)) {
		int ret = ask(t->b, t->m, t->at, t->stop);

		if (ret == -ECONNRESET)
			nap();		/* an error is no answer, and comes at once */
		else
			note(t, ret);
	}
	return NULL;
}

static int tenant_open(struct tenant *t, const char *socket, const char *model)
{
	int ret = braid_open(socket, &t->b);

	if (!ret)
		ret = braid_model_find(t->b, model, &t->m);
	if (!ret)
		ret = make_buffers(t->b, t->m, t->at);
	if (ret)
		fprintf(stderr, "braid-recover: %s: %s\n", model, braid_error());
	return ret;
}

/* One a model that is served. */
static unsigned int tenants_start(const struct options *o, struct tenant *all, atomic_bool *stop)
{
	struct braid_model *m = NULL;
	unsigned int n = 0;
	struct braid *b;

	if (braid_open(o->socket, &b)) {
		fprintf(stderr, "braid-recover: %s\n", braid_error());
		return 0;
	}
	while (n < MAX_TENANTS && !braid_model_next(b, m, &m)) {
		struct tenant *t = &all[n];

		if (tenant_open(t, o->socket, braid_model_name(m)))
			return 0;
		pthread_mutex_init(&t->lock, NULL);
		t->stop = stop;
		t->pause_ns = o->pause_ns;
		if (pthread_create(&t->thread, NULL, tenant_run, t))
			return 0;
		n++;
	}
	braid_close(b);
	return n;
}

static void books_anew(struct tenant *all, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		pthread_mutex_lock(&all[i].lock);
		all[i].n_pauses = all[i].failed = 0;
		pthread_mutex_unlock(&all[i].lock);
	}
}

/* Everybody had an answer since then. */
static bool served_since(struct tenant *all, unsigned int n, uint64_t since)
{
	bool all_are = true;

	for (unsigned int i = 0; i < n; i++) {
		pthread_mutex_lock(&all[i].lock);
		all_are &= all[i].last > since;
		pthread_mutex_unlock(&all[i].lock);
	}
	return all_are;
}

/* ---- the request that ends runners ---- */

struct offender {
	struct tenant t;
	pthread_t thread;
	uint64_t asked_ns, ended_ns;
	int status;
	atomic_bool over;
	const atomic_bool *stop;
};

static void *offend(void *arg)
{
	struct offender *f = arg;

	f->asked_ns = now_ns();
	f->status = ask(f->t.b, f->t.m, f->t.at, f->stop);
	f->ended_ns = now_ns();
	atomic_store(&f->over, true);
	return NULL;
}

/* ---- following the runners ---- */

static long long get(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

/* What is known of the runners now; true: a new one is ready. @heard: braidd's last word. */
static bool follow(const struct options *o, struct start *starts, unsigned int *n, uint64_t *heard)
{
	json_t *status = ctl_try(&o->ctl, "status"), *times = json_object_get(status, "runner_times");
	long long number = get(status, "runner_starts");
	struct start *s = *n ? &starts[*n - 1] : NULL;
	bool ready = times && get(times, "ready_ns");

	if (status)
		*heard = now_ns();
	if (!times) {
		json_decref(status);
		return false;
	}
	if ((!s || s->number != number) && *n < MAX_STARTS)
		starts[(*n)++] = (struct start){
			.number = number, .gone_ns = get(times, "gone_ns"),
			.ended_ns = get(times, "ended_ns"), .started_ns = get(times, "started_ns"),
		};
	s = &starts[*n - 1];
	s->ready_ns = get(times, "ready_ns");
	/* Asked again at the end of a round, when it has answered something. */
	if (ready && !s->asked)
		s->runner = ctl_try(&o->ctl, "runner");
	s->asked |= ready;
	json_decref(status);
	return ready;
}

static double ms(long long at, uint64_t from)
{
	return at ? (at - (long long)from) / 1e6 : -1;
}

static json_t *start_json(const struct start *s, uint64_t from)
{
	json_t *start = json_object_get(s->runner, "start"), *dev = json_object_get(s->runner, "device");
	json_t *models = json_object_get(s->runner, "models"), *loads = json_object(), *m, *o;
	size_t i;

	json_array_foreach(models, i, m)
		json_object_set(loads, json_string_value(json_object_get(m, "name")),
				json_object_get(m, "load_ns"));
	o = json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:o}",
		      "gone_ms", ms(s->gone_ns, from),
		      "ended_ms", ms(s->ended_ns, from),
		      "started_ms", ms(s->started_ns, from),
		      "began_ms", ms(get(start, "began_ns"), from),
		      "opened_ms", ms(get(start, "opened_ns"), from),
		      "ready_ms", ms(s->ready_ns, from),
		      "window_ms", ms(get(start, "window_ns"), from),
		      "answer_ms", ms(get(start, "answer_ns"), from),
		      "driver_ms", get(dev, "driver_ns") / 1e6,
		      "context_ms", get(dev, "context_ns") / 1e6, "load_ns", loads);
	return o;
}

static json_t *tenants_json(struct tenant *all, unsigned int n, uint64_t from, double *first,
			    double *last)
{
	json_t *list = json_array();

	*first = *last = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct tenant *t = &all[i];
		json_t *pauses = json_array();

		pthread_mutex_lock(&t->lock);
		for (unsigned int k = 0; k < t->n_pauses; k++) {
			double to = ms(t->pauses[k].to, from);

			if (t->pauses[k].to < from)
				continue;
			json_array_append_new(pauses, json_pack("[f,f]",
					      ms(t->pauses[k].from, from), to));
			*first = *first > 0 && *first < to ? *first : to;
			*last = *last > to ? *last : to;
		}
		json_array_append_new(list, json_pack("{s:s,s:i,s:o}", "model",
				      braid_model_name(t->m), "failed", (int)t->failed,
				      "pauses_ms", pauses));
		pthread_mutex_unlock(&t->lock);
	}
	return list;
}

/* What makes it vain to wait any longer, NULL: nothing does. */
static const char *hopeless(const struct options *o, const struct offender *f, uint64_t limit,
			    uint64_t heard)
{
	uint64_t now = now_ns();

	if (now - heard > SILENT_NS)
		return "braidd does not answer any more";
	if (strcmp(o->how, "kill") && atomic_load(&f->over) && !f->status)
		return "the request was answered like any other: no key of braidd's [debug] has it";
	if (now > limit)
		return "not everybody is served, and the time is over (--limit)";
	return NULL;
}

/* A round: NULL after words. */
static json_t *one_round(const struct options *o, struct tenant *all, unsigned int n)
{
	struct start starts[MAX_STARTS] = { 0 };
	struct offender *f = calloc(1, sizeof(*f));	/* a thread may have it at the end */
	unsigned int n_starts = 0, first_start;
	uint64_t from, quiet, heard = now_ns(), limit = heard + o->limit_s * 1000000000ull;
	const char *why = NULL;
	json_t *list = json_array(), *doc = NULL, *tenants;
	double first, last;
	bool by_request = strcmp(o->how, "kill"), started = false;
	json_t *status;

	if (f)
		f->stop = all[0].stop;
	while (!f || !follow(o, starts, &n_starts, &heard) ||
	       !served_since(all, n, now_ns() - o->pause_ns)) {
		nap();
		why = f ? hopeless(o, f, limit, heard) : "no memory";
		if (why)
			goto out;
	}
	first_start = n_starts;
	books_anew(all, n);
	from = now_ns();
	if (by_request) {
		if (tenant_open(&f->t, o->socket, o->model))
			goto out;
		*(float *)braid_buf_addr(f->t.at[0].buf) = o->value;
		if (pthread_create(&f->thread, NULL, offend, f))
			goto out;
		started = true;
	} else {
		status = ctl_try(&o->ctl, "status");
		from = now_ns();
		kill((pid_t)get(status, "runner_pid"), SIGKILL);
		json_decref(status);
		atomic_store(&f->over, true);
	}
	/* Until for a while nothing has ended and everybody is served. */
	quiet = 0;
	while (!why) {
		unsigned int before = n_starts;
		bool good = follow(o, starts, &n_starts, &heard) && n_starts > first_start &&
			    atomic_load(&f->over) && n_starts == before &&
			    served_since(all, n, now_ns() - o->pause_ns);

		if (!good)
			quiet = 0;
		else if (!quiet)
			quiet = now_ns();
		if (quiet && now_ns() - quiet > QUIET_NS)
			break;
		nap();
		why = hopeless(o, f, limit, heard);
	}
	if (why)
		goto out;
	if (by_request) {
		pthread_join(f->thread, NULL);
		from = f->asked_ns;
	}
	json_decref(starts[n_starts - 1].runner);
	starts[n_starts - 1].runner = ctl_try(&o->ctl, "runner");
	for (unsigned int i = first_start; i < n_starts; i++)
		json_array_append_new(list, start_json(&starts[i], from));
	tenants = tenants_json(all, n, from, &first, &last);
	doc = json_pack("{s:f,s:f,s:O,s:o}", "first_answer_ms", first, "all_served_ms", last, "runners",
			list, "tenants", tenants);
	if (by_request)
		json_object_update_new(doc, json_pack("{s:f,s:i}", "offender_ms", ms(f->ended_ns, from),
						      "offender_status", f->status));
out:
	if (why)
		fprintf(stderr, "braid-recover: %s\n", why);
	for (unsigned int i = 0; i < n_starts; i++)
		json_decref(starts[i].runner);
	if (f && (!started || atomic_load(&f->over))) {
		braid_close(f->t.b);
		free(f);
	}
	json_decref(list);
	return doc;
}

/* ---- command line ---- */

static const struct argp_option options[] = {
	{ "socket", 's', "PATH", 0, "the queue ($BRAID_PATH, /run/braid/braid.sock)", 0 },
	{ "control", 'c', "PATH", 0, "control socket ($BRAID_CONTROL, /run/braid/control.sock)", 0 },
	{ "rounds", 'n', "N", 0, "how often (3)", 0 },
	{ "pause", 'p', "MS", 0, "between two answers, what is shorter is no interruption (50)", 0 },
	{ "limit", 'l', "S", 0, "a round that takes longer is given up (180)", 0 },
	{ "json", 'j', "FILE", 0, "results as JSON; - is standard output (the default)", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	const char *colon;
	unsigned int ms;
	char end;

	switch (key) {
	case 's':
		o->socket = arg;
		return 0;
	case 'c':
		o->ctl.socket = arg;
		return 0;
	case 'j':
		o->json = arg;
		return 0;
	case 'n':
		if (sscanf(arg, "%u%c", &o->rounds, &end) != 1 || !o->rounds || o->rounds > 1000)
			argp_error(state, "--rounds: 1 to 1000");
		return 0;
	case 'l':
		if (sscanf(arg, "%u%c", &o->limit_s, &end) != 1 || !o->limit_s || o->limit_s > 86400)
			argp_error(state, "--limit: 1 to 86400");
		return 0;
	case 'p':
		if (sscanf(arg, "%u%c", &ms, &end) != 1 || !ms || ms > 60000)
			argp_error(state, "--pause: 1 to 60000");
		o->pause_ns = ms * 1000000ull;
		return 0;
	case ARGP_KEY_ARG:
		if (o->how)
			argp_error(state, "'%s': what is this?", arg);
		o->how = arg;
		colon = strchr(arg, ':');
		if (!strcmp(arg, "kill"))
			return 0;
		if (!colon || colon - arg >= BRAID_NAME_MAX ||
		    sscanf(colon + 1, "%f%c", &o->value, &end) != 1)
			argp_error(state, "'%s': kill, or MODEL:VALUE as braidd's [debug] has it", arg);
		memcpy(o->model, arg, colon - arg);
		return 0;
	case ARGP_KEY_END:
		if (!o->how)
			argp_error(state, "how?");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	options, parse, "kill|MODEL:VALUE",
	"End braidd's runner under load, and tell how long until everybody is served again.\v"
	"A tenant for each model asks without pause. The runner is killed, or a request whose "
	"first number is VALUE is sent to MODEL, which ends it as [debug] in braidd's "
	"configuration says: fault_gpu_on, hang_gpu_on, hang_runner_on, kill_runner_on. Times are "
	"in ms since then. first_answer_ms is when the first tenant that had to wait was served, "
	"all_served_ms when the last one was.",
	NULL, NULL, NULL
};

int main(int argc, char **argv)
{
	static struct tenant tenants[MAX_TENANTS];
	struct options o = { .rounds = 3, .json = "-", .limit_s = LIMIT_S,
			     .pause_ns = PAUSE_MS * 1000000ull };
	atomic_bool stop = false;
	json_t *doc, *rounds = json_array(), *round;
	unsigned int n;
	int ret = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	source_find(&o.ctl);
	n = tenants_start(&o, tenants, &stop);
	if (!n) {
		fprintf(stderr, "braid-recover: no tenants\n");
		return 1;
	}
	for (unsigned int i = 0; i < o.rounds && !ret; i++) {
		round = one_round(&o, tenants, n);
		ret = !round;
		if (round)
			json_array_append_new(rounds, round);
	}
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < n; i++) {
		pthread_join(tenants[i].thread, NULL);
		braid_close(tenants[i].b);
	}
	doc = json_pack("{s:s,s:i,s:o}", "how", o.how, "models", (int)n, "rounds", rounds);
	if (!strcmp(o.json, "-"))
		ret |= json_dumpf(doc, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(7));
	else
		ret |= json_dump_file(doc, o.json, JSON_INDENT(1) | JSON_REAL_PRECISION(7));
	json_decref(doc);
	return ret ? 1 : 0;
}
