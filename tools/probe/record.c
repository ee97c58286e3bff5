// SPDX-License-Identifier: MIT
/*
 * Events as JSON: see record.h. Printed by hand: they are numbers, many, and
 * known strings.
 */
#include "tools/probe/record.h"

#include <stdio.h>
#include <string.h>

#include "bpf/ctxsw.h"
#include "bpf/drm_switch.h"
#include "bpf/host_stall.h"
#include "bpf/queue_latency.h"

typedef unsigned long long ull;

static void queue_event(FILE *f, const struct queue_latency_event *e)
{
	switch (e->type) {
	case QUEUE_LATENCY_COMPLETE:
		fprintf(f, "{\"request\":{\"queue\":%u,\"tenant\":%llu,\"id\":%llu,\"model\":%llu,\"window\":%llu,\"enqueue_ns\":%llu,\"fetch_ns\":%llu,\"done_ns\":%llu,\"device_ns\":%llu,\"status\":%d,\"merge_degree\":%u,\"fuse_degree\":%u}}\n",
			e->queue, (ull)e->tenant, (ull)e->id, (ull)e->model, (ull)e->window,
			(ull)e->start_ns, (ull)e->fetch_ns, (ull)e->end_ns, (ull)e->device_ns,
			e->status, e->merge_degree, e->fuse_degree);
		break;
	case QUEUE_LATENCY_WINDOW:
		fprintf(f, "{\"window\":{\"queue\":%u,\"id\":%llu,\"close_ns\":%llu,\"reason\":%d,\"requests\":%u}}\n",
			e->queue, (ull)e->window, (ull)e->start_ns, e->status, e->merge_degree);
		break;
	case QUEUE_LATENCY_GROUP:
		fprintf(f, "{\"group\":{\"runner\":%u,\"window\":%llu,\"group\":%llu,\"model\":%llu,\"launch\":%u,\"merge_degree\":%u,\"fuse_degree\":%u,\"start_ns\":%llu,\"end_ns\":%llu,\"device_ns\":%llu}}\n",
			e->queue, (ull)e->window, (ull)e->id, (ull)e->model, e->launch,
			e->merge_degree, e->fuse_degree, (ull)e->start_ns, (ull)e->end_ns,
			(ull)e->device_ns);
		break;
	}
}

static void stall_event(FILE *f, const struct host_stall_event *e)
{
	static const char *const kinds[HOST_STALL_KINDS] = { "kernel", "graph", "copy", "sync",
							     "blocking copy" };
	const char *kind = e->kind < HOST_STALL_KINDS ? kinds[e->kind] : "?";

	if (e->kind < HOST_STALL_SYNC)
		fprintf(f, "{\"launch\":{\"kind\":\"%s\",\"pid\":%u,\"tid\":%u,\"ts_ns\":%llu}}\n",
			kind, e->pid, e->tid, (ull)e->ts_ns);
	else
		fprintf(f, "{\"wait\":{\"kind\":\"%s\",\"pid\":%u,\"tid\":%u,\"ts_ns\":%llu,\"wait_ns\":%llu,\"foreign_launches\":%u}}\n",
			kind, e->pid, e->tid, (ull)e->ts_ns, (ull)e->wait_ns, e->foreign);
}

/* Names of rings come from drivers: what JSON can't have as it is becomes a '?'. */
static void plain(const char *from, char *to, size_t len)
{
	size_t n = 0;

	for (; *from && n + 1 < len; from++)
		to[n++] = *from < 0x20 || *from > 0x7e || *from == '"' || *from == '\\' ? '?' :
			  *from;
	to[n] = 0;
}

static void drm_event(FILE *f, const struct drm_switch_event *e)
{
	char ring[DRM_SWITCH_NAME + 1], name[DRM_SWITCH_NAME + 1];

	memcpy(ring, e->ring, DRM_SWITCH_NAME);
	ring[DRM_SWITCH_NAME] = 0;
	plain(ring, name, sizeof(name));
	fprintf(f, "{\"job\":{\"ring\":\"%s\",\"entity\":%llu,\"client\":%llu,\"pid\":%u,\"queued_ns\":%llu,\"start_ns\":%llu,\"end_ns\":%llu,\"stall_ns\":%llu,\"switched\":%u}}\n",
		name, (ull)e->entity, (ull)e->client, e->pid, (ull)e->queued_ns,
		(ull)e->start_ns, (ull)e->end_ns, (ull)e->stall_ns, e->switched);
}

static void ctxsw_event(FILE *f, const uint8_t *bytes)
{
	struct ctxsw_record r;

	ctxsw_decode(bytes, CTXSW_V1, &r);
	fprintf(f, "{\"switch\":{\"context\":%u,\"pid\":%u,\"tag\":%u,\"gpu_ns\":%llu}}\n",
		r.context, r.pid, r.tag, (ull)r.ts_ns);
}

void record_event(void *arg, const struct probe_event *e)
{
	FILE *f = arg;

	if (!strcmp(e->probe, "queue_latency") && e->bytes >= sizeof(struct queue_latency_event))
		queue_event(f, e->data);
	else if (!strcmp(e->probe, "host_stall") && e->bytes >= sizeof(struct host_stall_event))
		stall_event(f, e->data);
	else if (!strcmp(e->probe, "drm_switch") && e->bytes >= sizeof(struct drm_switch_event))
		drm_event(f, e->data);
	else if (!strcmp(e->probe, "nvgpu_ctxsw") && e->bytes >= CTXSW_RECORD_BYTES)
		ctxsw_event(f, e->data);
}
