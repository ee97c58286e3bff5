// SPDX-License-Identifier: MIT
/*
 * The models that are served: load what the model directory names, publish
 * it, replace what has changed, withdraw what is gone.
 *
 * Owns the list of models. A replaced model serves its queue to the end; the
 * queue says when that is (MODEL_DRAINED).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/log.h"
#include "agent/runner/load.h"
#include "agent/runner/runner.h"

/* A first guess, till there is a measurement: a core does so much a second. */
#define GUESS_MACS_PER_NS	10u
#define GUESS_FIXED_NS		20000u
#define ESTIMATES_A_TICK	8u

struct run_model *model_by_id(struct runner *r, uint64_t id)
{
	struct run_model *m = r->models;

	while (m && m->id != id)
		m = m->next;
	return m;
}

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3ull;	/* FNV-1a */
	return h;
}

/* Changes when the file or its binding does. */
static uint64_t key_of(const struct model_config *c)
{
	uint64_t h = 0xcbf29ce484222325ull;
	struct stat st = { 0 };

	if (!stat(c->path, &st)) {
		h = mix(h, &st.st_mtim, sizeof(st.st_mtim));
		h = mix(h, &st.st_size, sizeof(st.st_size));
		h = mix(h, &st.st_ino, sizeof(st.st_ino));
	}
	h = mix(h, c->path, strlen(c->path));
	h = mix(h, &c->load.batch, sizeof(c->load.batch));
	h = mix(h, &c->max_degree, sizeof(c->max_degree));
	h = mix(h, &c->precision, sizeof(c->precision));
	for (unsigned int i = 0; i < c->n_names; i++)
		h = mix(h, c->names[i], strlen(c->names[i]));
	for (unsigned int i = 0; i < c->load.n_shapes; i++)
		h = mix(h, c->shapes[i].dims, sizeof(c->shapes[i].dims));
	for (unsigned int i = 0; i < c->load.n_consts; i++)
		h = mix(h, &c->consts[i].value, sizeof(c->consts[i].value));
	return h ? h : 1;
}

static void bad_file(const char *path, const char *why)
{
	log_line(LOG_ERR, "model refused", "file=%s why=\"%s\"", path, why);
}

static struct refusal **refusal_of(struct runner *r, const char *name)
{
	struct refusal **at = &r->refused;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

static void forget_refusal(struct refusal **at)
{
	struct refusal *f = *at;

	if (!f)
		return;
	*at = f->next;
	free(f);
}

/* Kept to be shown; logged once, not at each reload again. */
static void refuse(struct runner *r, const char *name, const char *why)
{
	struct refusal *f = *refusal_of(r, name);

	if (f && !strcmp(f->why, why))
		return;
	log_line(LOG_ERR, "model refused", "model=%s why=\"%s\"", name, why);
	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f)
			return;
		f->next = r->refused;
		r->refused = f;
	}
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static struct run_model *by_name(struct runner *r, const char *name)
{
	struct run_model *m = r->models;

	while (m && (m->deleting || strcmp(m->conf.name, name)))
		m = m->next;
	return m;
}

/* Still served or still draining, from the very same file and binding. */
static struct run_model *by_digest(struct runner *r, const char *name, const uint8_t *digest)
{
	struct run_model *m = r->models;

	while (m && (strcmp(m->conf.name, name) ||
		     memcmp(m->prog->digest, digest, BRAID_DIGEST_BYTES)))
		m = m->next;
	return m;
}

/* The newest that was asked for under a name is on its way, and the same. */
static bool is_asked(const struct runner *r, const char *name, uint64_t key)
{
	const struct load_job *j = r->asked;

	while (j && strcmp(j->conf.name, name))
		j = j->asked;
	return j && j->file_key == key;
}

static bool is_on_its_way(const struct runner *r, const char *name)
{
	const struct load_job *j = r->asked;

	while (j && strcmp(j->conf.name, name))
		j = j->asked;
	return j;
}

