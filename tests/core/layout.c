// SPDX-License-Identifier: MIT
/*
 * The interface's layout, pinned: size of every structure and offset of every
 * field, equal for 64-bit and 32-bit callers. Compiled, never run, with
 * -Wpadded so that hidden padding is an error. tests/core/compile.t compiles it.
 */
#include <linux/braid.h>

#define SIZE(type, size) \
	_Static_assert(sizeof(struct type) == (size) && _Alignof(struct type) <= 8, \
		       "size of " #type)
#define AT(type, field, offset) \
	_Static_assert(__builtin_offsetof(struct type, field) == (offset), \
		       #type "." #field)

SIZE(braid_array, 16);
AT(braid_array, stride, 0);
AT(braid_array, count, 4);
AT(braid_array, ptr, 8);

SIZE(braid_get_info, 80);
AT(braid_get_info, size, 0);
AT(braid_get_info, flags, 4);
AT(braid_get_info, abi, 8);
AT(braid_get_info, max_message, 12);
AT(braid_get_info, tenant, 16);
AT(braid_get_info, owner, 24);
AT(braid_get_info, generation, 32);
AT(braid_get_info, agent_up, 40);
AT(braid_get_info, tenant_depth, 44);
AT(braid_get_info, outstanding, 48);
AT(braid_get_info, priority_ceiling, 52);
AT(braid_get_info, byte_quota, 56);
AT(braid_get_info, bytes_used, 64);
AT(braid_get_info, models, 72);
AT(braid_get_info, reserved, 76);

SIZE(braid_tensor, 208);
AT(braid_tensor, name, 0);
AT(braid_tensor, type, 128);
AT(braid_tensor, rank, 132);
AT(braid_tensor, dims, 136);
AT(braid_tensor, bytes, 200);

SIZE(braid_model_get, 144);
AT(braid_model_get, size, 0);
AT(braid_model_get, flags, 4);
AT(braid_model_get, id, 8);
AT(braid_model_get, name, 16);
AT(braid_model_get, digest, 80);
AT(braid_model_get, device_ns, 112);
AT(braid_model_get, n_inputs, 120);
AT(braid_model_get, n_outputs, 124);
AT(braid_model_get, tensors, 128);

SIZE(braid_buf_alloc, 32);
AT(braid_buf_alloc, size, 0);
AT(braid_buf_alloc, flags, 4);
AT(braid_buf_alloc, length, 8);
AT(braid_buf_alloc, id, 16);
AT(braid_buf_alloc, fd, 24);
AT(braid_buf_alloc, reserved, 28);

SIZE(braid_buf_free, 16);
AT(braid_buf_free, size, 0);
AT(braid_buf_free, flags, 4);
AT(braid_buf_free, id, 8);

SIZE(braid_slice, 24);
AT(braid_slice, buffer, 0);
AT(braid_slice, offset, 8);
AT(braid_slice, length, 16);

SIZE(braid_request, 48);
AT(braid_request, user_data, 0);
AT(braid_request, model, 8);
AT(braid_request, priority, 16);
AT(braid_request, flags, 20);
AT(braid_request, deadline_ns, 24);
AT(braid_request, first_slice, 32);
AT(braid_request, n_inputs, 36);
AT(braid_request, n_outputs, 40);
AT(braid_request, reserved, 44);

SIZE(braid_submit, 56);
AT(braid_submit, size, 0);
AT(braid_submit, flags, 4);
AT(braid_submit, requests, 8);
AT(braid_submit, slices, 24);
AT(braid_submit, first_id, 40);
AT(braid_submit, accepted, 48);
AT(braid_submit, error, 52);

SIZE(braid_cancel, 24);
AT(braid_cancel, size, 0);
AT(braid_cancel, flags, 4);
AT(braid_cancel, id, 8);
AT(braid_cancel, state, 16);
AT(braid_cancel, reserved, 20);

SIZE(braid_completion, 80);
AT(braid_completion, size, 0);
AT(braid_completion, status, 4);
AT(braid_completion, user_data, 8);
AT(braid_completion, id, 16);
AT(braid_completion, window, 24);
AT(braid_completion, enqueue_ns, 32);
AT(braid_completion, fetch_ns, 40);
AT(braid_completion, done_ns, 48);
AT(braid_completion, device_ns, 56);
AT(braid_completion, attempt, 64);
AT(braid_completion, merge_degree, 68);
AT(braid_completion, fuse_degree, 72);
AT(braid_completion, reserved, 76);

SIZE(braid_model_put, 144);
AT(braid_model_put, size, 0);
AT(braid_model_put, flags, 4);
AT(braid_model_put, id, 8);
AT(braid_model_put, name, 16);
AT(braid_model_put, digest, 80);
AT(braid_model_put, device_ns, 112);
AT(braid_model_put, n_inputs, 120);
AT(braid_model_put, n_outputs, 124);
AT(braid_model_put, tensors, 128);

SIZE(braid_model_del, 16);
AT(braid_model_del, size, 0);
AT(braid_model_del, flags, 4);
AT(braid_model_del, id, 8);

SIZE(braid_ready, 16);
AT(braid_ready, size, 0);
AT(braid_ready, flags, 4);
AT(braid_ready, generation, 8);

SIZE(braid_want, 16);
AT(braid_want, model, 0);
AT(braid_want, count, 8);
AT(braid_want, reserved, 12);

SIZE(braid_job, 80);
AT(braid_job, cookie, 0);
AT(braid_job, model, 8);
AT(braid_job, tenant, 16);
AT(braid_job, owner, 24);
AT(braid_job, enqueue_ns, 32);
AT(braid_job, deadline_ns, 40);
AT(braid_job, id, 48);
AT(braid_job, priority, 56);
AT(braid_job, attempt, 60);
AT(braid_job, first_slice, 64);
AT(braid_job, n_inputs, 68);
AT(braid_job, n_outputs, 72);
AT(braid_job, flags, 76);

SIZE(braid_event, 32);
AT(braid_event, type, 0);
AT(braid_event, flags, 4);
AT(braid_event, id, 8);
AT(braid_event, length, 16);
AT(braid_event, tenant, 24);

SIZE(braid_fetch, 104);
AT(braid_fetch, size, 0);
AT(braid_fetch, flags, 4);
AT(braid_fetch, wants, 8);
AT(braid_fetch, jobs, 24);
AT(braid_fetch, slices, 40);
AT(braid_fetch, events, 56);
AT(braid_fetch, window, 72);
AT(braid_fetch, generation, 80);
AT(braid_fetch, reason, 88);
AT(braid_fetch, fusion_policy, 92);
AT(braid_fetch, queued, 96);

SIZE(braid_result, 32);
AT(braid_result, cookie, 0);
AT(braid_result, device_ns, 8);
AT(braid_result, status, 16);
AT(braid_result, merge_degree, 20);
AT(braid_result, fuse_degree, 24);
AT(braid_result, result, 28);

SIZE(braid_commit, 40);
AT(braid_commit, size, 0);
AT(braid_commit, flags, 4);
AT(braid_commit, generation, 8);
AT(braid_commit, results, 16);
AT(braid_commit, committed, 32);
AT(braid_commit, reserved, 36);

SIZE(braid_buf_get_fd, 32);
AT(braid_buf_get_fd, size, 0);
AT(braid_buf_get_fd, flags, 4);
AT(braid_buf_get_fd, id, 8);
AT(braid_buf_get_fd, length, 16);
AT(braid_buf_get_fd, fd, 24);
AT(braid_buf_get_fd, reserved, 28);

SIZE(braid_buf_put, 16);
AT(braid_buf_put, size, 0);
AT(braid_buf_put, flags, 4);
AT(braid_buf_put, id, 8);

SIZE(braid_ring, 24);
AT(braid_ring, size, 0);
AT(braid_ring, part, 4);
AT(braid_ring, up_bytes, 8);
AT(braid_ring, down_bytes, 12);
AT(braid_ring, fd, 16);
AT(braid_ring, reserved, 20);

SIZE(braid_ring_head, 256);
AT(braid_ring_head, head, 0);
AT(braid_ring_head, full, 4);
AT(braid_ring_head, cpu, 8);
AT(braid_ring_head, tail, 64);
AT(braid_ring_head, asleep, 128);

SIZE(braid_msg, 32);
AT(braid_msg, size, 0);
AT(braid_msg, abi, 4);
AT(braid_msg, type, 6);
AT(braid_msg, cmd, 8);
AT(braid_msg, ret, 12);
AT(braid_msg, seq, 16);
AT(braid_msg, seen, 24);

/* Numbers that programs are compiled with. */
#define IS(name, value) _Static_assert((name) == (value), #name)

IS(BRAID_GET_INFO, 0xbc00);
IS(BRAID_MODEL_GET, 0xbc01);
IS(BRAID_BUF_ALLOC, 0xbc02);
IS(BRAID_BUF_FREE, 0xbc03);
IS(BRAID_SUBMIT, 0xbc04);
IS(BRAID_CANCEL, 0xbc05);
IS(BRAID_RING, 0xbc20);
IS(BRAID_MODEL_PUT, 0xbc40);
IS(BRAID_MODEL_DEL, 0xbc41);
IS(BRAID_READY, 0xbc42);
IS(BRAID_FETCH, 0xbc43);
IS(BRAID_COMMIT, 0xbc44);
IS(BRAID_BUF_GET_FD, 0xbc45);
IS(BRAID_BUF_PUT, 0xbc46);
IS(BRAID_PRIORITY_LOW, 0);
IS(BRAID_PRIORITY_REALTIME, 3);
IS(BRAID_FUSION_NONE, 0);
IS(BRAID_FUSION_ADAPTIVE, 5);
IS(BRAID_WINDOW_ADAPTIVE, 1);
IS(BRAID_CLOSE_SUSPECT, 5);
IS(BRAID_EVENT_BUF_NEW, 1);
IS(BRAID_EVENT_POLICY, 4);
IS(BRAID_MSG_COMPLETIONS, 3);
IS(BRAID_RING_WAIT, 2);
IS(BRAID_RING_DATA, 4096);
