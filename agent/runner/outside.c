// SPDX-License-Identifier: MIT
/*
 * What others do with the GPU: see outside.h.
 *
 * The mutex protects what was found and the wish to end. Files belong to root
 * or to us, or are not believed: they decide how windows are run.
 */
#include "agent/runner/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/backend/backend.h"
#include "agent/log.h"

#define LOOK_NS		500000000l
#define FILE_MOST	(16 << 20)

struct file {
	const char *path;
	enum outside_source source;
	bool (*read)(json_t *o, uint32_t pid, struct outside_count *c);
	bool told;		/* that it is not believed */
};

struct outside_watch {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t end;
	bool stop;
	struct outside found;
	const struct backend_ops *ops;
	struct backend *be;
	struct file files[2];
	struct outside_count last[3][2];	/* the witness's, and of each file: two readings */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint64_t get(const json_t *o, const char *name)
{
	json_int_t v = json_integer_value(json_object_get(o, name));

	return v > 0 ? v : 0;
}

/*
 * A process may have several contexts by the driver's count, which take turns
 * after somebody else was there: what one of them is away is then not what was
 * taken from the process. Then it is what others ran, and the switches there and
 * back.
 */
bool outside_switches(json_t *o, uint32_t pid, struct outside_count *c)
{
	uint64_t timed = get(o, "timed_switches"), came = 0, away = 0, aways = 0;
	json_t *list = json_object_get(o, "contexts"), *x;
	unsigned int ours = 0;
	size_t i;

	*c = (struct outside_count){ .at_ns = get(o, "monotonic_ns") };
	c->watched_ns = c->at_ns;
	if (!c->at_ns || !json_is_array(list))
		return false;
	json_array_foreach(list, i, x) {
		if (get(x, "pid") == pid) {
			ours++;
			away += get(x, "away_ns");
			aways += get(x, "aways");
		} else {
			c->others_ns += get(x, "run_ns");
			came += get(x, "came");
		}
	}
	c->away_ns = away;
	c->stalls = aways;
	if (ours < 2)
		return true;
	c->away_ns = c->others_ns + (timed ? 2 * came * (get(o, "switch_ns") / timed) : 0);
	c->stalls = came;
	return true;
}

bool outside_launches(json_t *o, uint32_t pid, struct outside_count *c)
{
	json_t *probe = json_object_get(o, "host_stall"), *x;
	json_t *total = json_object_get(probe, "total");
	uint64_t own = 0, own_wait = 0;
	size_t i;

	*c = (struct outside_count){ .at_ns = get(o, "monotonic_ns") };
	c->watched_ns = c->at_ns;
	if (!c->at_ns || !json_is_object(total))
		return false;
	json_array_foreach(json_object_get(probe, "processes"), i, x) {
		if (get(x, "pid") != pid)
			continue;
		own += get(x, "kernels") + get(x, "graphs");
		own_wait += get(x, "sync_wait_ns");
	}
	c->launches = get(total, "kernels") + get(total, "graphs");
	c->launches -= own < c->launches ? own : c->launches;
	c->wait_ns = get(total, "sync_wait_ns");
	c->wait_ns -= own_wait < c->wait_ns ? own_wait : c->wait_ns;
	return true;
}

static bool began_again(const struct outside_count *b, const struct outside_count *n)
{
	return n->away_ns < b->away_ns || n->others_ns < b->others_ns || n->stalls < b->stalls ||
	       n->launches < b->launches || n->wait_ns < b->wait_ns;
}

static uint32_t thousandths(uint64_t part, uint64_t of)
{
	double v = 1000.0 * part / of;

	return v < 1e6 ? v + 0.5 : 1000000;
}

void outside_add(struct outside *out, enum outside_source source,
		 const struct outside_count *before, const struct outside_count *now)
{
	uint64_t ns = now->watched_ns - before->watched_ns;

	if (!before->at_ns || now->watched_ns <= before->watched_ns || began_again(before, now))
		return;
	out->told |= source;
	if (now->at_ns > out->at_ns)
		out->at_ns = now->at_ns;
	if (source == OUTSIDE_WITNESS ||
	    (source == OUTSIDE_SWITCHES && !(out->told & OUTSIDE_WITNESS))) {
		out->away = thousandths(now->away_ns - before->away_ns, ns);
		if (out->away > 1000)
			out->away = 1000;	/* an absence that began before counts when it ends */
		out->stalls_per_s = (now->stalls - before->stalls) * 1e9f / ns;
	}
	if (source == OUTSIDE_SWITCHES)
		out->others = thousandths(now->others_ns - before->others_ns, ns);
	if (source == OUTSIDE_LAUNCHES) {
		out->launches_per_s = (now->launches - before->launches) * 1e9f / ns;
		out->waits = thousandths(now->wait_ns - before->wait_ns, ns);
	}
}

json_t *outside_json(const struct outside *o)
{
	json_t *res, *by = json_array();

	if (!o->at_ns) {
		json_decref(by);
		return NULL;
	}
	res = json_object();
	if (o->told & (OUTSIDE_WITNESS | OUTSIDE_SWITCHES)) {
		json_object_set_new(res, "away_share", json_real(o->away / 1e3));
		json_object_set_new(res, "stalls_per_s", json_real(o->stalls_per_s));
	}
	if (o->told & OUTSIDE_SWITCHES)
		json_object_set_new(res, "others_share", json_real(o->others / 1e3));
	if (o->told & OUTSIDE_LAUNCHES) {
		json_object_set_new(res, "others_launches_per_s", json_real(o->launches_per_s));
		json_object_set_new(res, "others_sync_wait_share", json_real(o->waits / 1e3));
	}
	if (o->told & OUTSIDE_WITNESS)
		json_array_append_new(by, json_string("witness"));
	if (o->told & OUTSIDE_SWITCHES)
		json_array_append_new(by, json_string("switches"));
	if (o->told & OUTSIDE_LAUNCHES)
		json_array_append_new(by, json_string("host_stall"));
	json_object_set_new(res, "told_by", by);
	return res;
}

/* ---- looking ---- */

static json_t *load(struct file *f)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	json_t *o = NULL;