static unsigned int n_served(const struct runner *r)
{
	unsigned int n = 0;

	for (const struct run_model *m = r->models; m; m = m->next)
		n += !m->deleting;
	return n;
}

static void withdraw(struct runner *r, struct run_model *m)
{
	struct braid_model_del arg = { .size = sizeof(arg), .id = m->id };
	int ret;

	m->deleting = true;
	ret = runner_call(r, BRAID_NR_MODEL_DEL, &arg, NULL);
	log_line(ret ? LOG_ERR : LOG_INFO, "model withdrawn", "model=%s id=%llu error=%d",
		 m->conf.name, (unsigned long long)m->id, ret);
}

/* Ask for everything that is new or changed. Return: how many, or an error. */
static int scan(struct runner *r)
{
	struct model_config *list;
	unsigned int n, asked = 0;
	int ret;

	ret = models_scan(r->cfg.model_dir, &list, &n, bad_file);
	if (ret) {
		log_line(LOG_ERR, "model directory can't be read", "dir=%s error=\"%s\"",
			 r->cfg.model_dir, strerror(-ret));
		return ret;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct run_model *have = by_name(r, list[i].name);
		uint64_t key = key_of(&list[i]);
		struct load_job *job;

		if (list[i].why[0]) {
			refuse(r, list[i].name, list[i].why);
			continue;	/* what was served before goes on */
		}
		/* A storm of reloads asks once. */
		if (is_asked(r, list[i].name, key) ||
		    (have && have->file_key == key && !is_on_its_way(r, list[i].name)))
			continue;
		job = calloc(1, sizeof(*job));
		if (!job)
			continue;
		job->conf = list[i];
		job->file_key = key;
		job->asked = r->asked;
		r->asked = job;
		loader_put(r->loader, job);
		asked++;
	}
	for (struct run_model *m = r->models; m; m = m->next) {
		bool there = false;

		for (unsigned int i = 0; i < n; i++)
			there |= !strcmp(list[i].name, m->conf.name);
		if (!there && !m->deleting) {
			withdraw(r, m);
			r->n_withdrawn++;
		}
	}
	/* One that went before it was loaded is not to be served when it is. */
	for (struct load_job *j = r->asked; j; j = j->asked) {
		j->dropped = true;
		for (unsigned int i = 0; i < n; i++)
			if (!strcmp(list[i].name, j->conf.name))
				j->dropped = false;
	}
	for (struct refusal **at = &r->refused; *at;) {
		bool there = false;

		for (unsigned int i = 0; i < n; i++)
			there |= !strcmp(list[i].name, (*at)->name);
		if (there)
			at = &(*at)->next;
		else
			forget_refusal(at);
	}
	free(list);
	return asked;
}

static int become_ready(struct runner *r)
{
	struct braid_ready arg = { .size = sizeof(arg) };
	int ret = runner_call(r, BRAID_NR_READY, &arg, NULL);

	if (ret)
		return ret;
	r->generation = arg.generation;
	r->start.ready_ns = runner_now();
	r->ready = true;
	runner_tell_ready(r);
	runner_want(r);
	return 0;
}

/* Before there is a device to load them for. */
void models_read(struct runner *r)
{
	scan(r);
}

int models_start(struct runner *r)
{
	return r->asked ? 0 : become_ready(r);
}

void models_reload(struct runner *r)
{
	int n = scan(r);

	if (n >= 0)
		log_line(LOG_INFO, "reload", "changed=%d", n);
	if (runner_reload_waits(r) && !r->asked)
		runner_reloaded(r);
}

