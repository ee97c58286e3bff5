/* SPDX-License-Identifier: MIT */
/*
 * Attaching a BPF program to many places of a file at once.
 *
 * Two ways, and the kernel decides. From 6.6 there is one link for all places
 * (uprobe_multi): CAP_BPF and CAP_PERFMON are enough for it. Before, each place
 * is a perf event, and kernels since the middle of 2025 (6.1.146 among them)
 * want CAP_SYS_ADMIN for that. Debian 12's libbpf knows only the second.
 */
#ifndef BRAID_BPF_ATTACH_H
#define BRAID_BPF_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

struct bpf_link;
struct bpf_program;

#define ATTACH_MAX	128u	/* places in one call */

/**
 * struct attach_place - where
 * @offset: in the file
 * @semaphore: offset of a USDT semaphore, 0: none
 * @cookie: what bpf_get_attach_cookie() gives there
 */
struct attach_place {
	uint64_t offset;
	uint64_t semaphore;
	uint64_t cookie;
};

/**
 * struct attached_places - what attach_places() made, to be undone
 * @fd: the one link, -1: none
 * @links: the many
 * @n: of them
 */
struct attached_places {
	int fd;
	struct bpf_link **links;
	unsigned int n;
};

/** attach_prepare() - before a program is loaded: it will go to attach_places() */
void attach_prepare(struct bpf_program *prog);

/**
 * attach_places() - attach a program, in every process that maps the file
 * @prog: loaded
 * @path: of the file
 * @places: where
 * @n: at most ATTACH_MAX
 * @on_return: when the function that begins there returns
 * @out: filled; all or nothing
 *
 * Return: 0 or a negative errno.
 */
int attach_places(struct bpf_program *prog, const char *path, const struct attach_place *places,
		  unsigned int n, bool on_return, struct attached_places *out);

/** detach_places() - undo; what was never attached is fine if it is all zero */
void detach_places(struct attached_places *a);

/** attach_is_multi() - is it one link here? */
bool attach_is_multi(void);

#endif
