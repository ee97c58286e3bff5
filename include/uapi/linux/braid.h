/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Braid: many tenants' inference through one GPU context.
 *
 * One interface, two transports. Over the device (/dev/braid0 and
 * /dev/braid0-agent) a command is an ioctl whose argument points to its
 * structure. Over the socket a command is one SOCK_SEQPACKET message: see
 * struct braid_msg.
 *
 * General format
 *
 * Every command structure starts with its own size. A caller built against an
 * older header passes a smaller structure: what it lacks counts as zero. A
 * caller built against a newer one passes a larger structure: accepted if
 * what this side does not know is zero. On success and on SUBMIT's and
 * COMMIT's failures too, the out fields are written back, never beyond @size.
 *
 * Arrays are {stride, count, ptr}, so that elements can grow as structures
 * do: stride is the caller's size of an element. An array is read from the
 * caller's memory once, or written once.
 *
 * Which errno means what, for every command
 *
 *  ENOTTY      no such command on this transport or by this role
 *  EINVAL      structure or array element smaller than the first version's,
 *              or values that are understood but wrong
 *  E2BIG       set bits or bytes that this side does not know
 *  EOPNOTSUPP  unknown value in a known field: a flag, priority, policy, type
 *  EFAULT      memory of the caller that can't be read or written
 *  ENOENT      no such model, buffer, request
 *  EOVERFLOW   offset + length, or count * size, does not fit
 *  EMSGSIZE    array longer than its limit
 *  EAGAIN      temporary: tenant_depth is reached (read completions), the
 *              queue as a whole is full, nothing to fetch with NONBLOCK
 *  EDQUOT      quota of the owner: requests, unread completions included, or
 *              bytes of buffers
 *  ENOMEM      no memory
 *  ESTALE      COMMIT of an earlier generation
 *  EBUSY       there is an agent already
 *  ENODEV      agent command before READY, or of an agent that was replaced
 *
 * Completions carry a status, 0 or a negative errno:
 *
 *  0           done, outputs are written
 *  -ETIME      the deadline passed while the request was queued
 *  -ECANCELED  cancelled
 *  -ENOENT     the model went away before the request ran
 *  -EIO        the request ended every agent that ran it (max_attempts), or the
 *              agent found that it alone made the device fault
 *  other       what the agent reported: -EFAULT, -ENOMEM, -EINVAL
 *
 * Times are CLOCK_MONOTONIC nanoseconds. Ids are never reused while the queue
 * lives. No structure holds a pointer, a long or implicit padding; all are
 * the same for 32-bit callers.
 */
#ifndef _UAPI_LINUX_BRAID_H
#define _UAPI_LINUX_BRAID_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define BRAID_IOC_TYPE		0xBC

#define BRAID_NAME_MAX		64	/* model names, with the final zero */
#define BRAID_TENSOR_NAME_MAX	128	/* tensor names, with the final zero */
#define BRAID_RANK_MAX		8
#define BRAID_DIGEST_BYTES	32
#define BRAID_MAX_TENSORS	64	/* inputs plus outputs of a model */
#define BRAID_MAX_BATCH		256	/* requests a SUBMIT, jobs a FETCH, results a COMMIT */
#define BRAID_BUF_ALIGN		4096	/* length of a buffer is rounded up to it */

enum {
	BRAID_NR_GET_INFO = 0x00,
	BRAID_NR_MODEL_GET,
	BRAID_NR_BUF_ALLOC,
	BRAID_NR_BUF_FREE,
	BRAID_NR_SUBMIT,
	BRAID_NR_CANCEL,

	BRAID_NR_RING = 0x20,

	BRAID_NR_MODEL_PUT = 0x40,
	BRAID_NR_MODEL_DEL,
	BRAID_NR_READY,
	BRAID_NR_FETCH,
	BRAID_NR_COMMIT,
	BRAID_NR_BUF_GET_FD,
	BRAID_NR_BUF_PUT,
};

