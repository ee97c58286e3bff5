// SPDX-License-Identifier: MIT
/*
 * Command line and workload file.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/supervisor/supervisor.h"
#include "tools/bench/bench.h"

enum { OPT_CONTROL = 256, OPT_AS, OPT_LABEL, OPT_MODELS, OPT_BACKEND, OPT_CACHE, OPT_SMS,
       OPT_PRECISION, OPT_SIGMA, OPT_WARMUP, OPT_DEADLINE, OPT_PATIENCE, OPT_REPEAT,
       OPT_SEED, OPT_PROGRESS, OPT_WAIT, OPT_TILES, OPT_SPIN,
       OPT_DEGREE };

static const struct argp_option options[] = {
	{ "socket", 's', "PATH", 0, "the queue ($BRAID_PATH, /dev/braid0, /run/braid/braid.sock)", 0 },
	{ "control", OPT_CONTROL, "PATH", 0,
	  "control socket, for --policies ($BRAID_CONTROL, /run/braid/control.sock)", 0 },
	{ "as", OPT_AS, "SYSTEM", 0,
	  "braid (default), or beside it the same kernels as processes, each with a context of "
	  "its own, or streams of one process", 0 },
	{ "label", OPT_LABEL, "TEXT", 0, "what the report calls the system", 0 },
	{ "models", OPT_MODELS, "DIR", 0, "model directory, for what is not braid", 0 },
	{ "backend", OPT_BACKEND, "NAME", 0, "cuda (default) or cpu, for what is not braid", 0 },
	{ "cache", OPT_CACHE, "DIR", 0, "compiled kernels, for what is not braid", 0 },
	{ "sms", OPT_SMS, "N", 0, "multiprocessors, for what is not braid", 0 },
	{ "precision", OPT_PRECISION, "WORD", 0, "auto (default), fp16 or fp32, for what is not braid", 0 },
	{ "wait", OPT_WAIT, "HOW", 0,
	  "poll (default), or driver: in cuCtxSynchronize(), for what is not braid", 0 },
	{ "tiles", OPT_TILES, "FOR", 0,
	  "alone, crowd, or auto (default): crowd for processes under MPS, what is in flight "
	  "decides for streams, as in braid; crowd copies inputs, too; for what is not braid", 0 },
	{ "degree", OPT_DEGREE, "N", 0,
	  "a tenant launches N requests as one, merged, instead of one (closed loop), for what is "
	  "not braid", 0 },
	{ "spin", OPT_SPIN, "US", 0,
	  "how long braid's tenants look for an answer before they sleep (50); 10000: as processes "
	  "that poll", 0 },
	{ "load", 'l', "MODEL:N[:K]", 0,
	  "N tenants of MODEL, each K outstanding (closed loop, 1)", 0 },
	{ "workload", 'w', "FILE", 0, "tenants from a file, see below", 0 },
	{ "open", 'o', "RATE", 0, "open loop, RATE requests a second in all", 0 },
	{ "arrivals", 'a', "KIND", 0, "poisson (default) or lognormal", 0 },
	{ "sigma", OPT_SIGMA, "S", 0, "of the log-normal (1.5)", 0 },
	{ "seconds", 't', "S", 0, "measured time (5)", 0 },
	{ "warmup", OPT_WARMUP, "S", 0, "time before it (1)", 0 },
	{ "deadline-ms", OPT_DEADLINE, "MS", 0, "goodput: count what is faster", 0 },
	{ "patience", OPT_PATIENCE, "S", 0,
	  "give up when braidd is gone or hangs for so long (30), or is there and nothing ends for "
	  "ten times as long", 0 },
	{ "policies", 'p', "A,B,...", 0, "fusion policies to compare, in turn", 0 },
	{ "repeat", OPT_REPEAT, "N", 0, "so many rounds, policies interleaved (1)", 0 },
	{ "seed", OPT_SEED, "N", 0, "of arrivals and inputs (1)", 0 },
	{ "json", 'j', "FILE", 0, "results as JSON; - is standard output", 0 },
	{ "progress", OPT_PROGRESS, "FILE", 0, "requests so far, a line of JSON each 50 ms", 0 },
	{ "quiet", 'q', NULL, 0, "no progress", 0 },
	{ 0 }
};

static int positive(const char *s, double *to)
{
	char *end;

	*to = strtod(s, &end);
	return end == s || *end || !(*to > 0) || *to > 1e9 ? -EINVAL : 0;
}

static int add_load(struct options *o, const struct load *l)
{
	if (o->n_loads == 64 || o->n_tenants + l->tenants > MAX_TENANTS)
		return -E2BIG;
	o->loads[o->n_loads++] = *l;
	o->n_tenants += l->tenants;
	return 0;
}

/* MODEL:N[:K] */
static int parse_load(struct options *o, const char *s)
{
	struct load l = { .outstanding = 1, .priority = BRAID_PRIORITY_NORMAL };
	const char *colon = strchr(s, ':');
	char end;

	if (!colon || colon == s || colon - s >= BRAID_NAME_MAX)
		return -EINVAL;
	memcpy(l.model, s, colon - s);
	if (sscanf(colon, ":%u:%u%c", &l.tenants, &l.outstanding, &end) != 2) {
		l.outstanding = 1;
		if (sscanf(colon, ":%u%c", &l.tenants, &end) != 1)
			return -EINVAL;
	}
	if (!l.tenants || !l.outstanding || l.outstanding > 64)
		return -EINVAL;
	return add_load(o, &l);
}

