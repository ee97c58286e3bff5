// SPDX-License-Identifier: MIT
/*
 * What others do with the GPU: from the JSON of braid-probe and braid-switch and
 * a made-up witness to shares of the last half second, and from files that may
 * be missing, old, somebody else's or no JSON.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/backend/backend.h"
#include "agent/log.h"
#include "agent/runner/outside.h"
#include "bpf/figures.h"
#include "tests/tap.h"

#define OURS	100

static json_t *switches(long long at_ns, long long away, long long others)
{
	return json_pack("{s:I,s:[{s:i,s:I,s:I,s:I},{s:i,s:I,s:I,s:I},{s:i,s:I,s:I,s:I}]}",
			 "monotonic_ns", (json_int_t)at_ns, "contexts",
			 "pid", OURS, "away_ns", (json_int_t)away, "aways", (json_int_t)(away / 1000000),
			 "run_ns", (json_int_t)77,
			 "pid", 7, "away_ns", (json_int_t)1, "aways", (json_int_t)1,
			 "run_ns", (json_int_t)others / 2,
			 "pid", 8, "away_ns", (json_int_t)1, "aways", (json_int_t)1,
			 "run_ns", (json_int_t)(others - others / 2));
}

static json_t *launches(long long at_ns, int total, int ours, long long wait)
{
	return json_pack("{s:I,s:{s:{s:i,s:i,s:I},s:[{s:i,s:i,s:i,s:I},{s:i,s:i,s:i,s:I}]}}",
			 "monotonic_ns", (json_int_t)at_ns, "host_stall",
			 "total", "kernels", total, "graphs", ours, "sync_wait_ns", (json_int_t)wait,
			 "processes",
			 "pid", OURS, "kernels", 0, "graphs", ours, "sync_wait_ns", (json_int_t)0,
			 "pid", 9, "kernels", total, "graphs", 0, "sync_wait_ns", (json_int_t)wait);
}

static void count_of(json_t *o, bool (*read)(json_t *o, uint32_t pid, struct outside_count *c),
		     struct outside_count *c)
{
	if (!read(o, OURS, c))
		diag("it was not read");
	json_decref(o);
}

static void shares(void)
{
	struct outside_count a, b, w0 = { 1, 1000000000, 0, 0, 0, 0, 0 };
	struct outside_count w1 = { 2, 1500000000, 150000000, 0, 75, 0, 0 };
	struct outside out = { 0 };
	json_t *o;

	ok(!outside_json(&out), "nothing is known at first");
	count_of(switches(1000000000, 10000000, 100000000), outside_switches, &a);
	count_of(switches(1500000000, 110000000, 300000000), outside_switches, &b);
	outside_add(&out, OUTSIDE_SWITCHES, &(struct outside_count){ 0 }, &a);
	is_int(out.told, 0, "one reading is no difference");
	outside_add(&out, OUTSIDE_SWITCHES, &a, &b);
	is_int(out.away, 200, "away a fifth of the time");
	is_int(out.others, 400, "others ran two fifths of it, both of them");
	ok(out.stalls_per_s == 200, "taken 200 times a second");
	is_int(out.at_ns, 1500000000, "known as of the newer reading");
	outside_add(&out, OUTSIDE_WITNESS, &w0, &w1);
	is_int(out.away, 300, "the witness knows better");
	ok(out.stalls_per_s == 150, "and how often");
	outside_add(&out, OUTSIDE_SWITCHES, &a, &b);
	is_int(out.away, 300, "in whichever order they come");

	count_of(launches(1000000000, 500, 40, 0), outside_launches, &a);
	count_of(launches(1500000000, 750, 90, 1000000000), outside_launches, &b);
	outside_add(&out, OUTSIDE_LAUNCHES, &a, &b);
	ok(out.launches_per_s == 500, "others launch 500 times a second; ours are not theirs");
	is_int(out.waits, 2000, "and two of them wait all the time");
	o = outside_json(&out);
	ok(json_number_value(json_object_get(o, "away_share")) == 0.3 &&
	   json_number_value(json_object_get(o, "others_share")) == 0.4 &&
	   json_number_value(json_object_get(o, "others_launches_per_s")) == 500 &&
	   json_array_size(json_object_get(o, "told_by")) == 3, "in words, with who has told");
	json_decref(o);

	out = (struct outside){ 0 };
	outside_add(&out, OUTSIDE_LAUNCHES, &b, &a);
	is_int(out.told, 0, "a program that began again tells nothing");
	outside_add(&out, OUTSIDE_LAUNCHES, &b, &b);
	is_int(out.told, 0, "nor do readings of one time");
	/* Two contexts of ours, which take turns: neither's absence is what was taken. */
	o = json_pack("{s:i,s:i,s:i,s:[{s:i,s:i,s:i},{s:i,s:i,s:i},{s:i,s:i,s:i}]}", "monotonic_ns",
		      1000000000, "timed_switches", 20, "switch_ns", 20 * 80000, "contexts",
		      "pid", OURS, "away_ns", 900000000, "aways", 100, "pid", OURS, "away_ns",
		      800000000, "aways", 50, "pid", 7, "run_ns", 100000000, "came", 150);
	count_of(o, outside_switches, &a);
	is_int(a.away_ns, 100000000 + 2 * 150 * 80000, "several contexts: what others ran, and switches");
	is_int(a.stalls, 150, "as often as others came");
	o = json_pack("{s:i}", "contexts", 3);
	ok(!outside_switches(o, OURS, &a) && !outside_launches(o, OURS, &a),
	   "JSON of something else is not believed");
	json_decref(o);
}

