// SPDX-License-Identifier: MIT
/*
 * ONNX's own backend cases (nodes.h) through the CUDA backend in fp32, on a
 * real GPU: BRAID_TEST_GPU=1 says that there is one. The same request twice,
 * merged; both must give the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/backend/backend.h"
#include "agent/program/program.h"
#include "tests/cuda/nodes.h"
#include "tests/tap.h"

#define DEGREE	2
#define ALIGN	256

static const struct backend_ops *const ops = &cuda_backend_ops;
static struct backend *be;

static const struct prog_tensor *io_tensor(const struct program *p, uint32_t i)
{
	return &p->tensors[i < p->n_inputs ? p->inputs[i].tensor :
					     p->outputs[i - p->n_inputs].tensor];
}

static size_t bytes_of(const struct program *p, uint32_t i)
{
	return (size_t)io_tensor(p, i)->elems * prog_type_size(io_tensor(p, i)->type);
}

static void lost(void *arg, const char *why, bool by_launch)
{
	printf("Bail out! %s\n", why);
	fflush(stdout);
	_exit(1);
}

static int run(struct backend_model *model, struct backend_io *io)
{
	struct backend_group g = { .model = model, .degree = DEGREE, .io = io }, *done;
	struct backend_launch l = { .groups = &g, .n_groups = 1 };
	int ret = ops->launch(be, &l);

	while (!ret && !ops->reap(be, &done, 1))
		;
	return ret ? ret : g.status;
}

static int eval(const struct program *p, const void *const *in, void *const *out,
		char *why, size_t len)
{
	const struct backend_model_config cfg = { .precision = 32 };
	const uint32_t width = p->n_inputs + p->n_outputs;
	struct backend_io *io = calloc((size_t)width * DEGREE + 1, sizeof(*io));
	struct backend_model *model;
	struct backend_buf *buf;
	size_t bytes = 0;
	uint8_t *map;
	int fd, ret;

	ret = ops->model_load(be, p, &cfg, &model, why, len);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < width * DEGREE; i++) {
		io[i].offset = bytes;
		bytes += (bytes_of(p, i % width) + ALIGN) / ALIGN * ALIGN;
	}
	fd = memfd_create("node", MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, bytes) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) ||
	    ops->buf_map(be, fd, bytes, 1, &buf))
		exit(2);
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	memset(map, 0xa5, bytes);
	for (uint32_t i = 0; i < width * DEGREE; i++) {
		io[i].buf = buf;
		if (i % width < p->n_inputs)
			memcpy(map + io[i].offset, in[i % width], bytes_of(p, i % width));
	}
	ret = run(model, io);
	for (uint32_t i = p->n_inputs; i < width; i++) {
		if (memcmp(map + io[i].offset, map + io[width + i].offset, bytes_of(p, i)))
			ret = -EILSEQ;
		memcpy(out[i - p->n_inputs], map + io[i].offset, bytes_of(p, i));
	}
	ops->model_unload(be, model);
	ops->buf_unmap(be, buf, io);
	while (!ops->buf_unmapped(be))
		;
	munmap(map, bytes);
	free(io);
	return ret;
}

int main(int argc, char **argv)
{
	const struct backend_config cfg = { .lanes = 1, .max_degree = DEGREE, .polls = true,
					    .no_compiler = true, .lost = lost };
	const char *env = getenv("BRAID_TEST_GPU");
	char why[512] = "";
	int ret;

	if (!env || strcmp(env, "1"))
		tap_skip_all("needs a GPU, and BRAID_TEST_GPU=1");
	if (ops->open(&cfg, &be, why, sizeof(why))) {
		ok(false, "the CUDA backend opens: %s", why);
		return tap_done();
	}
	ret = nodes_main(argc, argv, eval, true);
	ops->close(be);
	return ret;
}
