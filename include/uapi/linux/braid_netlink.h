/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Braid over generic netlink: sight and administration of the device
 * transport's queues. What tenants and agents say stays in ioctls (braid.h).
 *
 * Family "braid", version 1; Documentation/netlink/specs/braid.yaml describes
 * it for YNL, with the same names and numbers. Every request and every message
 * names the queue by its index: 0 is /dev/braid0.
 *
 * Who may do what
 *
 *  everybody       DEVICE_GET, MODEL_GET
 *  CAP_NET_ADMIN   TENANT_GET, OWNER_GET, TENANT_SET, OWNER_SET, and joining
 *                  the group "events" (old kernels can't ask for that)
 *
 * Policies are strict: an attribute that a command does not know, or one that
 * only answers carry, is refused. What was wrong is told in the extended ack.
 *
 *  ENODEV      no such queue
 *  ENOENT      no such model, tenant, owner
 *  EINVAL      an attribute is missing, unknown, or of the wrong size
 *  ERANGE      a number is out of its range
 *  EPERM       no CAP_NET_ADMIN
 *
 * A dump gives what there was during all of it exactly once, in order of ids;
 * what comes or goes meanwhile is in it or not. Events of different files may
 * come in another order than they happened; what a listener does not read in
 * time is dropped, and its socket says ENOBUFS. Attributes that a reader does
 * not know are to be passed over: there will be more.
 */
#ifndef _UAPI_LINUX_BRAID_NETLINK_H
#define _UAPI_LINUX_BRAID_NETLINK_H

#define BRAID_FAMILY_NAME	"braid"
#define BRAID_FAMILY_VERSION	1

#define BRAID_MCGRP_EVENTS	"events"

#define BRAID_WEIGHT_MAX	1024

/**
 * enum braid_cmd - requests, their answers, and events
 * @BRAID_CMD_DEVICE_GET: one queue or all: state, knobs, counters;
 *                        BRAID_A_DEVICE_*
 * @BRAID_CMD_MODEL_GET: one model or all; BRAID_A_MODEL_*
 * @BRAID_CMD_TENANT_GET: one tenant or all; BRAID_A_TENANT_*
 * @BRAID_CMD_OWNER_GET: one owner or all; BRAID_A_OWNER_*
 * @BRAID_CMD_TENANT_SET: limits of the owner of BRAID_A_OWNER_TENANT;
 *                        BRAID_A_OWNER_*
 * @BRAID_CMD_OWNER_SET: limits of BRAID_A_OWNER_KEY, which need not have a
 *                       tenant now; they stay until they are reset or the
 *                       module goes. What is not named stays as it is;
 *                       BRAID_A_OWNER_*
 * @BRAID_CMD_AGENT_UP_NTF: an agent is ready: index, generation, models
 * @BRAID_CMD_AGENT_DOWN_NTF: an agent that was ready left or died: index,
 *                            generation
 * @BRAID_CMD_TENANT_CAME_NTF: device, id, owner, pid; BRAID_A_TENANT_*
 * @BRAID_CMD_TENANT_GONE_NTF: device, id, owner, pid, submitted
 * @BRAID_CMD_REQUEUE_NTF: an agent's requests went back to the queue: index,
 *                         generation of that agent, requeued
 * @BRAID_CMD_KNOB_NTF: index and the knob with its new value
 * @BRAID_CMD_STALL_NTF: an agent that has work did nothing for a second or
 *                       two: index, generation, queued, suspects, fetched
 */
enum braid_cmd {
	BRAID_CMD_DEVICE_GET = 1,
	BRAID_CMD_MODEL_GET,
	BRAID_CMD_TENANT_GET,
	BRAID_CMD_OWNER_GET,
	BRAID_CMD_TENANT_SET,
	BRAID_CMD_OWNER_SET,
	BRAID_CMD_AGENT_UP_NTF,
	BRAID_CMD_AGENT_DOWN_NTF,
	BRAID_CMD_TENANT_CAME_NTF,
	BRAID_CMD_TENANT_GONE_NTF,
	BRAID_CMD_REQUEUE_NTF,
	BRAID_CMD_KNOB_NTF,
	BRAID_CMD_STALL_NTF,

	__BRAID_CMD_MAX,
	BRAID_CMD_MAX = (__BRAID_CMD_MAX - 1)
};

/**
 * enum braid_a_device - a queue
 * @BRAID_A_DEVICE_PAD: aligns u64
 * @BRAID_A_DEVICE_INDEX: u32, N of /dev/braidN
 * @BRAID_A_DEVICE_GENERATION: u64, counts agents
 * @BRAID_A_DEVICE_AGENT_UP: u8, 1 when one is ready
 * @BRAID_A_DEVICE_TENANTS: u32
 * @BRAID_A_DEVICE_MODELS: u32
 * @BRAID_A_DEVICE_QUEUED: u32, requests that wait
 * @BRAID_A_DEVICE_SUSPECTS: u32, requests that wait to run alone
 * @BRAID_A_DEVICE_FETCHED: u32, requests that the agent has
 * @BRAID_A_DEVICE_KNOB: nest of BRAID_A_KNOB_*, one each
 * @BRAID_A_DEVICE_COUNTERS: nest of BRAID_A_COUNTERS_*
 * @BRAID_A_DEVICE_REQUEUED: u32, in BRAID_CMD_REQUEUE_NTF
 */
enum braid_a_device {
	BRAID_A_DEVICE_PAD = 1,
	BRAID_A_DEVICE_INDEX,
	BRAID_A_DEVICE_GENERATION,
	BRAID_A_DEVICE_AGENT_UP,
	BRAID_A_DEVICE_TENANTS,
	BRAID_A_DEVICE_MODELS,
	BRAID_A_DEVICE_QUEUED,
	BRAID_A_DEVICE_SUSPECTS,
	BRAID_A_DEVICE_FETCHED,
	BRAID_A_DEVICE_KNOB,
	BRAID_A_DEVICE_COUNTERS,
	BRAID_A_DEVICE_REQUEUED,

	__BRAID_A_DEVICE_MAX,
	BRAID_A_DEVICE_MAX = (__BRAID_A_DEVICE_MAX - 1)
};

/**
 * enum braid_a_knob - a knob; to be set through sysfs
 * @BRAID_A_KNOB_NAME: string, the name of its file
 * @BRAID_A_KNOB_VALUE: string, what the file holds
 */
enum braid_a_knob {
	BRAID_A_KNOB_NAME = 1,
	BRAID_A_KNOB_VALUE,

	__BRAID_A_KNOB_MAX,
	BRAID_A_KNOB_MAX = (__BRAID_A_KNOB_MAX - 1)
};

/**
 * enum braid_a_counters - what happened since the module was loaded; u64
 * @BRAID_A_COUNTERS_PAD: aligns u64
 * @BRAID_A_COUNTERS_SUBMITTED: requests accepted
 * @BRAID_A_COUNTERS_COMPLETED: requests that ended with a completion
 * @BRAID_A_COUNTERS_DONE: of them with status 0
 * @BRAID_A_COUNTERS_FAILED: with a status that the agent reported
 * @BRAID_A_COUNTERS_EXPIRED: with ETIME
 * @BRAID_A_COUNTERS_CANCELLED: with ECANCELED
 * @BRAID_A_COUNTERS_WITHDRAWN: with ENOENT
 * @BRAID_A_COUNTERS_KILLED: with EIO after max_attempts
 * @BRAID_A_COUNTERS_DROPPED: ended without a completion, their tenant is dead
 * @BRAID_A_COUNTERS_REQUEUED: taken back from a dead agent
 * @BRAID_A_COUNTERS_WINDOWS: handed out
 * @BRAID_A_COUNTERS_CLOSED_FULL: of them because they were full
 * @BRAID_A_COUNTERS_CLOSED_AGE: because the oldest request was old enough
 * @BRAID_A_COUNTERS_CLOSED_DEADLINE: because a deadline was near
 * @BRAID_A_COUNTERS_CLOSED_IDLE: because the agent was idle
 * @BRAID_A_COUNTERS_CLOSED_SUSPECT: with one request alone
 * @BRAID_A_COUNTERS_FETCHED: jobs handed out
 * @BRAID_A_COUNTERS_COMMITTED: jobs that came back
 * @BRAID_A_COUNTERS_MERGED: of them those that ran merged
 * @BRAID_A_COUNTERS_FUSED: of them those that ran fused
 * @BRAID_A_COUNTERS_MERGE_SUM: sum of the merge degrees
 * @BRAID_A_COUNTERS_FUSE_SUM: sum of the fuse degrees
 * @BRAID_A_COUNTERS_DEVICE_NS: time of the device, as committed
 */
enum braid_a_counters {
	BRAID_A_COUNTERS_PAD = 1,
	BRAID_A_COUNTERS_SUBMITTED,
	BRAID_A_COUNTERS_COMPLETED,
	BRAID_A_COUNTERS_DONE,
	BRAID_A_COUNTERS_FAILED,
	BRAID_A_COUNTERS_EXPIRED,
	BRAID_A_COUNTERS_CANCELLED,
	BRAID_A_COUNTERS_WITHDRAWN,
	BRAID_A_COUNTERS_KILLED,
	BRAID_A_COUNTERS_DROPPED,
	BRAID_A_COUNTERS_REQUEUED,
	BRAID_A_COUNTERS_WINDOWS,
	BRAID_A_COUNTERS_CLOSED_FULL,
	BRAID_A_COUNTERS_CLOSED_AGE,
	BRAID_A_COUNTERS_CLOSED_DEADLINE,
	BRAID_A_COUNTERS_CLOSED_IDLE,
	BRAID_A_COUNTERS_CLOSED_SUSPECT,
	BRAID_A_COUNTERS_FETCHED,
	BRAID_A_COUNTERS_COMMITTED,
	BRAID_A_COUNTERS_MERGED,
	BRAID_A_COUNTERS_FUSED,
	BRAID_A_COUNTERS_MERGE_SUM,
	BRAID_A_COUNTERS_FUSE_SUM,
	BRAID_A_COUNTERS_DEVICE_NS,

	__BRAID_A_COUNTERS_MAX,
	BRAID_A_COUNTERS_MAX = (__BRAID_A_COUNTERS_MAX - 1)
};

/**
 * enum braid_a_model - a published model
 * @BRAID_A_MODEL_PAD: aligns u64
 * @BRAID_A_MODEL_DEVICE: u32, index of the queue; in requests too
 * @BRAID_A_MODEL_ID: u64; in requests too
 * @BRAID_A_MODEL_NAME: string
 * @BRAID_A_MODEL_DIGEST: binary, BRAID_DIGEST_BYTES
 * @BRAID_A_MODEL_DEVICE_NS: u64, estimate of the device time of a request
 * @BRAID_A_MODEL_QUEUED: u32, requests that wait
 * @BRAID_A_MODEL_SUSPECTS: u32, requests that wait to run alone
 * @BRAID_A_MODEL_FETCHED: u32, requests that the agent has
 * @BRAID_A_MODEL_INPUT: nest of BRAID_A_TENSOR_*, one each, in order; not in
 *                       dumps
 * @BRAID_A_MODEL_OUTPUT: the same
 */
enum braid_a_model {
	BRAID_A_MODEL_PAD = 1,
	BRAID_A_MODEL_DEVICE,
	BRAID_A_MODEL_ID,
	BRAID_A_MODEL_NAME,
	BRAID_A_MODEL_DIGEST,
	BRAID_A_MODEL_DEVICE_NS,
	BRAID_A_MODEL_QUEUED,
	BRAID_A_MODEL_SUSPECTS,
	BRAID_A_MODEL_FETCHED,
	BRAID_A_MODEL_INPUT,
	BRAID_A_MODEL_OUTPUT,

	__BRAID_A_MODEL_MAX,
	BRAID_A_MODEL_MAX = (__BRAID_A_MODEL_MAX - 1)
};

/**
 * enum braid_a_tensor - an input or output of a model
 * @BRAID_A_TENSOR_PAD: aligns u64
 * @BRAID_A_TENSOR_NAME: string
 * @BRAID_A_TENSOR_TYPE: u32, enum braid_type
 * @BRAID_A_TENSOR_DIMS: binary, u64 each, outermost first
 * @BRAID_A_TENSOR_BYTES: u64
 */
enum braid_a_tensor {
	BRAID_A_TENSOR_PAD = 1,
	BRAID_A_TENSOR_NAME,
	BRAID_A_TENSOR_TYPE,
	BRAID_A_TENSOR_DIMS,
	BRAID_A_TENSOR_BYTES,

	__BRAID_A_TENSOR_MAX,
	BRAID_A_TENSOR_MAX = (__BRAID_A_TENSOR_MAX - 1)
};

/**
 * enum braid_a_tenant - an open file
 * @BRAID_A_TENANT_PAD: aligns u64
 * @BRAID_A_TENANT_DEVICE: u32, index of the queue; in requests too
 * @BRAID_A_TENANT_ID: u64; in requests too
 * @BRAID_A_TENANT_OWNER: u64, key of its owner
 * @BRAID_A_TENANT_PID: u32, who opened it
 * @BRAID_A_TENANT_OUTSTANDING: u32, places taken: queued, running, unread
 * @BRAID_A_TENANT_SUBMITTED: u64, requests accepted so far
 * @BRAID_A_TENANT_DEVICE_NS: u64, time of the device so far
 */
enum braid_a_tenant {
	BRAID_A_TENANT_PAD = 1,
	BRAID_A_TENANT_DEVICE,
	BRAID_A_TENANT_ID,
	BRAID_A_TENANT_OWNER,
	BRAID_A_TENANT_PID,
	BRAID_A_TENANT_OUTSTANDING,
	BRAID_A_TENANT_SUBMITTED,
	BRAID_A_TENANT_DEVICE_NS,

	__BRAID_A_TENANT_MAX,
	BRAID_A_TENANT_MAX = (__BRAID_A_TENANT_MAX - 1)
};

/**
 * enum braid_a_owner - whose share and quota tenants use
 * @BRAID_A_OWNER_PAD: aligns u64
 * @BRAID_A_OWNER_DEVICE: u32, index of the queue; in requests too
 * @BRAID_A_OWNER_KEY: u64, a uid, or a cgroup id under share_by=cgroup; in
 *                     requests too
 * @BRAID_A_OWNER_TENANT: u64, in BRAID_CMD_TENANT_SET: the tenant whose owner
 *                        is meant
 * @BRAID_A_OWNER_WEIGHT: u32, 1 to BRAID_WEIGHT_MAX; in SET too
 * @BRAID_A_OWNER_PRIORITY_CEILING: u32, enum braid_priority; in SET too
 * @BRAID_A_OWNER_REQUEST_QUOTA: u32, depth: requests queued, running, or unread
 *                               beyond one a tenant; in SET too
 * @BRAID_A_OWNER_BYTE_QUOTA: u64, bytes of buffers; in SET too
 * @BRAID_A_OWNER_RESET: flag, in SET, alone: back to the defaults
 * @BRAID_A_OWNER_BY_HAND: u8, 1 when the limits were set
 * @BRAID_A_OWNER_REQUESTS: u32, what counts towards REQUEST_QUOTA
 * @BRAID_A_OWNER_TENANTS: u32, alive
 * @BRAID_A_OWNER_BUFFERS: u32, until the agent has let go of them
 * @BRAID_A_OWNER_BYTES: u64, of buffers
 * @BRAID_A_OWNER_DEVICE_NS: u64, time of the device so far
 * @BRAID_A_OWNER_COMPLETED: u64, requests that ended so far
 */
enum braid_a_owner {
	BRAID_A_OWNER_PAD = 1,
	BRAID_A_OWNER_DEVICE,
	BRAID_A_OWNER_KEY,
	BRAID_A_OWNER_TENANT,
	BRAID_A_OWNER_WEIGHT,
	BRAID_A_OWNER_PRIORITY_CEILING,
	BRAID_A_OWNER_REQUEST_QUOTA,
	BRAID_A_OWNER_BYTE_QUOTA,
	BRAID_A_OWNER_RESET,
	BRAID_A_OWNER_BY_HAND,
	BRAID_A_OWNER_REQUESTS,
	BRAID_A_OWNER_TENANTS,
	BRAID_A_OWNER_BUFFERS,
	BRAID_A_OWNER_BYTES,
	BRAID_A_OWNER_DEVICE_NS,
	BRAID_A_OWNER_COMPLETED,

	__BRAID_A_OWNER_MAX,
	BRAID_A_OWNER_MAX = (__BRAID_A_OWNER_MAX - 1)
};

#endif