/* Tenant (GET_INFO also by the agent). */
#define BRAID_GET_INFO		_IO(BRAID_IOC_TYPE, BRAID_NR_GET_INFO)
#define BRAID_MODEL_GET		_IO(BRAID_IOC_TYPE, BRAID_NR_MODEL_GET)
#define BRAID_BUF_ALLOC		_IO(BRAID_IOC_TYPE, BRAID_NR_BUF_ALLOC)
#define BRAID_BUF_FREE		_IO(BRAID_IOC_TYPE, BRAID_NR_BUF_FREE)
#define BRAID_SUBMIT		_IO(BRAID_IOC_TYPE, BRAID_NR_SUBMIT)
#define BRAID_CANCEL		_IO(BRAID_IOC_TYPE, BRAID_NR_CANCEL)

/* Both, over the socket only. */
#define BRAID_RING		_IO(BRAID_IOC_TYPE, BRAID_NR_RING)

/* Agent. */
#define BRAID_MODEL_PUT		_IO(BRAID_IOC_TYPE, BRAID_NR_MODEL_PUT)
#define BRAID_MODEL_DEL		_IO(BRAID_IOC_TYPE, BRAID_NR_MODEL_DEL)
#define BRAID_READY		_IO(BRAID_IOC_TYPE, BRAID_NR_READY)
#define BRAID_FETCH		_IO(BRAID_IOC_TYPE, BRAID_NR_FETCH)
#define BRAID_COMMIT		_IO(BRAID_IOC_TYPE, BRAID_NR_COMMIT)
#define BRAID_BUF_GET_FD	_IO(BRAID_IOC_TYPE, BRAID_NR_BUF_GET_FD)
#define BRAID_BUF_PUT		_IO(BRAID_IOC_TYPE, BRAID_NR_BUF_PUT)

/**
 * enum braid_type - element types of tensors; the numbers are ONNX's
 *                   (TensorProto.DataType)
 * @BRAID_TYPE_F32: IEEE 754 binary32
 * @BRAID_TYPE_U8: unsigned, 8 bits
 * @BRAID_TYPE_I8: signed, 8 bits
 * @BRAID_TYPE_U16: unsigned, 16 bits
 * @BRAID_TYPE_I16: signed, 16 bits
 * @BRAID_TYPE_I32: signed, 32 bits
 * @BRAID_TYPE_I64: signed, 64 bits
 * @BRAID_TYPE_BOOL: one byte, 0 or 1
 * @BRAID_TYPE_F16: IEEE 754 binary16
 * @BRAID_TYPE_F64: IEEE 754 binary64
 * @BRAID_TYPE_U32: unsigned, 32 bits
 * @BRAID_TYPE_U64: unsigned, 64 bits
 * @BRAID_TYPE_BF16: upper half of a binary32
 */
enum braid_type {
	BRAID_TYPE_F32 = 1,
	BRAID_TYPE_U8 = 2,
	BRAID_TYPE_I8 = 3,
	BRAID_TYPE_U16 = 4,
	BRAID_TYPE_I16 = 5,
	BRAID_TYPE_I32 = 6,
	BRAID_TYPE_I64 = 7,
	BRAID_TYPE_BOOL = 9,
	BRAID_TYPE_F16 = 10,
	BRAID_TYPE_F64 = 11,
	BRAID_TYPE_U32 = 12,
	BRAID_TYPE_U64 = 13,
	BRAID_TYPE_BF16 = 16,
};

/**
 * enum braid_priority - strict classes; one above the owner's ceiling is
 *                       lowered to the ceiling
 * @BRAID_PRIORITY_LOW: only when nobody else waits
 * @BRAID_PRIORITY_NORMAL: the default ceiling
 * @BRAID_PRIORITY_HIGH: needs a raised ceiling
 * @BRAID_PRIORITY_REALTIME: needs a raised ceiling
 * @BRAID_PRIORITIES: number of classes
 */
enum braid_priority {
	BRAID_PRIORITY_LOW = 0,
	BRAID_PRIORITY_NORMAL = 1,
	BRAID_PRIORITY_HIGH = 2,
	BRAID_PRIORITY_REALTIME = 3,
	BRAID_PRIORITIES
};

/**
 * enum braid_fusion_policy - how the agent runs a window
 * @BRAID_FUSION_NONE: each request by itself
 * @BRAID_FUSION_MERGE: requests of one model as one
 * @BRAID_FUSION_FUSE: unmerged requests of different models side by side
 * @BRAID_FUSION_MERGE_FUSE: merged groups of different models side by side
 * @BRAID_FUSION_BRANCHES: one graph a window, one branch a model (GPU only)
 * @BRAID_FUSION_ADAPTIVE: by measured cost, window by window
 * @BRAID_FUSIONS: number of policies
 */
