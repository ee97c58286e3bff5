/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * nvgpu_ctxsw: context switches of Jetson's GPU, from the records that nvgpu
 * hands to its ctxsw node, seen on their way by a kprobe. bpf/ctxsw.h has the
 * meaning of a record; tools/switch reads the node itself.
 */
#ifndef BRAID_BPF_NVGPU_CTXSW_H
#define BRAID_BPF_NVGPU_CTXSW_H

#include <linux/types.h>

#define NVGPU_CTXSW_BUCKETS	40u	/* by powers of two of ns */

/** struct nvgpu_ctxsw_record - as nvgpu writes it, 24 bytes */
struct nvgpu_ctxsw_record {
	__u8 tag;
	__u8 vmid;
	__u16 seqno;
	__u32 context;
	__u64 pid;
	__u64 ts_ns;
};

/**
 * struct nvgpu_ctxsw_key - key of map `contexts`
 * @context: as FECS numbers them
 * @pid: whose
 */
struct nvgpu_ctxsw_key {
	__u32 context;
	__u32 pid;
};

/**
 * struct nvgpu_ctxsw_context - value of map `contexts`
 * @came: switches to it from another one
 * @runs: times that it ran and was seen to end
 * @run_ns: in them
 * @aways: times that it was away while another one ran
 * @away_ns: in them
 * @away: by powers of two
 * @started_ns: when it last started, 0: not known
 * @ended_ns: when it last ended, 0: not known
 * @turn: the engine's count of switches when it ended
 */
struct nvgpu_ctxsw_context {
	__u64 came;
	__u64 runs;
	__u64 run_ns;
	__u64 aways;
	__u64 away_ns;
	__u64 away[NVGPU_CTXSW_BUCKETS];
	__u64 started_ns;
	__u64 ended_ns;
	__u64 turn;
};

/**
 * struct nvgpu_ctxsw_total - the one value of map `total`
 * @records: seen
 * @lost: by gaps of the sequence number
 * @gaps: of them, places; what was under way there is forgotten
 * @resets: of the engine
 * @switches: from one context to another
 * @timed_switches: of them those with both times
 * @switch_ns: from the end of the leaving one to the start of the next
 * @contexts_full: records of contexts that there was no room for
 * @unreadable: records that could not be read
 * @overrun: events that the reader of `events` was too slow for
 * @epoch_ns: time of the last gap or reset: what is older is void
 * @last: key of the context that ran last
 * @last_end_ns: when it ended, 0: it has not
 * @seq: expected next
 * @begun: a record was seen
 */
struct nvgpu_ctxsw_total {
	__u64 records;
	__u64 lost;
	__u64 gaps;
	__u64 resets;
	__u64 switches;
	__u64 timed_switches;
	__u64 switch_ns;
	__u64 contexts_full;
	__u64 unreadable;
	__u64 overrun;
	__u64 epoch_ns;
	struct nvgpu_ctxsw_key last;
	__u64 last_end_ns;
	__u32 seq;
	__u32 begun;
};

#endif