static int publish(struct runner *r, struct run_model *m)
{
	struct braid_tensor tensors[BRAID_MAX_TENSORS];
	const struct program *p = m->prog;
	struct braid_model_put arg = {
		.size = sizeof(arg),
		.device_ns = m->est_ns,
		.n_inputs = p->n_inputs,
		.n_outputs = p->n_outputs,
		.tensors = { sizeof(tensors[0]), p->n_inputs + p->n_outputs,
			     (uintptr_t)tensors },
	};
	int ret;

	if (p->n_inputs + p->n_outputs > BRAID_MAX_TENSORS)
		return -EMSGSIZE;
	memcpy(arg.name, m->conf.name, sizeof(arg.name));
	memcpy(arg.digest, p->digest, sizeof(arg.digest));
	memset(tensors, 0, sizeof(tensors));
	for (uint32_t i = 0; i < p->n_inputs + p->n_outputs; i++) {
		const struct prog_io *io = i < p->n_inputs ? &p->inputs[i] :
							     &p->outputs[i - p->n_inputs];
		const struct prog_tensor *t = &p->tensors[io->tensor];

		snprintf(tensors[i].name, sizeof(tensors[i].name), "%s", io->name);
		tensors[i].type = t->type;
		tensors[i].rank = t->rank;
		for (uint32_t k = 0; k < t->rank; k++)
			tensors[i].dims[k] = t->dims[k];
		tensors[i].bytes = t->elems * prog_type_size(t->type);
	}
	ret = runner_call(r, BRAID_NR_MODEL_PUT, &arg, NULL);
	if (!ret)
		m->id = arg.id;
	return ret;
}

static void unload(struct runner *r, struct run_model *m)
{
	struct run_model **at = &r->models;

	while (*at && *at != m)
		at = &(*at)->next;
	if (*at) {
		*at = m->next;
		r->n_models--;
	}
	r->ops->model_unload(r->be, m->bm);
	program_free(m->prog);
	free(m);
}

static unsigned int max_degree(const struct runner *r, const struct model_config *c)
{
	return c->max_degree && c->max_degree < r->cfg.max_degree ? c->max_degree :
								    r->cfg.max_degree;
}

/*
 * What came is there already: touched, or with another largest degree, which
 * only the planner looks at (the backend reserves for [runner]'s); or withdrawn and brought
 * back while it drains, which the queue takes as one and the same, so it has
 * to be one here as well.
 */
static void serve_again(struct runner *r, struct run_model *m, struct run_model *old,
			const struct load_job *job)
{
	int ret;

	m->file_key = job->file_key;
	r->n_changed += m->deleting || m->conf.max_degree != max_degree(r, &job->conf);
	m->conf.max_degree = max_degree(r, &job->conf);
	if (!m->deleting)
		return;
	ret = publish(r, m);
	if (ret) {
		log_line(LOG_ERR, "model not published", "model=%s error=\"%s\"", m->conf.name,
			 strerror(-ret));
		return;
	}
	m->deleting = false;
	log_line(LOG_INFO, "model back", "model=%s id=%llu", m->conf.name,
		 (unsigned long long)m->id);
	if (old && old != m)
		withdraw(r, old);
}

/* What the backend runs as one, for the planner; 0: whatever it is asked for. */
static uint64_t degrees_of(const struct runner *r, const struct run_model *m)
{
	uint64_t mask = 0;
	bool all = true;

	for (uint32_t d = 1; d <= 64; d++) {
		if (r->ops->degree(m->bm, d) == d)
			mask |= 1ull << (d - 1);
		else
			all &= d > m->conf.max_degree;
	}
	return all ? 0 : mask;
}

