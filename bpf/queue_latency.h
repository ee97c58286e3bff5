/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * queue_latency: where requests spend their time in Braid's queue, from the
 * kernel module's tracepoints or the USDT probes of braidd; they say the same.
 */
#ifndef BRAID_BPF_QUEUE_LATENCY_H
#define BRAID_BPF_QUEUE_LATENCY_H

#include <linux/types.h>

#define QUEUE_LATENCY_BUCKETS	40u	/* by powers of two of ns */
#define QUEUE_LATENCY_CLOSES	8u	/* by enum braid_close_reason */

/**
 * struct queue_latency_key - key of map `requests`
 * @queue: of the kernel: its number; of a braidd: its pid
 * @pad: zero
 * @tenant: id
 * @model: id
 */
struct queue_latency_key {
	__u32 queue;
	__u32 pad;
	__u64 tenant;
	__u64 model;
};

/**
 * struct queue_latency_sums - of a tenant's use of a model, or of all
 * @submitted: requests accepted
 * @fetched: handed to the agent; more than once after its death
 * @completed: ended
 * @failed: of them with a status
 * @requeued: taken back from a dead agent
 * @queued_ns: from submit to fetch, of those fetched
 * @run_ns: from fetch to end, of those that ended after a fetch
 * @total_ns: from submit to end
 * @device_ns: as committed
 * @merge_sum: sum of merge degrees
 * @fuse_sum: sum of fuse degrees
 * @ran: requests that ended with a merge degree
 * @max_total_ns: longest
 * @queued: by powers of two
 * @run: by powers of two
 * @total: by powers of two
 */
struct queue_latency_sums {
	__u64 submitted;
	__u64 fetched;
	__u64 completed;
	__u64 failed;
	__u64 requeued;
	__u64 queued_ns;
	__u64 run_ns;
	__u64 total_ns;
	__u64 device_ns;
	__u64 merge_sum;
	__u64 fuse_sum;
	__u64 ran;
	__u64 max_total_ns;
	__u64 queued[QUEUE_LATENCY_BUCKETS];
	__u64 run[QUEUE_LATENCY_BUCKETS];
	__u64 total[QUEUE_LATENCY_BUCKETS];
};

/**
 * struct queue_latency_total - the one value of map `total`
 * @sum: of all requests, whether or not they had room in a map
 * @windows: handed out
 * @jobs: in them
 * @window_ns: from the submit of a window's oldest request to its handing out
 * @timed_windows: of them whose requests were seen
 * @closes: windows by reason
 * @requests_full: events of tenants that have no entry of their own
 * @unreadable: completions whose record could not be read
 * @overrun: events that the reader of `events` was too slow for
 */
struct queue_latency_total {
	struct queue_latency_sums sum;
	__u64 windows;
	__u64 jobs;
	__u64 window_ns;
	__u64 timed_windows;
	__u64 closes[QUEUE_LATENCY_CLOSES];
	__u64 requests_full;
	__u64 unreadable;
	__u64 overrun;
};

/**
 * enum queue_latency_type - of an event
 * @QUEUE_LATENCY_COMPLETE: a request ended
 * @QUEUE_LATENCY_WINDOW: a window was handed out
 * @QUEUE_LATENCY_GROUP: the runner is done with a group
 */
enum queue_latency_type {
	QUEUE_LATENCY_COMPLETE = 1,
	QUEUE_LATENCY_WINDOW,
	QUEUE_LATENCY_GROUP,
};

/**
 * struct queue_latency_event - one record of `events`; what does not apply is 0
 * @type: enum queue_latency_type
 * @queue: as in the key; of a group: the runner's pid
 * @window: id
 * @tenant: id
 * @id: the tenant's number of the request; of a group: its number in the window
 * @model: id
 * @start_ns: submit, of a window: its handing out, of a group: when it started
 * @fetch_ns: handing out, of a request
 * @end_ns: end
 * @device_ns: as committed
 * @status: of a request; of a window: its reason
 * @merge_degree: of a request or a group; of a window: its requests
 * @fuse_degree: of a request or a group
 * @launch: of a group: groups of one launch have the same number
 */
struct queue_latency_event {
	__u32 type;
	__u32 queue;
	__u64 window;
	__u64 tenant;
	__u64 id;
	__u64 model;
	__u64 start_ns;
	__u64 fetch_ns;
	__u64 end_ns;
	__u64 device_ns;
	__s32 status;
	__u32 merge_degree;
	__u32 fuse_degree;
	__u32 launch;
};

#endif
