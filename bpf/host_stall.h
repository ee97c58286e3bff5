/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * host_stall: what processes do with libcuda, as seen on the CPU. Shared by
 * the BPF program, its loader and whoever reads the pinned maps.
 *
 * Nothing here is a context switch. A process that waits in a synchronising
 * call waits for its own work too; the figure is called sync wait.
 */
#ifndef BRAID_BPF_HOST_STALL_H
#define BRAID_BPF_HOST_STALL_H

#include <linux/types.h>

#define HOST_STALL_BUCKETS	40u	/* by powers of two of ns: up to 9 minutes */

/**
 * enum host_stall_kind - what a probed function does; the probe's cookie
 * @HOST_STALL_KERNEL: launches a kernel
 * @HOST_STALL_GRAPH: launches a graph
 * @HOST_STALL_COPY: queues a copy and returns
 * @HOST_STALL_SYNC: blocks until the GPU is done with something
 * @HOST_STALL_BLOCKING_COPY: copies and, usually, blocks
 */
enum host_stall_kind {
	HOST_STALL_KERNEL = 0,
	HOST_STALL_GRAPH,
	HOST_STALL_COPY,
	HOST_STALL_SYNC,
	HOST_STALL_BLOCKING_COPY,
	HOST_STALL_KINDS
};

/**
 * struct host_stall_figures - of a process, a cgroup, or all
 * @kernels: launches
 * @graphs: launches
 * @copies: queued without waiting
 * @syncs: synchronising calls that returned
 * @sync_ns: time in them
 * @blocking_copies: that returned
 * @blocking_copy_ns: time in them
 * @contended: blocking calls of either kind during which another process launched
 * @contended_ns: time in those
 * @foreign_launches: kernels and graphs that others launched during blocking calls
 * @max_ns: longest blocking call
 * @wait: blocking calls by powers of two of their ns
 */
struct host_stall_figures {
	__u64 kernels;
	__u64 graphs;
	__u64 copies;
	__u64 syncs;
	__u64 sync_ns;
	__u64 blocking_copies;
	__u64 blocking_copy_ns;
	__u64 contended;
	__u64 contended_ns;
	__u64 foreign_launches;
	__u64 max_ns;
	__u64 wait[HOST_STALL_BUCKETS];
};

/**
 * struct host_stall_process - value of map `processes`, by pid
 * @comm: the thread that was seen first
 * @pid: the process
 * @cgroup: id in the unified hierarchy
 * @first_ns: CLOCK_MONOTONIC
 * @exited_ns: 0 while it lives
 * @sum: its figures
 */
struct host_stall_process {
	char comm[16];
	__u32 pid;
	__u32 pad;
	__u64 cgroup;
	__u64 first_ns;
	__u64 exited_ns;
	struct host_stall_figures sum;
};

/**
 * struct host_stall_pair - key of map `turns`
 * @from: pid that launched last
 * @to: pid that launched next
 */
struct host_stall_pair {
	__u32 from;
	__u32 to;
};

/**
 * struct host_stall_turns - value of map `turns`
 * @count: how often
 * @gap_ns: sum of the times between the two launches
 */
struct host_stall_turns {
	__u64 count;
	__u64 gap_ns;
};

/**
 * struct host_stall_total - the one value of map `total`
 * @sum: figures of all processes, whether or not they had room in a map
 * @processes_full: events of processes that have no entry of their own: the map is full
 * @cgroups_full: the same of cgroups
 * @turns_full: turns between processes that have no entry
 * @calls_full: blocking calls that were not timed: too many at once
 * @lost_returns: calls whose return was not seen; their time is in no figure
 * @unmatched: returns without a call: it began before the probe
 * @exited_in_call: threads that ended inside a blocking call; in no other figure
 * @exited_in_call_ns: how long they had been in it
 * @pid_reused: entries that were cleared for a new process of the same pid
 * @overrun: events that the reader of `events` was too slow for
 */
struct host_stall_total {
	struct host_stall_figures sum;
	__u64 processes_full;
	__u64 cgroups_full;
	__u64 turns_full;
	__u64 calls_full;
	__u64 lost_returns;
	__u64 unmatched;
	__u64 exited_in_call;
	__u64 exited_in_call_ns;
	__u64 pid_reused;
	__u64 overrun;
};

/**
 * struct host_stall_event - one record of `events`
 * @ts_ns: CLOCK_MONOTONIC, of the call
 * @wait_ns: time in it; 0 for a launch
 * @pid: process
 * @tid: thread
 * @kind: enum host_stall_kind
 * @foreign: launches of others meanwhile
 */
struct host_stall_event {
	__u64 ts_ns;
	__u64 wait_ns;
	__u32 pid;
	__u32 tid;
	__u32 kind;
	__u32 foreign;
};

#endif
