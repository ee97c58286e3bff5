// SPDX-License-Identifier: MIT
/*
 * Attaching uprobes: see attach.h. Holds the little of the kernel's interface
 * that headers older than 6.6 do not have.
 */
#include "bpf/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRACE_UPROBE_MULTI	48	/* BPF_TRACE_UPROBE_MULTI */
#define UPROBE_MULTI_RETURN	1u	/* BPF_F_UPROBE_MULTI_RETURN */

/* union bpf_attr as BPF_LINK_CREATE reads it for uprobe_multi. */
struct multi_attr {
	uint32_t prog_fd;
	uint32_t target_fd;
	uint32_t attach_type;
	uint32_t flags;
	uint64_t path;
	uint64_t offsets;
	uint64_t semaphores;
	uint64_t cookies;
	uint32_t n;
	uint32_t multi_flags;
	uint32_t pid;
	uint32_t pad;
};

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static int link_create(struct multi_attr *attr)
{
	int fd = syscall(__NR_bpf, BPF_LINK_CREATE, attr, sizeof(*attr));

	return fd < 0 ? -errno : fd;
}

/* A folder is no file to probe: a kernel that can do it says EBADF. */
static bool try_multi(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = TRACE_UPROBE_MULTI);
	uint64_t offset = 0;
	struct multi_attr attr = {
		.attach_type = TRACE_UPROBE_MULTI, .path = address("/"),
		.offsets = address(&offset), .n = 1,
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", insns, 2, &opts), ret;

	if (fd < 0)
		return false;
	attr.prog_fd = fd;
	ret = link_create(&attr);
	if (ret >= 0)
		close(ret);
	close(fd);
	return ret == -EBADF;
}

bool attach_is_multi(void)
{
	static int known = -1;

	if (known < 0)
		known = !getenv("BRAID_PROBE_PERF") && try_multi();
	return known;
}

void attach_prepare(struct bpf_program *prog)
{
	if (attach_is_multi())
		bpf_program__set_expected_attach_type(prog,
						      (enum bpf_attach_type)TRACE_UPROBE_MULTI);
}

static int attach_multi(struct bpf_program *prog, const char *path,
			const struct attach_place *places, unsigned int n, bool on_return,
			struct attached_places *out)
{
	uint64_t offsets[ATTACH_MAX], semaphores[ATTACH_MAX], cookies[ATTACH_MAX];
	struct multi_attr attr = {
		.prog_fd = bpf_program__fd(prog), .attach_type = TRACE_UPROBE_MULTI,
		.path = address(path), .offsets = address(offsets),
		.cookies = address(cookies), .n = n,
		.multi_flags = on_return ? UPROBE_MULTI_RETURN : 0,
	};
	int ret;

	for (unsigned int i = 0; i < n; i++) {
		offsets[i] = places[i].offset;
		semaphores[i] = places[i].semaphore;
		cookies[i] = places[i].cookie;
		if (semaphores[i])
			attr.semaphores = address(semaphores);
	}
	ret = link_create(&attr);
	if (ret < 0)
		return ret;
	out->fd = ret;
	return 0;
}

static int attach_many(struct bpf_program *prog, const char *path,
		       const struct attach_place *places, unsigned int n, bool on_return,
		       struct attached_places *out)
{
	int ret;

	out->links = calloc(n, sizeof(*out->links));
	if (!out->links)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = places[i].cookie,
			    .ref_ctr_offset = places[i].semaphore, .retprobe = on_return);
		struct bpf_link *l = bpf_program__attach_uprobe_opts(prog, -1, path,
								     places[i].offset, &opts);

		if (!l) {
			ret = -errno;
			detach_places(out);
			return ret;
		}
		out->links[out->n++] = l;
	}
	return 0;
}

int attach_places(struct bpf_program *prog, const char *path, const struct attach_place *places,
		  unsigned int n, bool on_return, struct attached_places *out)
{
	*out = (struct attached_places){ .fd = -1 };
	if (!n)
		return 0;
	if (n > ATTACH_MAX)
		return -E2BIG;
	return attach_is_multi() ? attach_multi(prog, path, places, n, on_return, out) :
				   attach_many(prog, path, places, n, on_return, out);
}

void detach_places(struct attached_places *a)
{
	if (a->fd > 0)
		close(a->fd);
	a->fd = -1;
	while (a->n)
		bpf_link__destroy(a->links[--a->n]);
	free(a->links);
	a->links = NULL;
}
