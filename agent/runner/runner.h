/* SPDX-License-Identifier: MIT */
/*
 * The runner: loads models, takes windows, runs them on a backend, commits.
 *
 * One thread serves; a second one loads models and touches nothing else than
 * its own list of work (load.c, which has the only lock), a third one watches
 * that the first goes on (watchdog.h). Windows come from a pool that is made
 * at the start, so that serving allocates nothing.
 */
#ifndef BRAID_AGENT_RUNNER_RUNNER_H
#define BRAID_AGENT_RUNNER_RUNNER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/backend/backend.h"
#include "agent/config.h"
#include "agent/loop.h"
#include "agent/runner/adapt.h"
#include "agent/runner/link.h"
#include "agent/runner/outside.h"
#include "agent/runner/plan.h"
#include "agent/runner/watchdog.h"

#define RUNNER_WINDOWS	64u	/* in flight at once */
#define RUNNER_GROUPS	8u	/* of a launch */
#define RUNNER_RESERVE	2u	/* and what FETCHes that were replaced may still bring */
#define RUNNER_MODELS	256u	/* served */
#define RUNNER_RELOADS	64u	/* that wait for their answer at once */
#define RUNNER_LOADED	512u	/* those that drain included; each is named in a FETCH */

struct loader;
struct load_job;
struct explain;
struct buf_table;

/* A model that was loaded. */
struct run_model {
	struct run_model *next;
	struct model_config conf;
	struct program *prog;
	struct backend_model *bm;
	uint64_t id;			/* the queue's, 0 before MODEL_PUT */
	uint64_t file_key;		/* tells whether the file has changed */
	uint64_t est_ns;		/* as published */
	uint64_t mean_ns;		/* as measured, a moving average */
	uint64_t runs, requests;
	uint32_t inflight;		/* groups */
	uint32_t waiting;		/* of them: the backend had no room for them yet */
	uint32_t number;		/* for the planner; never used twice */
	uint64_t degrees;		/* for the planner; 0: all */
	uint64_t read_ns;		/* how long it took to load */
	struct backend_took took;
	bool deleting;
};

/* When a runner came how far, CLOCK_MONOTONIC; 0: not yet. */
struct run_start {
	uint64_t began_ns, opened_ns;	/* it, and its device */
	uint64_t ready_ns;		/* all models are there */
	uint64_t window_ns, answer_ns;	/* the first ones */
};

/* A buffer of a tenant, mapped. */
struct run_buf {
	struct run_buf *next;
	uint64_t id;
	uint64_t bytes;
	struct backend_buf *bb;
	const void *look;		/* our own mapping, only with fault injection */
};

/* A model that was not taken, and why. */
struct refusal {
	struct refusal *next;
	char name[BRAID_NAME_MAX];
	char why[512];
};

struct window;

/* What a backend group belongs to. */
struct run_group {
	struct window *w;
	uint32_t number;
	struct run_model *model;
};

/* A window in flight. */
struct window {
	struct window *next;
	struct window *next_waiting;	/* for the backend to have room */
	uint64_t id;
	uint64_t taken_ns;
	uint32_t groups_left;
	uint32_t launched;		/* launches that the backend has, or is given now */
	uint32_t started;		/* groups that it has of the next one */
	enum backend_form form;
	bool adaptive;
	uint32_t bad;			/* fault injection: this job, counted from 1 */
	enum backend_sabotage sabotage;
	uint32_t n_jobs;
	struct braid_job jobs[BRAID_MAX_BATCH];
	struct run_model *models[BRAID_MAX_BATCH];
	struct plan plan;
	struct run_group run[BRAID_MAX_BATCH];
	struct backend_group groups[BRAID_MAX_BATCH];
	struct backend_launch launches[BRAID_MAX_BATCH];
	uint32_t left_of[BRAID_MAX_BATCH];	/* groups of a launch that have not ended */
	struct backend_io io[LINK_MAX_SLICES];
};

struct runner {
	struct config cfg;
	const struct backend_ops *ops;
	struct backend *be;
	struct link *link;
	pthread_t thread;		/* that serves */
	struct loop *loop;
	struct loop_watch link_watch, control_watch, backend_watch, loader_watch;
	struct loop_watch signal_watch, tick_watch;
	uint64_t generation;
	struct run_start start;
	bool ready;
	bool failed;
	bool hang;			/* fault injection */
	enum backend_sabotage sabotage;	/* of the job that is looked at */
	bool polls;			/* instead of sleeping, while the backend is busy */
	uint64_t busy_ns;		/* when it last was */