/* A model came from the loader: publish it, then withdraw what it replaces. */
static void serve(struct runner *r, struct load_job *job)
{
	struct run_model *old = by_name(r, job->conf.name), *m;
	int ret;

	if (job->err) {
		if (!job->dropped)
			refuse(r, job->conf.name, job->why);
		return;
	}
	forget_refusal(refusal_of(r, job->conf.name));
	m = job->dropped ? NULL : by_digest(r, job->conf.name, job->prog->digest);
	if (m || job->dropped) {
		r->ops->model_unload(r->be, job->bm);
		program_free(job->prog);
		if (m)
			serve_again(r, m, old, job);
		return;
	}
	m = calloc(1, sizeof(*m));
	if (!m || r->n_models == RUNNER_LOADED ||
	    (!old && n_served(r) >= RUNNER_MODELS)) {
		refuse(r, job->conf.name, m ? "too many models" : "no memory");
		free(m);
		r->ops->model_unload(r->be, job->bm);
		program_free(job->prog);
		return;
	}
	m->conf = job->conf;
	m->file_key = job->file_key;
	m->prog = job->prog;
	m->bm = job->bm;
	m->read_ns = job->read_ns;
	m->took = job->took;
	m->number = ++r->last_number;
	m->est_ns = m->prog->macs / GUESS_MACS_PER_NS + GUESS_FIXED_NS;
	m->conf.max_degree = max_degree(r, &m->conf);
	m->degrees = degrees_of(r, m);
	ret = publish(r, m);
	m->next = r->models;
	r->models = m;
	r->n_models++;
	if (ret) {
		snprintf(job->why, sizeof(job->why), "the queue does not take it: %s", strerror(-ret));
		refuse(r, m->conf.name, job->why);
		unload(r, m);
		return;
	}
	r->n_changed++;
	log_line(LOG_INFO, "model loaded", "model=%s id=%llu ops=%u arena_kib=%llu weights_kib=%llu read_ms=%llu load_ms=%llu%s",
		 m->conf.name, (unsigned long long)m->id, m->prog->n_ops,
		 (unsigned long long)m->prog->arena_bytes >> 10,
		 (unsigned long long)m->prog->const_bytes >> 10,
		 (unsigned long long)m->read_ns / 1000000,
		 (unsigned long long)(m->took.plan + m->took.kernels + m->took.weights +
				      m->took.lanes) / 1000000,
		 !m->took.precision ? "" : m->took.precision == 32 ? " precision=fp32" : " precision=fp16");
	if (!load_binds_batch(&m->conf, m->prog))
		log_line(LOG_WARNING, LOAD_IDLE_BATCH, "model=%s batch=%lld", m->conf.name,
			 (long long)m->conf.load.batch);
	if (old)
		withdraw(r, old);
}

void models_loaded(struct loop_watch *w, uint32_t events)
{
	struct runner *r = (struct runner *)((char *)w - offsetof(struct runner, loader_watch));
	struct load_job *job;
	int ret;

	while ((job = loader_get(r->loader))) {
		struct load_job **at = &r->asked;

		while (*at != job)
			at = &(*at)->asked;
		*at = job->asked;
		serve(r, job);
		free(job);
	}
	if (r->asked)
		return;
	if (!r->ready) {
		ret = become_ready(r);
		if (ret)
			runner_fail(r, "READY", ret);
	}
	if (runner_reload_waits(r))
		runner_reloaded(r);
}

void model_drained(struct runner *r, uint64_t id)
{
	struct run_model *m = model_by_id(r, id);

	if (!m || !m->deleting)
		return;
	log_line(LOG_INFO, "model unloaded", "model=%s id=%llu", m->conf.name,
		 (unsigned long long)id);
	unload(r, m);
}

/* A group of this model has run. */
void model_ran(struct run_model *m, uint32_t degree, uint64_t device_ns)
{
	uint64_t each = device_ns / degree;

	m->runs++;
	m->requests += degree;
	m->mean_ns = m->mean_ns ? (m->mean_ns * 15 + each) / 16 : each;
}

/*
 * Tell the queue of estimates that are off by a fifth. By the clock, not by
 * request, and few at a time, as each waits for its answer.
 */
void models_estimates(struct runner *r)
{
	unsigned int told = 0;

	for (struct run_model *m = r->models; m && told < ESTIMATES_A_TICK; m = m->next) {
		uint64_t est = m->est_ns;

		if (m->deleting || !m->mean_ns ||
		    (m->mean_ns <= est + est / 5 && m->mean_ns + m->mean_ns / 5 >= est))
			continue;
		m->est_ns = m->mean_ns;
		told++;
		if (publish(r, m))
			m->est_ns = est;
	}
}

void models_free(struct runner *r)
{
	while (r->models)
		unload(r, r->models);
	while (r->refused)
		forget_refusal(&r->refused);
}