enum braid_fusion_policy {
	BRAID_FUSION_NONE = 0,
	BRAID_FUSION_MERGE = 1,
	BRAID_FUSION_FUSE = 2,
	BRAID_FUSION_MERGE_FUSE = 3,
	BRAID_FUSION_BRANCHES = 4,
	BRAID_FUSION_ADAPTIVE = 5,
	BRAID_FUSIONS
};

/**
 * enum braid_window_policy - when a window closes
 * @BRAID_WINDOW_FIXED: full, old or a deadline near; credits are ignored
 * @BRAID_WINDOW_ADAPTIVE: as fixed, and at once when the agent is idle
 * @BRAID_WINDOWS: number of policies
 */
enum braid_window_policy {
	BRAID_WINDOW_FIXED = 0,
	BRAID_WINDOW_ADAPTIVE = 1,
	BRAID_WINDOWS
};

/**
 * enum braid_close_reason - why a window closed
 * @BRAID_CLOSE_NONE: no window, events only
 * @BRAID_CLOSE_FULL: window_max requests
 * @BRAID_CLOSE_AGE: the oldest was window_timeout_us old
 * @BRAID_CLOSE_DEADLINE: a deadline would otherwise have been missed
 * @BRAID_CLOSE_IDLE: the agent was idle
 * @BRAID_CLOSE_SUSPECT: one request alone, after an agent's death
 * @BRAID_CLOSES: number of reasons
 */
enum braid_close_reason {
	BRAID_CLOSE_NONE = 0,
	BRAID_CLOSE_FULL = 1,
	BRAID_CLOSE_AGE = 2,
	BRAID_CLOSE_DEADLINE = 3,
	BRAID_CLOSE_IDLE = 4,
	BRAID_CLOSE_SUSPECT = 5,
	BRAID_CLOSES
};

/**
 * struct braid_array - an array in the caller's memory
 * @stride: bytes from one element to the next, at least the first version's
 * @count: elements; for arrays that are written: room in, used out
 * @ptr: user address; zero over the socket, where the elements follow the
 *       structure in the message
 */
struct braid_array {
	__u32 stride;
	__u32 count;
	__aligned_u64 ptr;
};

/**
 * struct braid_get_info - BRAID_GET_INFO: what this queue is and allows
 * @size: sizeof(struct braid_get_info)
 * @flags: must be zero
 * @abi: out, BRAID_ABI of the queue's side
 * @max_message: out, bytes of the largest socket message, both ways; 0 on the
 *               device
 * @tenant: out, id of the caller, 0 for an agent
 * @owner: out, whose share and quota the caller uses: a uid, or a cgroup id
 * @generation: out, counts agents; 0 before the first
 * @agent_up: out, 1 when an agent is ready
 * @tenant_depth: out, requests a tenant may have outstanding, unread
 *                completions included
 * @outstanding: out, how many the caller has
 * @priority_ceiling: out, enum braid_priority
 * @byte_quota: out, bytes of buffers the owner may hold
 * @bytes_used: out, bytes the owner holds
 * @models: out, number of models that can be used now
 * @reserved: zero
 */
struct braid_get_info {
	__u32 size;
	__u32 flags;
	__u32 abi;
	__u32 max_message;
	__u64 tenant;
	__u64 owner;
	__u64 generation;
	__u32 agent_up;
	__u32 tenant_depth;
	__u32 outstanding;
	__u32 priority_ceiling;
	__u64 byte_quota;
	__u64 bytes_used;
	__u32 models;
	__u32 reserved;
};

#define BRAID_ABI	1

/**
 * struct braid_tensor - an input or output of a model
 * @name: as in the model file; a longer name is cut, always ends with zero
 * @type: enum braid_type
 * @rank: used entries of @dims
 * @dims: extents, outermost first
 * @bytes: size of the tensor, dense and row-major
 */
struct braid_tensor {
	char name[BRAID_TENSOR_NAME_MAX];
	__u32 type;
	__u32 rank;
	__u64 dims[BRAID_RANK_MAX];
	__u64 bytes;
};