/* ---- files ---- */

static struct backend_absence seen;

static bool absence(struct backend *be, struct backend_absence *out)
{
	seen.watched_ns += 500000000;
	seen.away_ns += 125000000;
	seen.absences += 60;
	*out = seen;
	return true;
}

static bool comes(struct outside_watch *w, struct outside *out, uint32_t told)
{
	struct timespec ts = { .tv_nsec = 50000000 };

	for (int i = 0; i < 200; i++) {
		outside_now(w, out);
		if (out->told == told)
			return true;
		nanosleep(&ts, NULL);
	}
	diag("told by %x, not %x", out->told, told);
	return false;
}

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* Keep a file new, as its program does, until it is believed. */
static bool written(struct outside_watch *w, struct outside *out, const char *path, uint32_t told)
{
	struct timespec ts = { .tv_nsec = 100000000 };
	int ret = 0;

	for (int i = 1; i < 100; i++) {
		json_t *o = launches(now_ns(), 100 * i, 0, 0);

		ret |= figures_write(path, o);
		json_decref(o);
		nanosleep(&ts, NULL);
		outside_now(w, out);
		if (out->told == told)
			return !ret;
	}
	return false;
}

static void files(void)
{
	const struct backend_ops none = { .name = "none" }, some = { .absence = absence };
	char folder[] = "/tmp/braid-outside-XXXXXX", path[64], aside[80];
	struct outside_watch *w;
	struct outside out;
	struct stat st;
	json_t *o;
	FILE *f;

	if (!mkdtemp(folder)) {
		ok(false, "a folder");
		return;
	}
	snprintf(path, sizeof(path), "%s/launches", folder);
	snprintf(aside, sizeof(aside), "%s.new", path);
	ok(!outside_start(&none, NULL, "", ""), "where nothing tells there is nothing to watch");
	outside_now(NULL, &out);
	is_int(out.at_ns, 0, "and nothing is known");

	w = outside_start(&some, NULL, "", path);
	ok(comes(w, &out, OUTSIDE_WITNESS), "the witness alone, while there is no file");
	is_int(out.away, 250, "away a quarter of the time");
	ok(written(w, &out, path, OUTSIDE_WITNESS | OUTSIDE_LAUNCHES), "then the file as well");
	ok(out.launches_per_s > 10, "others launch: %.0f/s", out.launches_per_s);
	ok(comes(w, &out, OUTSIDE_WITNESS), "a file that is not written any more is not believed");
	ok(access(aside, F_OK), "nothing is left beside it");
	outside_stop(w);

	w = outside_start(&none, NULL, "", path);
	f = fopen(path, "w");
	fputs("{\"monotonic_ns\":", f);
	fclose(f);
	usleep(700000);
	outside_now(w, &out);
	is_int(out.told, 0, "nor is half a file");
	unlink(path);
	mkdir(aside, 0700);
	o = json_object();
	ok(figures_write(path, o) < 0 && access(path, F_OK),
	   "what can't be written is an error, and leaves no file");
	json_decref(o);
	rmdir(aside);
	mkfifo(path, 0600);
	o = json_object();
	is_int(figures_write(path, o), -EEXIST, "a pipe is not replaced by a file");
	json_decref(o);
	figures_remove(path);
	ok(!lstat(path, &st) && S_ISFIFO(st.st_mode), "nor removed");
	unlink(path);
	ok(written(w, &out, path, OUTSIDE_LAUNCHES), "a good one is believed");
	outside_stop(w);
	unlink(path);

	/* Anybody could write it: that is said once, and it is not read. */
	f = fopen(path, "w");
	fputs("{}", f);
	fclose(f);
	chmod(path, 0666);
	w = outside_start(&none, NULL, path, "");
	usleep(300000);
	outside_now(w, &out);
	is_int(out.told, 0, "a file that anybody may write is not");
	outside_stop(w);
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	log_open("test", LOG_ERR);
	shares();
	files();
	return tap_done();
}
