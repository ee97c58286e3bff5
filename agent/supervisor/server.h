/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: the queue (core/) behind a socket, and whoever is connected
 * to it; or, where the queue is the kernel's, the runner and the control socket
 * alone: then @q stays empty. One thread serves, one loop, no lock; core's rule that one lock is held
 * around its calls is met by there being nobody else: the threads of mem.c and
 * closer.c know descriptors only, that of metrics.c asks the loop.
 *
 * Messages are handled as they come; what follows from them (completions to
 * send, a FETCH to answer, the timer, dead nodes to free) is done once after
 * each round of the loop, in settle().
 *
 * The supervisor opens no GPU and parses no model: that is the runner's.
 */
#ifndef BRAID_AGENT_SUPERVISOR_SERVER_H
#define BRAID_AGENT_SUPERVISOR_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/affinity.h"
#include "agent/config.h"
#include "agent/loop.h"
#include "agent/supervisor/closer.h"
#include "agent/supervisor/rings.h"
#include "core/queue.h"
#include "lib/spin.h"
#include "lib/wire.h"
#include "lib/wire_fd.h"

struct server;
struct mem;
struct mem_job;
struct metrics;

/* A tenant's connection. The connection ends first, the tenant's node later. */
struct client {
	struct loop_watch watch;
	struct bq_tenant tenant;
	struct server *srv;
	struct client *next;		/* of all, or of those to be freed */
	pid_t pid;
	uid_t uid;
	struct rings rings;
	bool by_ring;			/* the command being handled came that way */
	struct mem_job *job;		/* a buffer it waits for; it is not read from */
	bool closed;			/* socket gone, waits for the end of the round */
	bool reaped;			/* core gave the tenant's node back */
	int64_t clock_ahead;		/* of the queue's: timens.c */
	bool clock_unknown;		/* it is another one: deadlines are refused */
	bool waits_for_room;		/* it brings descriptors, and others' are not closed */
	bool hang_up;			/* close as soon as @out is sent */
	size_t out_bytes;		/* a reply for which there was no room */
	bool out_ring;			/* it goes there */
	uint64_t told_ns;		/* trace.c: what ended by then was traced, or nobody looked */
	int out_fd;
	uint8_t *out;
	struct parcel refused;		/* of @came, what nobody wants; not read from until closed */
	struct parcel ended;		/* the socket */
	int came[WIRE_MAX_FDS];		/* with the message being handled */
};

/* The runner's connection. */
struct agent {
	struct loop_watch watch;
	struct server *srv;
	struct rings rings;
	bool by_ring;			/* the command being handled came that way */
	bool connected;
	bool fetching;			/* a FETCH waits for its answer */
	bool fetch_by_ring;
	struct wire_call fetch;
	struct bq_fetch room;		/* for its answer */
	struct braid_want wants[4096], next_wants[4096];
	uint32_t n_wants;
	struct braid_job jobs[BRAID_MAX_BATCH];
	struct braid_slice slices[BRAID_MAX_BATCH * 16];
	struct braid_event events[128];
};

/* The runner's process: runner_proc.c. */
struct runner_proc {
	struct loop_watch watch;	/* pidfd */
	struct loop_watch control;	/* private channel */
	struct loop_watch timer;	/* of the next start */
	struct server *srv;
	pid_t pid;
	unsigned int starts;
	unsigned int models;		/* published when the last one was ready */
	unsigned int backoff_ms;
	uint64_t started_ns;
	uint64_t ready_ns;		/* of this one, 0: not yet */
	uint64_t gone_ns, ended_ns;	/* of the one before: its connection, its process; 0: none */
	uint64_t done;			/* requests of all, when it started */
	bool served;			/* one was ready */
	bool stopping;
	bool hopeless;			/* the first one could not begin */
	uint64_t kill_at;		/* stopping: when patience ends */
};

struct control_client;