/**
 * struct braid_model_get - BRAID_MODEL_GET: find a model, learn its tensors
 * @size: sizeof(struct braid_model_get)
 * @flags: 0: by @name when @id is 0, else by @id; BRAID_MODEL_GET_NEXT: the
 *         model with the smallest id above @id
 * @id: in and out
 * @name: in and out; the newest model of that name
 * @digest: out, SHA-256 of the model file and the binding of its shapes
 * @device_ns: out, estimate of the device time of one request
 * @n_inputs: out
 * @n_outputs: out
 * @tensors: out, struct braid_tensor, inputs first; count is set to what
 *           there is, elements are written as far as there is room
 *
 * ENOENT: no such model, or no further one.
 */
struct braid_model_get {
	__u32 size;
	__u32 flags;
	__u64 id;
	char name[BRAID_NAME_MAX];
	__u8 digest[BRAID_DIGEST_BYTES];
	__u64 device_ns;
	__u32 n_inputs;
	__u32 n_outputs;
	struct braid_array tensors;
};

#define BRAID_MODEL_GET_NEXT	(1U << 0)

/**
 * struct braid_buf_alloc - BRAID_BUF_ALLOC: memory that the agent can reach
 * @size: sizeof(struct braid_buf_alloc)
 * @flags: BRAID_BUF_ADOPT, or zero
 * @length: in: bytes wanted; out: rounded up to BRAID_BUF_ALIGN
 * @id: out
 * @fd: out, to be mapped MAP_SHARED and closed by the caller; over the socket
 *      -1, the descriptor comes as SCM_RIGHTS
 * @reserved: must be zero
 *
 * Zeroed. The contents are volatile to the agent: rewriting inputs of a
 * request in flight makes that request's outputs wrong, nothing else.
 * EINVAL: length 0. EDQUOT: the owner's byte quota.
 *
 * With BRAID_BUF_ADOPT (socket only, on the device EOPNOTSUPP) the command
 * carries one descriptor: a buffer from before the queue's process was
 * restarted, with its contents. EINVAL: not a memfd on tmpfs, not sealed as
 * the queue seals its own (shrink, grow, seal), or not @length long.
 */
struct braid_buf_alloc {
	__u32 size;
	__u32 flags;
	__u64 length;
	__u64 id;
	__s32 fd;
	__u32 reserved;
};

#define BRAID_BUF_ADOPT		(1U << 0)

/**
 * struct braid_buf_free - BRAID_BUF_FREE: retire a buffer
 * @size: sizeof(struct braid_buf_free)
 * @flags: must be zero
 * @id: the buffer
 *
 * Requests that use it run to their end; new ones get ENOENT. The bytes stay
 * charged until those have ended and the agent has unmapped it.
 */
struct braid_buf_free {
	__u32 size;
	__u32 flags;
	__u64 id;
};

/**
 * struct braid_slice - where a tensor lies
 * @buffer: id, of the same tenant
 * @offset: bytes, a multiple of 64
 * @length: bytes, the tensor's size exactly
 */
struct braid_slice {
	__u64 buffer;
	__u64 offset;
	__u64 length;
};

/**
 * struct braid_request - one inference
 * @user_data: comes back in the completion
 * @model: id
 * @priority: enum braid_priority
 * @flags: must be zero
 * @deadline_ns: absolute, 0 for none
 * @first_slice: index of its first input in braid_submit.slices; the inputs
 *               in the model's order, then the outputs
 * @n_inputs: the model's
 * @n_outputs: the model's
 * @reserved: must be zero
 */
struct braid_request {
	__u64 user_data;
	__u64 model;
	__u32 priority;
	__u32 flags;
	__u64 deadline_ns;
	__u32 first_slice;
	__u32 n_inputs;
	__u32 n_outputs;
	__u32 reserved;
};

/**
 * struct braid_submit - BRAID_SUBMIT: enqueue requests
 * @size: sizeof(struct braid_submit)
 * @flags: BRAID_QUIET, or zero
 * @requests: in, struct braid_request, at most BRAID_MAX_BATCH
 * @slices: in, struct braid_slice, at most BRAID_MAX_BATCH * BRAID_MAX_TENSORS
 * @first_id: out, id of the first accepted request; the next ones follow in
 *            steps of one; counted by tenant, starting with 1
 * @accepted: out, how many, from the first on
 * @error: out, negative errno of the first that was not, 0 if all were
 *
 * Succeeds when all or some are accepted, or there were none; fails with
 * @error when the first was refused.
 *
 * ENOENT: model or buffer. EINVAL: number of slices, length other than the
 * tensor's, offset not aligned, outputs of the request overlap each other or
 * its inputs. EOVERFLOW: slice beyond its buffer. EAGAIN: tenant_depth or
 * the queue is full. EDQUOT: the owner's requests.
 */
