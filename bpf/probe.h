/* SPDX-License-Identifier: MIT */
/*
 * What the probes have in common on the CPU's side: loading, pinning, and
 * saying why something can't be.
 *
 * A probe is a BPF object with its maps. It is loaded and attached in one go
 * and lives until probe_stop(); while it is pinned, anybody with the right to
 * can look into its maps under the folder, by bpftool or by bpf(2). One thread;
 * no lock.
 */
#ifndef BRAID_BPF_PROBE_H
#define BRAID_BPF_PROBE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_link;
struct bpf_map;
struct bpf_object;
struct bpf_program;

#define PROBE_PINS	"/sys/fs/bpf/braid"

/**
 * struct probe_event - something that happened, for a trace
 * @probe: name of the probe
 * @data: its own record
 * @bytes: of @data
 */
struct probe_event {
	const char *probe;
	const void *data;
	size_t bytes;
};

/**
 * struct probe_options - for all probes
 * @pin: folder of the bpf file system, NULL: pin nothing
 * @events: also produce events
 * @event: called for each from probe_poll()
 * @arg: for @event
 * @libraries: libcuda at these paths only; NULL-terminated; NULL: find it
 * @braidd: path of braidd for USDT, NULL: find those that run
 * @tracefs: where tracefs is, NULL: find it
 * @max_entries: of each map that a process or a tenant has an entry in, 0: as compiled
 */
struct probe_options {
	const char *pin;
	bool events;
	void (*event)(void *arg, const struct probe_event *e);
	void *arg;
	const char *const *libraries;
	const char *braidd;
	const char *tracefs;
	uint32_t max_entries;
};

struct probe;

/**
 * struct probe_kind - one of the probes
 * @name: also of its folder of pins
 * @tells: what it measures, in a few words
 * @start: load and attach; 0, or a negative errno with words in @why
 * @tick: once a second: attach to what is new, forget what is gone; may be NULL
 * @figures: a JSON object
 * @stop: detach and free
 */
struct probe_kind {
	const char *name;
	const char *tells;
	int (*start)(struct probe *p, char *why, size_t len);
	void (*tick)(struct probe *p);
	json_t *(*figures)(struct probe *p);
	void (*stop)(struct probe *p);
};

#define PROBE_MAPS	8u

/**
 * struct probe - a probe that was started, or one of another process, by its pins
 * @kind: which
 * @opts: as given
 * @obj: the BPF object; set by start; NULL: another process's
 * @fds: descriptors of its maps, then
 * @ring: perf buffer of its events, NULL: none
 * @own: of the kind
 * @pinned: under @opts->pin
 * @note: "", or what limits it: attached to less than all
 * @lost: events that the kernel dropped
 */
struct probe {
	const struct probe_kind *kind;
	struct probe_options opts;
	struct bpf_object *obj;
	struct {
		const char *name;
		int fd;
	} fds[PROBE_MAPS];
	void *ring;
	void *own;
	bool pinned;
	char note[256];
	uint64_t lost;
};

extern const struct probe_kind drm_switch;
extern const struct probe_kind host_stall;
extern const struct probe_kind nvgpu_ctxsw;
extern const struct probe_kind queue_latency;

/** probe_kinds() - all of them, ended by NULL */
const struct probe_kind *const *probe_kinds(void);

/**
 * probe_start() - load, attach, pin
 * @kind: which
 * @o: how; strings and arrays must outlive the probe
 * @p: the probe on success
 * @why: words on failure
 * @len: size of @why
 *
 * Return: 0. -EPERM: privilege; -ENOENT: nothing there to attach to; -EOPNOTSUPP:
 * the kernel lacks something; -EEXIST: another one is pinned there; -ENOMEM.
 */
int probe_start(const struct probe_kind *kind, const struct probe_options *o, struct probe **p,
		char *why, size_t len);

/**
 * probe_look() - see what a probe of another process has pinned
 * @kind: which
 * @o: how; @o->pin is where
 * @p: a probe with figures, and nothing else
 *
 * Return: 0, -ENOENT: nothing is pinned there, -EPERM, -ENOMEM.
 */
int probe_look(const struct probe_kind *kind, const struct probe_options *o, struct probe **p);

/** probe_stop() - detach, unpin, free; NULL is fine */
void probe_stop(struct probe *p);

/** probe_poll() - hand events on, at most @ms waiting for the first; 0 or a negative errno */
int probe_poll(struct probe *p, int ms);

/** probe_unpin() - remove what a probe that was killed has left; 0 or a negative errno */
int probe_unpin(const char *pin);

/* For the kinds. */

/** probe_load() - load an opened object; words on failure */
int probe_load(struct probe *p, struct bpf_object *obj, char *why, size_t len);

/** probe_words() - what an errno of bpf(2) or perf_event_open(2) most likely means here */
const char *probe_words(int err);

/** probe_events() - read the map named events, when the options ask for it */
int probe_events(struct probe *p, char *why, size_t len);

/** probe_resize() - apply max_entries to a map that is not loaded yet */
void probe_resize(const struct probe *p, struct bpf_map *map);

/** probe_fd() - descriptor of a map by its name, which is a constant; -1: none */
int probe_fd(struct probe *p, const char *map);

#endif
