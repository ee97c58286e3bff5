/* SPDX-License-Identifier: MIT */
/*
 * Inside libbraid: the connection, its lock and who reads from the queue.
 *
 * One mutex (struct braid.lock) protects every field below, and the
 * transport's own. At most one thread at a time is the reader: it alone polls
 * and takes in what the queue has to say, and drops the lock only while it
 * sleeps. The others that wait for a reply or a completion sleep on the
 * condition variable and are woken when the reader has taken something in, or
 * gives its place up.
 */
#ifndef BRAID_LIB_CONN_H
#define BRAID_LIB_CONN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <braid.h>

struct wire_cmd;

struct braid_model {
	struct braid_model *next;
	uint64_t id;			/* changes with the queue's process */
	bool gone;			/* did not come back */
	unsigned int users;		/* handles given out */
	char name[BRAID_NAME_MAX];
	uint8_t digest[BRAID_DIGEST_BYTES];
	uint32_t n_inputs, n_outputs;
	struct braid_tensor tensors[];
};

struct braid_buf {
	struct braid_buf *next;
	uint64_t id;			/* changes with the queue's process */
	int fd;				/* socket: kept, it is what a new queue adopts */
	bool staging;			/* braid_infer() copies through it */
	bool busy;			/* staging: in use now */
	size_t bytes;
	void *addr;
};

enum slot_state {
	SLOT_FREE,
	SLOT_SENT,		/* the queue has it, or will have it again */
	SLOT_READY,		/* completed, nobody took it yet */
};

/* A request from submit until its completion is taken. */
struct slot {
	enum slot_state state;
	bool sync;			/* braid_infer() waits for it itself */
	bool cancelled;			/* is not sent again */
	bool stranded;			/* a buffer of it was freed: likewise */
	uint32_t gen;
	uint64_t order;			/* of submission, for sending again */
	uint64_t id;			/* the queue's, 0 until it answered */
	struct braid_job_desc desc;	/* io points to at */
	struct braid_at *at;
	uint32_t at_cap;
	struct braid_completion done;
};

/*
 * A command that waits for its reply; lives on the caller's stack. What a reply
 * changes in the connection is done by @taken, in the reader and together with
 * taking it in: when the caller wakes, the queue may have died and returned,
 * and the ids of the reply mean nothing any more.
 */
struct call {
	struct call *next;
	const struct wire_cmd *cmd;
	void *arg;
	uint64_t seq;
	void (*taken)(struct braid *b, struct call *call);
	void *data;			/* taken's */
	int fd;				/* that came; closed unless taken sets -1 */
	int ret;
	bool done;
	bool lost;			/* the connection went first */
	bool by_socket;			/* socket transport: not by a ring */
};

/* What a waiting thread waits for. */
typedef bool (*conn_until)(const void *arg);

/**
 * struct transport - the way to the queue; everything with the lock held
 * @may_return: a queue that went away may come back, without what it knew
 * @open: connect to b->path and greet; words for a failure
 * @shut: close everything; also after an open that failed
 * @send: send a call's command, or carry it out at once: then it is done on
 *        return. A queue that is gone is no error, the call is marked lost
 * @read: the reader's: take in what is there until @until holds; with nothing
 *        there sleep first, without the lock, at most until @deadline
 */
struct transport {
	bool may_return;
	int (*open)(struct braid *b);
	void (*shut)(struct braid *b);
	int (*send)(struct braid *b, struct call *call);
	void (*read)(struct braid *b, conn_until until, const void *arg, uint64_t deadline);
	void (*watched)(struct braid *b);
};

extern const struct transport transport_socket;
extern const struct transport transport_device;

struct braid {
	pthread_mutex_t lock;
	pthread_cond_t cond;		/* CLOCK_MONOTONIC */
	char path[108];
	const struct transport *transport;
	struct sock *sock;		/* the socket's own: socket.h */
	int fd;				/* the queue, -1 while down */
	int epoll;			/* what braid_fd() returns */
	int event;			/* readable while completions are untaken */
	bool event_set;
	bool watched;			/* braid_fd() was asked for */
	bool up;			/* commands can be sent */
	bool reading;			/* somebody is the reader */
	bool dead;			/* patience is over */
	unsigned int waiters;
	unsigned int patience_ms;
	unsigned int spin_us;		/* longest look before sleeping */
	uint64_t seen;			/* completion records given to the caller */
	uint32_t max_message;		/* longest command */

	struct call *calls;		/* sent, not answered */
	struct braid_model *models;
	struct braid_buf *bufs;

	struct slot *slots;
	uint32_t n_slots;
	uint32_t *free_slots;		/* stack */
	uint32_t n_free;
	uint32_t *ready;		/* ring of slot numbers */
	uint32_t ready_head, n_ready;
	uint32_t n_sent;
	uint32_t n_async;		/* of them, braid_wait()'s */
	uint64_t order;
};

/* error.c */
int braid_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* conn.c */
uint64_t conn_now(void);
int conn_remaining_ms(uint64_t deadline, uint64_t limit);
void conn_lock(struct braid *b);
void conn_unlock(struct braid *b);
int conn_open(struct braid *b);
void conn_shut(struct braid *b);
int conn_watch(struct braid *b, int fd);
int conn_send(struct braid *b, struct call *call, uint32_t nr, void *arg);
int conn_pump(struct braid *b, conn_until until, const void *arg, uint64_t deadline);
int conn_call(struct braid *b, uint32_t nr, void *arg);
int conn_ask(struct braid *b, struct call *call, uint32_t nr, void *arg);
int conn_wait_up(struct braid *b);
void conn_look(struct braid *b);
void conn_stop_reading(struct braid *b);
int conn_dead(const struct braid *b);
void conn_forget(struct braid *b, struct call *call);
bool conn_never(const void *arg);

/* request.c: what the queue says */
int request_records(struct braid *b, const void *records, size_t bytes);
void request_fail_all(struct braid *b, int err);

/* request.c: a buffer goes */
void request_strand(struct braid *b, const struct braid_buf *buf);
void request_free_all(struct braid *b);

/* model.c: ask for one under its name */
struct braid_model *model_blank(void);
struct braid_model_get model_query(struct braid_model *m);

#endif