struct braid_submit {
	__u32 size;
	__u32 flags;
	struct braid_array requests;
	struct braid_array slices;
	__u64 first_id;
	__u32 accepted;
	__s32 error;
};

/*
 * SUBMIT and COMMIT: over the socket there is a REPLY only if not everything
 * was taken; a message and a wake-up less. On the device it changes nothing.
 */
#define BRAID_QUIET		(1U << 0)

/**
 * struct braid_cancel - BRAID_CANCEL: give a request up
 * @size: sizeof(struct braid_cancel)
 * @flags: must be zero
 * @id: the request
 * @state: out, enum braid_cancel_state
 * @reserved: must be zero
 *
 * There is a completion in any case. ENOENT: no such request, or it is done.
 */
struct braid_cancel {
	__u32 size;
	__u32 flags;
	__u64 id;
	__u32 state;
	__u32 reserved;
};

/**
 * enum braid_cancel_state - what CANCEL met
 * @BRAID_CANCEL_DONE: it was queued and has completed with ECANCELED
 * @BRAID_CANCEL_LATER: the agent has it (or had it and died); it completes
 *                      with ECANCELED when that is over
 */
enum braid_cancel_state {
	BRAID_CANCEL_DONE = 0,
	BRAID_CANCEL_LATER = 1,
};

/**
 * struct braid_completion - what read() returns, whole records only
 * @size: bytes of this record; the next one starts there
 * @status: 0 or a negative errno
 * @user_data: the request's
 * @id: the request's
 * @window: id of the window it ran in, 0 if it never ran
 * @enqueue_ns: when SUBMIT took it
 * @fetch_ns: when the agent took it, 0 if never
 * @done_ns: when it ended
 * @device_ns: its part of the device's time
 * @attempt: how often an agent died with it
 * @merge_degree: requests that ran as one with it, itself included; 0 if none
 * @fuse_degree: groups that ran side by side, its own included; 0 if none
 * @reserved: zero
 *
 * read() with room for less than one record: EINVAL. With O_NONBLOCK and
 * nothing there: EAGAIN. A record that can't be copied stays.
 */
struct braid_completion {
	__u32 size;
	__s32 status;
	__u64 user_data;
	__u64 id;
	__u64 window;
	__u64 enqueue_ns;
	__u64 fetch_ns;
	__u64 done_ns;
	__u64 device_ns;
	__u32 attempt;
	__u32 merge_degree;
	__u32 fuse_degree;
	__u32 reserved;
};

/**
 * struct braid_model_put - BRAID_MODEL_PUT: publish a model
 * @size: sizeof(struct braid_model_put)
 * @flags: must be zero
 * @id: out
 * @name: not empty, ends with zero
 * @digest: SHA-256 of the model file and the binding of its shapes
 * @device_ns: estimate of the device time of one request, at least 1
 * @n_inputs: at least 1
 * @n_outputs: at least 1
 * @tensors: in, struct braid_tensor, inputs first
 *
 * The same name and digest again keeps the id and takes the new estimate;
 * different tensors with the same digest: EINVAL. A new digest makes a new
 * id, which from then on is what the name finds; the old one stays until it
 * is deleted. EMSGSIZE: too many tensors. EAGAIN: too many models.
 */
struct braid_model_put {
	__u32 size;
	__u32 flags;
	__u64 id;
	char name[BRAID_NAME_MAX];
	__u8 digest[BRAID_DIGEST_BYTES];
	__u64 device_ns;
	__u32 n_inputs;
	__u32 n_outputs;
	struct braid_array tensors;
};

/**
 * struct braid_model_del - BRAID_MODEL_DEL: withdraw a model
 * @size: sizeof(struct braid_model_del)
 * @flags: BRAID_MODEL_DEL_NOW: queued requests end with ENOENT; without it
 *         they are still handed out, and BRAID_EVENT_MODEL_DRAINED tells when
 *         the last has ended
 * @id: the model; new requests for it get ENOENT
 */