struct server {
	struct config cfg;
	const char *config_path;	/* NULL: defaults */
	bool device;			/* the queue is the kernel's */
	struct bq q;
	struct loop *loop;
	struct loop_watch listener;
	struct loop_watch control_listener;
	int lock, control_lock;		/* on their names; 0: none */
	struct loop_watch timer;	/* bq_next_event() and bq_look.when */
	struct loop_watch signals;
	struct loop_watch watchdog;	/* the service manager's */
	uint64_t timer_at;
	struct bq_list active;		/* struct rings that may have something */
	struct spin spin, spin_beside;	/* nothing runs; the runner polls */
	bool beside;			/* there are CPUs enough for the second */
	struct client *clients;
	struct client *dead;
	unsigned int n_clients;
	struct mem *mem;
	struct closer *closer;
	int fd_limit;			/* tenants get those below it */
	unsigned int n_wait_for_room;	/* clients */
	unsigned int n_buffers;		/* each a mapping of the runner's */
	unsigned int map_limit;		/* as many at most */
	unsigned int fd_kept;		/* how many are above it */
	uint64_t accept_at;		/* out of descriptors: try again then, 0: accepting */
	uint64_t told_at;		/* last line about what tenants can cause at will */
	unsigned int untold;		/* such lines since then */
	struct agent agent;
	struct runner_proc runner;
	struct control_client *controls;
	unsigned int n_controls;
	unsigned int n_monitors;	/* of them those that want events */
	struct loop_watch stall_watch;	/* while there are monitors */
	struct bq_stall stall;
	uint64_t control_seq;
	struct metrics *metrics;	/* metrics.c; NULL: not asked for */
	bool again;			/* a tenant went while we settled */
	bool draining;
	uint64_t drain_until;
	cpu_set_t cpus;			/* where the runner may run */
	uint64_t started_ns;
	uint64_t round_ns;		/* server_round()'s, 0: not asked yet */
	uint8_t in[WIRE_MAX_BYTES];
	uint8_t out[WIRE_MAX_BYTES];
};

/* server.c */
uint64_t server_now(void);
uint64_t server_round(struct server *s);
void server_settle(void *arg);
int server_watch(struct server *s, struct loop_watch *w, int fd,
		 void (*ready)(struct loop_watch *w, uint32_t events));
void server_no_descriptors(struct server *s);
bool server_has_descriptors(const struct server *s, int below);
bool server_may_tell(struct server *s);

/* listen.c: sockets by name */
int server_lock(const char *path, char *why, size_t len);
void server_unlock(const char *path, bool listens, int lock);
int server_listen(const char *path, int type, unsigned int mode, const char *group, char *why,
		  size_t len);

/* notify.c: the service manager */
void notify_ready(struct server *s);
void notify_reloading(void);
void notify_stopping(void);
int notify_watchdog(struct server *s);

/* client.c: tenants */
void client_accept(struct loop_watch *w, uint32_t events);
void client_close(struct client *c, const char *why);
void client_completions(struct client *c);
void client_room(struct server *s);
void client_free_dead(struct server *s);
void client_answer(struct client *c, struct wire_call *call, int ret);

/* tenant_cmd.c: what tenants may ask */
int tenant_command(struct client *c, struct wire_call *call, int *fd_in, struct wire_reply *r,
		   size_t *bytes);
bool buf_alloc_done(struct client *c, struct wire_call *call, int fd, bool adopt, int ret);
int cmd_get_info(struct server *s, struct bq_tenant *t, struct wire_call *call);
size_t cmd_model_get(struct server *s, struct wire_call *call, struct wire_reply *r,
		     size_t cap);

/* agent_conn.c: the runner's commands */
int agent_connect(struct server *s, int fd);
void agent_disconnect(struct server *s);
void agent_last_words(struct server *s);
void agent_answer_fetch(struct server *s, uint64_t *when);

