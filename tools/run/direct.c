// SPDX-License-Identifier: MIT
/*
 * One model on the CPU backend, see direct.h.
 *
 * Owns the backend, the program, and one sealed memfd in which the tensors of
 * request r lie at r * stride, inputs first, each on a cache line.
 */
#include "tools/run/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "agent/backend/backend.h"

struct direct {
	const struct backend_ops *ops;
	struct backend *be;
	struct backend_model *model;
	struct backend_buf *buf;
	struct program *prog;
	struct direct_times times;
	uint32_t max_degree, n_io;
	uint64_t *offset;	/* [n_io] within one request */
	uint64_t stride, bytes;
	struct backend_io *io;	/* [max_degree][n_io] */
	int fd;
	uint8_t *map;
};

uint64_t direct_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint64_t io_bytes(const struct program *p, uint32_t i)
{
	const struct prog_io *io = i < p->n_inputs ? &p->inputs[i] : &p->outputs[i - p->n_inputs];
	const struct prog_tensor *t = &p->tensors[io->tensor];

	return t->elems * prog_type_size(t->type);
}

static int map_buffer(struct direct *d)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	uint64_t at = 0;

	d->n_io = d->prog->n_inputs + d->prog->n_outputs;
	d->offset = calloc(d->n_io, sizeof(*d->offset));
	d->io = calloc((size_t)d->max_degree * d->n_io, sizeof(*d->io));
	if (!d->offset || !d->io)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_io; i++) {
		d->offset[i] = at;
		at += (io_bytes(d->prog, i) + PROG_ALIGN - 1) / PROG_ALIGN * PROG_ALIGN;
	}
	d->stride = at;
	d->bytes = (at * d->max_degree + page - 1) / page * page;

	d->fd = memfd_create("braid-direct", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (d->fd < 0 || ftruncate(d->fd, d->bytes) ||
	    fcntl(d->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	d->map = mmap(NULL, d->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (d->map == MAP_FAILED) {
		d->map = NULL;
		return -errno;
	}
	return d->ops->buf_map(d->be, d->fd, d->bytes, 0, &d->buf);
}

int direct_open(const char *path, const struct direct_config *cfg, struct direct **out,
		char *why, size_t len)
{
	const struct backend_config be = {
		.threads = cfg->threads, .lanes = 1, .max_degree = cfg->max_degree,
	};
	struct direct *d = calloc(1, sizeof(*d));
	uint64_t start;
	int ret;

	if (!d)
		return -ENOMEM;
	d->fd = -1;
	d->ops = &cpu_backend_ops;
	d->max_degree = cfg->max_degree;

	start = direct_now();
	ret = program_load(path, &cfg->load, &d->prog, why, len);
	if (ret)
		goto fail;
	d->times.import = direct_now() - start;
	ret = d->ops->supports(d->prog, why, len);
	if (!ret)
		ret = d->ops->open(&be, &d->be, why, len);
	if (ret)
		goto fail;
	start = direct_now();
	ret = d->ops->model_load(d->be, d->prog, NULL, &d->model, why, len);
	if (ret)
		goto fail;
	d->times.prepare = direct_now() - start;
	ret = map_buffer(d);
	if (ret) {
		snprintf(why, len, "%s: buffer of %llu bytes: %s", path,
			 (unsigned long long)d->bytes, strerror(-ret));
		goto fail;
	}
	*out = d;
	return 0;
fail:
	direct_close(d);
	return ret;
}

void direct_close(struct direct *d)
{
	if (!d)
		return;
	if (d->buf)
		d->ops->buf_unmap(d->be, d->buf, NULL);
	if (d->model)
		d->ops->model_unload(d->be, d->model);
	if (d->be)
		d->ops->close(d->be);
	if (d->map)
		munmap(d->map, d->bytes);
	if (d->fd >= 0)
		close(d->fd);
	program_free(d->prog);
	free(d->offset);
	free(d->io);
	free(d);
}

const struct program *direct_program(const struct direct *d)
{
	return d->prog;
}

struct direct_times direct_times(const struct direct *d)
{
	return d->times;
}

void *direct_input(struct direct *d, uint32_t r, uint32_t i)
{
	return d->map + r * d->stride + d->offset[i];
}

void *direct_output(struct direct *d, uint32_t r, uint32_t o)
{
	return direct_input(d, r, d->prog->n_inputs + o);
}

int direct_run(struct direct *d, uint32_t degree, const uint32_t *outputs, uint64_t *ns)
{
	struct backend_group group = { .model = d->model, .degree = degree, .io = d->io };
	struct backend_launch launch = { .groups = &group, .n_groups = 1 };
	struct backend_group *done = NULL;
	struct pollfd ready = { .fd = d->ops->event_fd(d->be), .events = POLLIN };
	uint64_t start;
	int ret;

	if (!degree || degree > d->max_degree)
		return -EINVAL;
	for (uint32_t r = 0; r < degree; r++) {
		for (uint32_t i = 0; i < d->n_io; i++) {
			uint32_t whose = i < d->prog->n_inputs || !outputs ? r : outputs[r];

			d->io[r * d->n_io + i] = (struct backend_io){
				.buf = d->buf,
				.offset = whose * d->stride + d->offset[i],
			};
		}
	}
	start = direct_now();
	ret = d->ops->launch(d->be, &launch);
	if (ret)
		return ret;
	while (!d->ops->reap(d->be, &done, 1))
		poll(&ready, 1, -1);
	if (ns)
		*ns = direct_now() - start;
	return group.status;
}