struct braid_model_del {
	__u32 size;
	__u32 flags;
	__u64 id;
};

#define BRAID_MODEL_DEL_NOW	(1U << 0)

/**
 * struct braid_ready - BRAID_READY: the agent's models are published
 * @size: sizeof(struct braid_ready)
 * @flags: must be zero
 * @generation: out, to be named in COMMIT
 *
 * Models that an earlier agent published and this one did not are gone;
 * requests for them end with ENOENT. EINVAL: called twice.
 */
struct braid_ready {
	__u32 size;
	__u32 flags;
	__u64 generation;
};

/**
 * struct braid_want - what the agent can take of a model now
 * @model: id
 * @count: requests
 * @reserved: must be zero
 */
struct braid_want {
	__u64 model;
	__u32 count;
	__u32 reserved;
};

/**
 * struct braid_job - a request as the agent gets it
 * @cookie: to be named in COMMIT
 * @model: id
 * @tenant: id
 * @owner: uid or cgroup id
 * @enqueue_ns: when it was submitted
 * @deadline_ns: 0 for none
 * @id: the tenant's id of the request
 * @priority: after the ceiling
 * @attempt: agents that died with it
 * @first_slice: index of its first input in braid_fetch.slices
 * @n_inputs: the model's
 * @n_outputs: the model's
 * @flags: BRAID_JOB_ALONE: it may be what killed an agent, nothing else runs
 */
struct braid_job {
	__u64 cookie;
	__u64 model;
	__u64 tenant;
	__u64 owner;
	__u64 enqueue_ns;
	__u64 deadline_ns;
	__u64 id;
	__u32 priority;
	__u32 attempt;
	__u32 first_slice;
	__u32 n_inputs;
	__u32 n_outputs;
	__u32 flags;
};

#define BRAID_JOB_ALONE		(1U << 0)

/**
 * enum braid_event_type - what FETCH tells besides jobs
 * @BRAID_EVENT_BUF_NEW: a buffer came (or was there before this agent):
 *                       BUF_GET_FD, map, register
 * @BRAID_EVENT_BUF_RETIRED: its tenant freed it or died and no request uses
 *                           it: unmap, then BUF_PUT
 * @BRAID_EVENT_MODEL_DRAINED: the last request of a deleted model has ended
 * @BRAID_EVENT_POLICY: fusion_policy changed; id is the new value
 */
enum braid_event_type {
	BRAID_EVENT_BUF_NEW = 1,
	BRAID_EVENT_BUF_RETIRED = 2,
	BRAID_EVENT_MODEL_DRAINED = 3,
	BRAID_EVENT_POLICY = 4,
};

/**
 * struct braid_event - something that happened
 * @type: enum braid_event_type
 * @flags: zero
 * @id: buffer, model or value
 * @length: of a buffer
 * @tenant: of a buffer
 */
struct braid_event {
	__u32 type;
	__u32 flags;
	__u64 id;
	__u64 length;
	__u64 tenant;
};

/**
 * struct braid_fetch - BRAID_FETCH: wait for a window or an event
 * @size: sizeof(struct braid_fetch)
 * @flags: BRAID_FETCH_NONBLOCK
 * @wants: in, struct braid_want; only these models are handed out, and of
 *         each at most so many. May be empty: events only
 * @jobs: out, struct braid_job
 * @slices: out, struct braid_slice, by job: inputs, then outputs
 * @events: out, struct braid_event, to be heeded before the jobs: they may need
 *          a buffer that is new; what does not fit comes next time
 * @window: out, id of the window, 0 if there are only events
 * @generation: out
 * @reason: out, enum braid_close_reason
 * @fusion_policy: out, enum braid_fusion_policy in force
 * @queued: out, requests that still wait in the queue, of whatever model
 *
 * Blocks until there is a job or an event. Jobs that do not fit @jobs or
 * @slices, or whose new buffers do not fit @events, stay queued. A second
 * FETCH replaces the first, which then fails with ECANCELED (this is how an
 * agent names more lanes as they become free). With NONBLOCK: EAGAIN when
 * there is nothing. On the device poll() wakes when the wants of the last
 * FETCH with NONBLOCK could be served, whatever came of it; so it need not be
 * repeated before, unless more can be taken. EINVAL: no room for an event, or
 * for a single job of a wanted model. ENODEV: not READY.
 */
