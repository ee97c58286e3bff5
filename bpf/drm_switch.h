/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * drm_switch: who is on which ring of which GPU, from the tracepoints of the
 * kernel's DRM scheduler. Drivers that use it: amdgpu, etnaviv, lima, msm,
 * nouveau, panfrost, panthor, v3d, xe and others; not NVIDIA's own.
 *
 * A *switch* is two jobs of different entities, one after the other, on a ring.
 * A *stall* is one of them where the second job was waiting already when the
 * ring ran empty; its time is from there to the second job's start.
 */
#ifndef BRAID_BPF_DRM_SWITCH_H
#define BRAID_BPF_DRM_SWITCH_H

#include <linux/types.h>

#define DRM_SWITCH_NAME		24
#define DRM_SWITCH_BUCKETS	40u	/* by powers of two of ns */

/**
 * struct drm_switch_ring_key - key of map `rings`
 * @name: as the driver calls it
 * @dev: the device, "" before Linux 6.17, where rings of equal name are one
 */
struct drm_switch_ring_key {
	char name[DRM_SWITCH_NAME];
	char dev[DRM_SWITCH_NAME];
};

/**
 * struct drm_switch_ring - value of map `rings`
 * @jobs: that ran
 * @done: of them those that ended
 * @switches: as defined above
 * @stalls: of them those for which work was waiting
 * @stall_ns: in them
 * @idle_switches: those before which the ring was empty, and nobody waited
 * @overlapped: those where the second job was started while the first still ran
 * @busy_ns: from each job's start, or the end of the one before, to its end
 * @stall: stalls by powers of two of ns
 * @last: entity of the last job that was started
 * @last_done_ns: when the last job ended
 * @running: jobs that were started and have not ended
 */
struct drm_switch_ring {
	__u64 jobs;
	__u64 done;
	__u64 switches;
	__u64 stalls;
	__u64 stall_ns;
	__u64 idle_switches;
	__u64 overlapped;
	__u64 busy_ns;
	__u64 stall[DRM_SWITCH_BUCKETS];
	__u64 last;
	__u64 last_done_ns;
	__u64 running;
};

/**
 * struct drm_switch_client_key - key of map `clients`
 * @entity: address of the scheduler's entity, or, from 6.17, its fence context
 * @ring: hash of the ring's name and device
 */
struct drm_switch_client_key {
	__u64 entity;
	__u64 ring;
};

/**
 * struct drm_switch_client - value of map `clients`
 * @comm: of who queued the first job
 * @pid: process of that
 * @pad: zero
 * @client: the DRM client's id, from 6.17; 0: not known
 * @ring: where
 * @jobs: that ran
 * @done: that ended
 * @came: switches to it
 * @stalls: of them with a stall
 * @stall_ns: in them
 * @wait_ns: from queueing to start
 * @run_ns: from start to end
 */
struct drm_switch_client {
	char comm[16];
	__u32 pid;
	__u32 pad;
	__u64 client;
	struct drm_switch_ring_key ring;
	__u64 jobs;
	__u64 done;
	__u64 came;
	__u64 stalls;
	__u64 stall_ns;
	__u64 wait_ns;
	__u64 run_ns;
};

/**
 * struct drm_switch_total - the one value of map `total`
 * @queued: jobs
 * @jobs: that ran
 * @done: that ended
 * @switches: on all rings
 * @stalls: on all rings
 * @stall_ns: in them
 * @jobs_full: jobs that there was no room for: they are in no time
 * @rings_full: the same of rings
 * @clients_full: the same of clients
 * @unmatched: jobs that ran or ended and were queued or started before the probe
 * @overrun: events that the reader of `events` was too slow for
 */
struct drm_switch_total {
	__u64 queued;
	__u64 jobs;
	__u64 done;
	__u64 switches;
	__u64 stalls;
	__u64 stall_ns;
	__u64 jobs_full;
	__u64 rings_full;
	__u64 clients_full;
	__u64 unmatched;
	__u64 overrun;
};

/**
 * struct drm_switch_event - one record of `events`: a job ended
 * @queued_ns: when it was queued
 * @start_ns: when it was started
 * @end_ns: when it ended
 * @stall_ns: stall before it
 * @entity: whose
 * @client: the DRM client's id
 * @pid: process that queued it
 * @switched: it came after another entity's
 * @ring: where
 */
struct drm_switch_event {
	__u64 queued_ns;
	__u64 start_ns;
	__u64 end_ns;
	__u64 stall_ns;
	__u64 entity;
	__u64 client;
	__u32 pid;
	__u32 switched;
	char ring[DRM_SWITCH_NAME];
};

#endif