/* node.c: memory of the queue's nodes */
struct bq_request *node_request(unsigned int n_slots);
struct bq_buffer *node_buffer(int fd, struct bq_owner *o);
int node_buffer_fd(const struct bq_buffer *b);
struct bq_model *node_model(unsigned int n_tensors);
struct braid_tensor *node_model_tensors(struct bq_model *m);
void node_free_request(struct bq_request *r);
void node_drop_buffer(struct bq_buffer *b, struct bq_owner *o);
void node_free_buffer(struct server *s, struct bq_buffer *b);
void node_free_model(struct bq_model *m);
struct bq_owner *node_owner(void);
unsigned int node_owner_buffers(const struct bq_owner *o);
unsigned int node_owner_tenants(const struct bq_owner *o);
unsigned int node_owner_descriptors(const struct bq_owner *o);
void node_owner_tenant(struct bq_owner *o, int more);
void node_owner_extra(struct bq_owner *o, int more);
void node_reap(struct server *s);

/* memfd.c: buffers */
int memfd_new(const char *name);
int memfd_fill(int fd, uint64_t bytes);
int memfd_check(int fd, uint64_t bytes);

/* mem.c: the same in bulk, beside the loop */
int mem_start(struct server *s);
void mem_stop(struct server *s);
int mem_put(struct client *c, const struct wire_call *call, int fd, bool adopt);
void mem_forget(struct client *c);
void mem_close(struct server *s, int fd);

/* owner.c */
struct bq_owner *owner_of(struct server *s, pid_t pid, uid_t uid);
bool owner_may_connect(struct server *s, const struct bq_owner *o);
bool owner_may_have_buffer(struct server *s, const struct bq_owner *o);
bool owner_may_have_rings(struct server *s, const struct bq_owner *o);

/* timens.c: tenants' clocks */
void timens_of(struct client *c);
uint64_t timens_in(const struct client *c, uint64_t ns);
uint64_t timens_out(const struct client *c, uint64_t ns);

/* knob.c: knobs by name */
int knobs_init(struct bq *q);
int knob_set(struct server *s, const char *name, const char *value, char *why, size_t len);
const char *knob_name(enum bq_knob knob);
const char *knob_words(enum bq_knob knob, uint32_t value, char *buf, size_t len);

/* device.c: the kernel's queue */
int device_open(struct server *s, char *why, size_t len);
int device_knobs(struct server *s, char *why, size_t len);
int device_number(struct server *s, const char *file, uint64_t *v);
uint64_t device_done(struct server *s);

/* runner_proc.c */
int runner_start(struct server *s, char *why, size_t len);
void runner_stop(struct server *s);
void runner_kill(struct server *s);
void runner_ready(struct server *s, uint64_t generation, unsigned int models);
int runner_send(struct server *s, const char *json, size_t len);
void runner_timer(struct loop_watch *w, uint32_t events);

/* control.c */
void control_answer(struct control_client *c, json_t *result, const char *error);
void control_tell(struct server *s, json_t *event);
void control_accept(struct loop_watch *w, uint32_t events);
void control_runner_said(struct server *s, const char *json, size_t len);
void control_runner_gone(struct server *s);
uint64_t control_overdue(struct server *s);
void control_free_dead(struct server *s);
void control_close_all(struct server *s);

/* monitor.c: events for those who listen at the control socket */
void event_agent_up(struct server *s);
void event_agent_down(struct server *s, uint64_t requeued);
void event_tenant(struct client *c, bool came);
void event_knob(struct server *s, const char *knob, const char *value);
int monitor_start(struct server *s);
void monitor_stop(struct server *s);

#define SHOW_FROM_START	UINT64_MAX

/* control_show.c: what there is to see, as JSON */
json_t *show_number(uint64_t v);
json_t *show_text(const char *text);
json_t *show_knobs(const struct server *s);
json_t *show_status(struct server *s);
json_t *show_models(struct server *s, uint64_t after, uint64_t *more);
json_t *show_tenants(struct server *s, uint64_t after, uint64_t *more);
json_t *show_owners(struct server *s, uint64_t after, uint64_t *more);

#endif