struct braid_fetch {
	__u32 size;
	__u32 flags;
	struct braid_array wants;
	struct braid_array jobs;
	struct braid_array slices;
	struct braid_array events;
	__u64 window;
	__u64 generation;
	__u32 reason;
	__u32 fusion_policy;
	__u64 queued;
};

#define BRAID_FETCH_NONBLOCK	(1U << 0)

/**
 * struct braid_result - the end of one job
 * @cookie: the job's
 * @device_ns: its part of the device's time
 * @status: 0 or a negative errno for the tenant
 * @merge_degree: requests that ran as one
 * @fuse_degree: groups that ran side by side
 * @result: out, 0 or why this element was not taken: -ENOENT no such cookie
 *          (unknown, or committed already), -EINVAL positive status
 */
struct braid_result {
	__u64 cookie;
	__u64 device_ns;
	__s32 status;
	__u32 merge_degree;
	__u32 fuse_degree;
	__s32 result;
};

/**
 * struct braid_commit - BRAID_COMMIT: jobs have ended
 * @size: sizeof(struct braid_commit)
 * @flags: BRAID_QUIET, or zero
 * @generation: READY's
 * @results: in and out, struct braid_result, any subset in any order, at most
 *           BRAID_MAX_BATCH
 * @committed: out, how many were taken
 * @reserved: must be zero
 *
 * Outputs must be in the buffers before. ESTALE: earlier generation, nothing
 * was taken. When the command fails, no element is written and count is 0. An
 * element that is refused does not stop the others; the command
 * itself then still succeeds.
 */
struct braid_commit {
	__u32 size;
	__u32 flags;
	__u64 generation;
	struct braid_array results;
	__u32 committed;
	__u32 reserved;
};

/**
 * struct braid_buf_get_fd - BRAID_BUF_GET_FD: a buffer for the agent to map
 * @size: sizeof(struct braid_buf_get_fd)
 * @flags: must be zero
 * @id: the buffer
 * @length: out, bytes
 * @fd: out; over the socket -1, the descriptor comes as SCM_RIGHTS
 * @reserved: must be zero
 */
struct braid_buf_get_fd {
	__u32 size;
	__u32 flags;
	__u64 id;
	__u64 length;
	__s32 fd;
	__u32 reserved;
};

/**
 * struct braid_buf_put - BRAID_BUF_PUT: the agent holds the buffer no more
 * @size: sizeof(struct braid_buf_put)
 * @flags: must be zero
 * @id: a buffer it was told is retired
 *
 * EBUSY: not retired.
 */
struct braid_buf_put {
	__u32 size;
	__u32 flags;
	__u64 id;
};

/**
 * enum braid_msg_type - kinds of socket messages
 * @BRAID_MSG_COMMAND: to the queue; struct braid_msg, the command's
 *                     structure, its arrays that are read
 * @BRAID_MSG_REPLY: from the queue; struct braid_msg, the command's
 *                   structure, its arrays that are written
 * @BRAID_MSG_COMPLETIONS: from the queue, unasked; struct braid_msg, struct
 *                         braid_completion records. What read() is on the device
 */
enum braid_msg_type {
	BRAID_MSG_COMMAND = 1,
	BRAID_MSG_REPLY = 2,
	BRAID_MSG_COMPLETIONS = 3,
};

/**
 * struct braid_msg - head of every socket message
 * @size: bytes of the command, reply or completions with their head
 * @abi: BRAID_ABI of the sender; another one than the queue's gets a reply
 *       with EPROTONOSUPPORT and the connection is closed
 * @type: enum braid_msg_type
 * @cmd: BRAID_NR_*, 0 in completions
 * @ret: REPLY: 0 or a negative errno; else zero
 * @seq: COMMAND: chosen by the sender; REPLY: the command's; COMPLETIONS:
 *       completion records sent before this message
 * @seen: to the queue: completion records taken so far; their slots in
 *        tenant_depth are free again. From the queue: zero
 *
 * The command's structure follows, then its arrays in the order of the
 * structure's fields, each starting at a multiple of 8 bytes from the start of
 * the message (gaps zero), count * stride bytes each, ptr zero. The queue
 * answers with the caller's structure size and the caller's strides.
 * An agent may put several COMMANDs into one message, each starting at a
 * multiple of 8 bytes; otherwise a message holds one, and @size is its length.
 * A REPLY with @ret < 0 carries the structure only where the command says
 * that out fields are written on failure (SUBMIT, COMMIT), else nothing.
 * A malformed message (size that is not the message's, unknown type, arrays
 * that do not fit) gets a REPLY with EBADMSG and the connection is closed.
 */
