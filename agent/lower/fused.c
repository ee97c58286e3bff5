// SPDX-License-Identifier: MIT
/*
 * Kernels side by side in one: each has a range of blocks, its own argument
 * struct behind the ranges, and as much shared memory as the largest asks for.
 */
#include "agent/cuda/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/args.h"

#define ARGS_ALIGN	16u

/* Blocks [first[i], first[i + 1]) are part i's. */
struct ranges {
	k_u32 first[GPU_FUSE_MAX + 1];
};

static uint64_t hash(uint64_t h, const char *s)
{
	while (*s)
		h = (h ^ (uint8_t)*s++) * 0x100000001b3u;
	return h;
}

static uint32_t up(uint32_t v)
{
	return (v + ARGS_ALIGN - 1) / ARGS_ALIGN * ARGS_ALIGN;
}

/* Each declaration once: the same kernel may be two parts. */
static void declarations(FILE *f, const struct gpu_kernel *const *parts, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		bool told = false;

		for (uint32_t k = 0; k < i; k++)
			told |= !strcmp(parts[k]->decl, parts[i]->decl);
		if (!told)
			fputs(parts[i]->decl, f);
	}
}

static char *source(const struct gpu_fused *out, const struct gpu_kernel *const *parts, uint32_t n,
		    const char *name)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&text, &bytes);

	if (!f)
		return NULL;
	declarations(f, parts, n);
	fprintf(f, "struct args_%s {\n\tk_u32 first[%u];\n", name, GPU_FUSE_MAX + 1);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "\talignas(%u) struct %s a%u;\n", ARGS_ALIGN, parts[i]->args, i);
	fprintf(f, "};\nENTRY(%s, args_%s, %u,\n", name, name, out->kernel.min_ctas);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "\t%sif (tile < a.first[%u]) (%sa.a%u, tile - a.first[%u], smem));\n",
			i ? "else " : "", i + 1, parts[i]->call, i, i);
	fprintf(f, ")\n");
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

int gpu_fused_make(const struct gpu_kernel *const *parts, uint32_t n, struct gpu_fused *out)
{
	struct gpu_kernel *k = &out->kernel;
	uint64_t h = 0xcbf29ce484222325u;
	char name[64];

	memset(out, 0, sizeof(*out));
	if (n < 2 || n > GPU_FUSE_MAX)
		return -EINVAL;
	out->n = n;
	k->threads = K_THREADS;
	k->specialised = true;
	k->args_bytes = up(sizeof(struct ranges));
	for (uint32_t i = 0; i < n; i++) {
		h = hash(h, parts[i]->name);
		out->offset[i] = k->args_bytes;
		k->args_bytes = up(k->args_bytes + parts[i]->args_bytes);
		if (parts[i]->smem > k->smem)
			k->smem = parts[i]->smem;
		if (!i || parts[i]->min_ctas < k->min_ctas)
			k->min_ctas = parts[i]->min_ctas;
	}
	if (k->args_bytes > GPU_FUSE_ARGS_MAX)
		return -E2BIG;
	snprintf(name, sizeof(name), "braid_fused%u_%016llx", n, (unsigned long long)h);
	k->name = strdup(name);
	k->source = source(out, parts, n, name);
	if (!k->name || !k->source) {
		gpu_fused_free(out);
		return -ENOMEM;
	}
	return 0;
}

void gpu_fused_free(struct gpu_fused *f)
{
	free((char *)f->kernel.name);
	free((char *)f->kernel.source);
	memset(f, 0, sizeof(*f));
}

void gpu_fused_bind(const struct gpu_fused *f, const struct gpu_launch *const *parts,
		    void *args, uint32_t *grid)
{
	struct ranges r = { { 0 } };

	memset(args, 0, f->kernel.args_bytes);
	for (uint32_t i = 0; i < f->n; i++) {
		r.first[i + 1] = r.first[i] + parts[i]->grid;
		memcpy((uint8_t *)args + f->offset[i], parts[i]->args, parts[i]->args_bytes);
	}
	memcpy(args, &r, sizeof(r));
	*grid = r.first[f->n];
}