	if (fd < 0)
		return NULL;	/* its program does not run */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_mode & 022 || st.st_size > FILE_MOST ||
	    (st.st_uid && st.st_uid != geteuid())) {
		if (!f->told)
			log_line(LOG_WARNING, "figures are not believed",
				 "file=%s why=\"it must belong to root or to us, and be writable by nobody else\"",
				 f->path);
		f->told = true;
	} else {
		o = json_loadfd(fd, 0, NULL);
	}
	close(fd);
	return o;
}

static bool read_file(struct file *f, struct outside_count *c)
{
	uint64_t now = now_ns();
	json_t *o = load(f);
	bool good = o && f->read(o, getpid(), c) && c->at_ns <= now &&
		    now - c->at_ns < OUTSIDE_STALE_NS;

	json_decref(o);
	return good;
}

static bool read_witness(struct outside_watch *w, struct outside_count *c)
{
	struct backend_absence a;

	if (!w->ops->absence || !w->ops->absence(w->be, &a))
		return false;
	*c = (struct outside_count){ .at_ns = now_ns(), .watched_ns = a.watched_ns,
				     .away_ns = a.away_ns, .stalls = a.absences };
	return true;
}

/* Files are written as often as they are read: the same reading may be there twice. */
static void take(struct outside_count *two, const struct outside_count *c)
{
	if (c->at_ns == two[1].at_ns)
		return;
	two[0] = two[1];
	two[1] = *c;
}

static void look(struct outside_watch *w)
{
	struct outside found = { 0 };
	struct outside_count c;

	if (read_witness(w, &c))
		take(w->last[0], &c);
	for (int i = 0; i < 2; i++)
		if (*w->files[i].path && read_file(&w->files[i], &c))
			take(w->last[i + 1], &c);
	for (int i = 0; i < 3; i++)
		if (now_ns() - w->last[i][1].at_ns < OUTSIDE_STALE_NS)
			outside_add(&found, 1u << i, &w->last[i][0], &w->last[i][1]);
	pthread_mutex_lock(&w->lock);
	w->found = found;
	pthread_mutex_unlock(&w->lock);
}

static void *watch(void *arg)
{
	struct outside_watch *w = arg;
	struct timespec until;
	bool stop = false;

	pthread_setname_np(pthread_self(), "braid-outside");
	clock_gettime(CLOCK_MONOTONIC, &until);
	while (!stop) {
		look(w);
		until.tv_nsec += LOOK_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_mutex_lock(&w->lock);
		while (!w->stop && !pthread_cond_timedwait(&w->end, &w->lock, &until))
			;
		stop = w->stop;
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

struct outside_watch *outside_start(const struct backend_ops *ops, struct backend *be,
				    const char *switches, const char *launches)
{
	struct backend_absence a;
	struct outside_watch *w;
	pthread_condattr_t attr;

	if (!*switches && !*launches && (!ops->absence || !ops->absence(be, &a)))
		return NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->ops = ops;
	w->be = be;
	w->files[0] = (struct file){ switches, OUTSIDE_SWITCHES, outside_switches, false };
	w->files[1] = (struct file){ launches, OUTSIDE_LAUNCHES, outside_launches, false };
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->end, &attr);
	pthread_condattr_destroy(&attr);
	if (!pthread_create(&w->thread, NULL, watch, w))
		return w;
	free(w);
	return NULL;
}

void outside_now(struct outside_watch *w, struct outside *out)
{
	*out = (struct outside){ 0 };
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	*out = w->found;
	pthread_mutex_unlock(&w->lock);
	if (out->at_ns && now_ns() - out->at_ns > OUTSIDE_STALE_NS)
		*out = (struct outside){ 0 };
}

void outside_stop(struct outside_watch *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->end);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->end);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