struct braid_msg {
	__u32 size;
	__u16 abi;
	__u16 type;
	__u32 cmd;
	__s32 ret;
	__u64 seq;
	__u64 seen;
};

/**
 * enum braid_ring_part - descriptors of a pair of rings
 * @BRAID_RING_MEMORY: memory to be mapped MAP_SHARED; asked for first, this is
 *                     what makes the rings
 * @BRAID_RING_BELL: an eventfd; written, it wakes the queue
 * @BRAID_RING_WAIT: an epoll descriptor: each ring of the queue's is an event
 *                   with data 0, edge-triggered. The caller may add descriptors
 *                   of its own
 */
enum braid_ring_part {
	BRAID_RING_MEMORY = 0,
	BRAID_RING_BELL = 1,
	BRAID_RING_WAIT = 2,
};

/**
 * struct braid_ring - BRAID_RING: memory that messages may go through
 * @size: sizeof(struct braid_ring)
 * @part: enum braid_ring_part
 * @up_bytes: out, of the ring to the queue; a power of two
 * @down_bytes: out, of the ring from the queue; a power of two
 * @fd: out, -1; the descriptor comes as SCM_RIGHTS
 * @reserved: must be zero
 *
 * Socket only; on the device ENOTTY. A connection may have one pair of rings,
 * and each part is given out once: EBUSY after that, ENOENT before
 * BRAID_RING_MEMORY. ENOMEM: no memory or descriptors for it; the socket alone
 * does all that rings do.
 *
 * The memory starts with two struct braid_ring_head, first that of the ring
 * to the queue (up), then the other's (down). The up ring's bytes are at
 * BRAID_RING_DATA, the down ring's follow them. What the rings carry are
 * messages as the socket carries them, but none with a descriptor:
 *
 * - up: what otherwise is sent. Before the queue takes a message from the
 *   socket it takes what the ring held when it looked, so a message on the
 *   ring is never overtaken by a later one on the socket; the other way round
 *   it can be.
 * - down: replies to commands that came up the ring, and, once the queue has
 *   taken a message from the ring, completions.
 *
 * A ring that breaks these rules ends the connection.
 */
struct braid_ring {
	__u32 size;
	__u32 part;
	__u32 up_bytes;
	__u32 down_bytes;
	__s32 fd;
	__u32 reserved;
};

#define BRAID_RING_DATA	4096

/**
 * struct braid_ring_head - the state of a ring, in its memory
 * @head: bytes written so far, modulo 2^32; set by the writer after the bytes
 * @full: the writer waits for room: the reader that takes something after
 *        that sets it to 0 and rings
 * @cpu: where the writer last ran, plus one; 0: not told. A hint, for who
 *       thinks of spinning
 * @pad: zero
 * @tail: bytes taken so far, modulo 2^32; set by the reader
 * @pad2: zero
 * @asleep: the reader sleeps: the writer that finds it set after writing sets
 *          it to 0 and rings
 * @pad3: zero
 *
 * Between its own store and its look at what the other side stores, each side
 * has a full memory barrier: the writer between @head and @asleep and between
 * @full and @tail, the reader between @asleep and @head and between @tail and
 * @full.
 *
 * A record is __u32 bytes, __u32 zero, the message, and what is missing to a
 * multiple of 8. It is not longer than half the ring. One that does not fit
 * before the end of the ring is at its start instead, and BRAID_RING_SKIP is
 * where its size would have been.
 */
struct braid_ring_head {
	__u32 head;
	__u32 full;
	__u32 cpu;
	__u32 pad[13];
	__u32 tail;
	__u32 pad2[15];
	__u32 asleep;
	__u32 pad3[31];
};

#define BRAID_RING_SKIP	0xffffffffU

#endif