static int parse_policies(struct options *o, char *s)
{
	for (char *save, *p = strtok_r(s, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		if (o->n_policies == MAX_POLICIES || strlen(p) >= sizeof(o->policies[0]))
			return -EINVAL;
		strcpy(o->policies[o->n_policies++], p);
	}
	return o->n_policies ? 0 : -EINVAL;
}

/* What reading a workload file remembers from line to line. */
struct workload {
	struct options *o;
	struct load *l;			/* of the section that is open */
	FILE *f;
	int line;
	const char *why;		/* of the line that was refused */
};

/* [MODEL] or [MODEL:LABEL]: a load of its own, one tenant unless told. */
static const char *section_open(struct workload *w, const char *section, size_t len)
{
	struct load fresh = { .outstanding = 1, .tenants = 1, .priority = BRAID_PRIORITY_NORMAL };
	size_t model = strcspn(section, ":]");

	if (!model || model >= BRAID_NAME_MAX || len >= 2 * BRAID_NAME_MAX)
		return "a section is [MODEL] or [MODEL:LABEL]";
	memcpy(fresh.model, section, model);
	if (add_load(w->o, &fresh))
		return "too many sections or tenants";
	w->l = &w->o->loads[w->o->n_loads - 1];
	return NULL;
}

static const char *workload_key(struct workload *w, const char *name, const char *value)
{
	struct options *o = w->o;
	struct load *l = w->l;
	double v;

	if (!l)
		return "a key before the first [MODEL]";
	if (!strcmp(name, "priority")) {
		if (strlen(value) != 1 || *value < '0' || *value > '3')
			return "priority is 0 to 3";
		l->priority = *value - '0';
		return NULL;
	}
	if (strcmp(name, "tenants") && strcmp(name, "outstanding") && strcmp(name, "rate"))
		return "no such key; there are tenants, outstanding, rate and priority";
	if (positive(value, &v))
		return "not a number above 0";
	if (!strcmp(name, "rate")) {
		l->rate = v;
		o->mode = MODE_OPEN;
	} else if (v != (unsigned int)v) {
		return "not a whole number";
	} else if (!strcmp(name, "outstanding")) {
		if (v > 64)
			return "outstanding is at most 64";
		l->outstanding = v;
	} else {
		if (o->n_tenants - l->tenants + v > MAX_TENANTS)
			return "too many tenants";
		o->n_tenants += (unsigned int)v - l->tenants;
		l->tenants = v;
	}
	return NULL;
}

static int workload_line(void *user, const char *section, const char *name, const char *value)
{
	struct workload *w = user;

	if (!w->why)
		w->why = workload_key(w, name, value);
	return !w->why;
}

/*
 * inih takes an indented line for more of the one before it, and does not tell
 * of a section until it has a key: neither is what is meant here.
 */
static char *workload_next(char *buf, int size, void *stream)
{
	struct workload *w = stream;
	const char *end;
	size_t blanks;

	if (w->why || !fgets(buf, size, w->f))
		return NULL;
	w->line++;
	if (!strchr(buf, '\n') && !feof(w->f)) {
		w->why = "the line is too long";
		return NULL;
	}
	blanks = strspn(buf, " \t");
	memmove(buf, buf + blanks, strlen(buf + blanks) + 1);
	end = strchr(buf, ']');
	if (*buf == '[' && end)
		w->why = section_open(w, buf + 1, end - buf - 1);
	return w->why ? NULL : buf;
}

int workload_read(struct options *o, const char *path)
{
	struct workload w = { .o = o, .f = fopen(path, "re") };
	int ret;

	if (!w.f) {
		fprintf(stderr, "braid-bench: %s: %s\n", path, strerror(errno));
		return -EINVAL;
	}
	ret = ini_parse_stream(workload_next, &w, workload_line, &w);
	if (w.why)
		fprintf(stderr, "braid-bench: %s:%d: %s\n", path, w.line, w.why);
	else if (ferror(w.f))
		fprintf(stderr, "braid-bench: %s: can't be read\n", path);
	else if (ret)
		fprintf(stderr, "braid-bench: %s:%d: neither [MODEL] nor KEY = VALUE\n", path,
			ret);
	ret = w.why || ferror(w.f) || ret ? -EINVAL : 0;
	fclose(w.f);
	return ret;
}

/* Not touched before there is something to write; errno says why it can't be. */
static bool may_write(const char *path)
{
	struct stat st;
	int fd;

	if (!stat(path, &st)) {
		errno = EISDIR;
		return !S_ISDIR(st.st_mode) && !access(path, W_OK);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	close(fd);
	unlink(path);
	return true;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char why[192];
	unsigned int us;
	double v = 0;
	char end;

	switch (key) {
	case 's':
		o->socket = arg;
		return 0;
	case OPT_CONTROL:
		o->control = arg;
		return 0;
	case 'l':
		if (parse_load(o, arg))
			argp_error(state, "--load %s: MODEL:TENANTS[:OUTSTANDING]", arg);
		return 0;
	case 'w':
		if (workload_read(o, arg))
			exit(2);
		return 0;
	case 'a':
		if (strcmp(arg, "poisson") && strcmp(arg, "lognormal"))
			argp_error(state, "--arrivals: poisson or lognormal");
		o->arrivals = *arg == 'p' ? ARRIVALS_POISSON : ARRIVALS_LOGNORMAL;
		return 0;
	case 'p':
		if (parse_policies(o, arg))
			argp_error(state, "--policies: up to %d names", MAX_POLICIES);
		for (unsigned int i = 0; i < o->n_policies; i++)
			if (knob_check("fusion_policy", o->policies[i], why, sizeof(why)))
				argp_failure(state, 2, 0, "--policies: %s", why);
		return 0;
	case 'j':
		if (strcmp(arg, "-") && !may_write(arg))
			argp_failure(state, 2, errno, "--json %s", arg);
		o->json = arg;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case OPT_AS:
		for (o->as = AS_BRAID; o->as <= AS_STREAMS; o->as++)
			if (!strcmp(arg, as_words(o->as)))
				return 0;
		argp_error(state, "--as: braid, processes or streams");
		return 0;
	case OPT_LABEL:
		o->label = arg;
		return 0;
	case OPT_MODELS:
		o->models = arg;
		return 0;
	case OPT_BACKEND:
		o->backend = arg;
		return 0;
	case OPT_CACHE:
		o->cache = arg;
		return 0;
	case OPT_SMS:
		o->sms = strtoul(arg, NULL, 10);
		return 0;
	case OPT_DEGREE:
		if (sscanf(arg, "%u%c", &o->degree, &end) != 1 || !o->degree || o->degree > 32)
			argp_error(state, "--degree: 1 to 32");
		return 0;
	case OPT_PRECISION:
		o->precision = !strcmp(arg, "fp16") ? 16 : !strcmp(arg, "fp32") ? 32 : 0;
		if (!o->precision && strcmp(arg, "auto"))
			argp_error(state, "--precision: auto, fp16 or fp32");
		return 0;
	case OPT_WAIT:
		if (strcmp(arg, "poll") && strcmp(arg, "driver"))
			argp_error(state, "--wait: poll or driver");
		o->waits_in_driver = *arg == 'd';
		return 0;
	case OPT_SPIN:
		if (sscanf(arg, "%u%c", &us, &end) != 1 || us > 10000)
			argp_error(state, "--spin: microseconds, 10000 at most");
		o->spin_us = us;
		return 0;
	case OPT_TILES:
		if (strcmp(arg, "auto") && strcmp(arg, "alone") && strcmp(arg, "crowd"))
			argp_error(state, "--tiles: auto, alone or crowd");
		o->tiles = *arg == 'c' ? TILES_FOR_CROWD : arg[1] == 'l' ? TILES_FOR_ONE : TILES_AUTO;
		return 0;
	case OPT_SEED:
		o->seed = strtoull(arg, NULL, 0);
		return 0;
	case OPT_PROGRESS:
		o->progress = fopen(arg, "we");
		if (!o->progress)
			argp_failure(state, 1, errno, "%s", arg);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s': what is this?", arg);
		return 0;
	case ARGP_KEY_END:
		if (!o->n_tenants)
			argp_error(state, "no tenants: --load or --workload");
		if (o->as && (!o->models || o->n_policies))
			argp_error(state, "--as %s needs --models and has no --policies",
				   as_words(o->as));
		if (o->degree > 1 && (!o->as || o->mode == MODE_OPEN))
			argp_error(state, "--degree is for a closed loop of processes or streams");
		return 0;
	}
	if (key != 'o' && key != 't' && (key < OPT_SIGMA || key > OPT_REPEAT))
		return ARGP_ERR_UNKNOWN;
	if (positive(arg, &v) && !(key == OPT_WARMUP && !strcmp(arg, "0")))
		argp_error(state, "'%s' is not a number above 0", arg);
	if (key == 'o') {
		o->mode = MODE_OPEN;
		o->total_rate = v;	/* divided when all tenants are known */
	} else if (key == 't') {
		o->seconds = v;
	} else if (key == OPT_SIGMA) {
		o->sigma = v;
	} else if (key == OPT_WARMUP) {
		o->warmup = v;
	} else if (key == OPT_DEADLINE) {
		o->deadline_ms = v;
	} else if (key == OPT_PATIENCE) {
		if (v < 1 || v > 1e6)
			argp_error(state, "--patience: 1 to 1000000 seconds");
		o->patience = v;
	} else {
		o->repeat = v;
	}
	return 0;
}

static const struct argp argp = {
	options, parse, NULL,
	"Load a Braid queue with many tenants and measure.\v"
	"A workload file has a section for each load, named as its model, with a label where "
	"one model has several. Closed loop, each tenant keeps so many outstanding:\n\n"
	"  [resnet50]\n"
	"  tenants = 4        ; 1 unless told\n"
	"  outstanding = 2    ; 1 unless told\n\n"
	"  [resnet50:urgent]\n"
	"  priority = 3       ; 0 to 3, 1 unless told\n\n"
	"Open loop, requests a second of each tenant; every section needs its rate, or --open "
	"divides one over all tenants:\n\n"
	"  [resnet50]\n"
	"  tenants = 4\n"
	"  rate = 20\n",
	NULL, NULL, NULL
};

int options_parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){ .sigma = 1.5, .seconds = 5, .warmup = 1, .repeat = 1, .seed = 1,
				.spin_us = -1, .patience = 30, .degree = 1 };
	argp_parse(&argp, argc, argv, 0, NULL, o);
	for (unsigned int i = 0; i < o->n_loads && o->mode == MODE_OPEN; i++) {
		if (o->total_rate > 0)
			o->loads[i].rate = o->total_rate / o->n_tenants;
		if (!(o->loads[i].rate > 0)) {
			fprintf(stderr, "braid-bench: [%s] has no rate\n", o->loads[i].model);
			return -EINVAL;
		}
	}
	return 0;
}