	struct adapt *adapt;
	enum braid_fusion_policy policy;	/* of the last window */
	uint32_t outstanding;		/* requests */
	uint32_t queued;		/* that waited in the queue when it last told */
	struct watchdog dog;
	uint32_t in_flight;		/* launches */
	struct outside_watch *watch;	/* NULL: nobody tells */
	struct outside outside;		/* as of the last tick */

	struct loader *loader;
	struct run_model *models;
	unsigned int n_models;
	uint32_t last_number;
	struct load_job *asked;		/* of the loader, not back yet */
	struct refusal *refused;
	bool tell_reloaded;		/* the supervisor waits to hear that it is over */
	uint64_t reloads[RUNNER_RELOADS];	/* and so do these */
	unsigned int n_reloads;
	unsigned int n_changed, n_withdrawn;	/* since the first of these was asked */
	struct buf_table *bufs;
	unsigned int n_unmapping;	/* retired, and the backend not done with them */
	struct explain *explain;

	struct window *free_windows;
	struct window *busy;		/* newest first */
	struct window *waiting;		/* of them, oldest first */
	unsigned int n_free;
	uint64_t watched;		/* the oldest window, */
	uint32_t watched_left;		/* its groups, */
	uint64_t watched_ns;		/* and how long it is that and has these, */
	uint64_t looked_ns;		/* as of then */
	struct link_window *in;
	struct braid_want wants[LINK_MAX_WANTS];
	uint32_t n_wants, want_jobs;
	uint64_t windows, groups, jobs;
	uint64_t ended, launch_ns, device_ns;	/* groups; till they were launched, and from then on */
	uint64_t told_ns;		/* last line about what tenants can cause at will */
};

/**
 * runner_main() - serve until the supervisor goes or says so
 * @cfg: configuration
 *
 * Descriptor 3 is the queue, 4 the private channel. Return: exit status.
 */
int runner_main(const struct config *cfg);

/* runner.c */
uint64_t runner_now(void);
void runner_fail(struct runner *r, const char *what, int err);
void runner_alone(struct runner *r);
int runner_call(struct runner *r, uint32_t nr, void *arg, int *fd_out);
void runner_want(struct runner *r);
void runner_policy(struct runner *r, enum braid_fusion_policy policy);
void runner_limit(struct runner *r);
bool runner_may_tell(struct runner *r);

/* run_model.c */
void models_read(struct runner *r);
int models_start(struct runner *r);
void models_reload(struct runner *r);
void models_loaded(struct loop_watch *w, uint32_t events);
struct run_model *model_by_id(struct runner *r, uint64_t id);
void model_drained(struct runner *r, uint64_t id);
void model_ran(struct run_model *m, uint32_t degree, uint64_t device_ns);
void models_estimates(struct runner *r);
void models_free(struct runner *r);

/* run_buf.c */
struct buf_table *bufs_new(void);
void bufs_free(struct runner *r);
int buf_add(struct runner *r, const struct braid_event *ev);
void buf_retire(struct runner *r, uint64_t id);
void bufs_unmapped(struct runner *r, bool tell);
struct run_buf *buf_find(const struct buf_table *t, uint64_t id);

/* window.c */
int windows_new(struct runner *r);
void windows_free(struct runner *r);
void window_take(struct runner *r, const struct link_window *in);
unsigned int windows_reap(struct runner *r);
void windows_watch(struct runner *r);
void windows_launch(struct runner *r);
void window_blame(struct runner *r);

/* explain.c */
struct explain *explain_new(void);
void explain_free(struct explain *e);
void explain_window(struct explain *e, const struct window *w, uint32_t reason,
		    uint32_t policy, const struct adapt_reason *adapt,
		    const struct outside *outside);
void explain_group(struct explain *e, const struct window *w, uint32_t group);

/* run_control.c */
bool runner_reload_waits(const struct runner *r);
void runner_reloaded(struct runner *r);
void runner_tell_ready(struct runner *r);
void runner_control(struct loop_watch *w, uint32_t events);

#endif
