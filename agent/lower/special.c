// SPDX-License-Identifier: MIT
/*
 * What the makers of specialised kernels share: source text with the shape as
 * constants, biases, rows in chunks of eight channels.
 */
#include "agent/lower/lower.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 0x100000001b3u;
	return h;
}

uint32_t lower_special(struct lower *l, const struct lower_special *sp)
{
	struct gpu_kernel k = {
		.threads = K_THREADS, .smem = sp->smem, .min_ctas = sp->min_ctas, .specialised = true,
		.args_bytes = sp->args_bytes, .args = sp->args, .generic = sp->generic,
	};
	unsigned long long id;
	char *key;

	key = l->err ? NULL : lower_format(l, "%s %s %u", sp->call, sp->shape, sp->min_ctas);
	if (!key)
		return 0;
	id = hash(key);
	k.name = lower_format(l, "braid_%s_%016llx", sp->header, id);
	k.decl = lower_format(l, "#include \"%s.cuh\"\nstruct shape_%016llx {\n%s\n};\n", sp->header, id,
			      sp->shape);
	k.call = lower_format(l, "%s(shape_%016llx(), ", sp->call, id);
	k.source = lower_format(l, "%sENTRY(%s, %s, %u, (%sa, tile, smem)))\n", k.decl, k.name, k.args,
				k.min_ctas, k.call);
	return l->err ? 0 : lower_kernel(l, &k);
}

uint32_t lower_bias(struct lower *l, const float *b, int64_t n)
{
	float *to = calloc((size_t)n + 4, sizeof(*to));
	uint32_t buf;

	if (!to) {
		lower_nomem(l);
		return 0;
	}
	memcpy(to, b, (size_t)n * sizeof(*to));
	buf = lower_const(l, to, (uint64_t)(n + 4) * sizeof(*to));
	free(to);
	return buf;
}

bool lower_is_flat(const struct lower *l, const struct lower_val *v)
{
	const struct lower_buf *b = &l->bufs[v->buf];
	int64_t rows = lower_elems(v) / v->dims[v->rank - 1];

	return b->place == BUF_ARENA && (int64_t)b->bytes == rows * lower_pitch(v) * 2;
}

bool lower_is_chunked(const struct lower *l, const struct lower_val *v)
{
	return v->type == K_F16 && lower_is_flat(l, v) && lower_pitch(v) % 8 == 0 && v->off % 8 == 0 &&
	       (v->dims[v->rank - 1] % 8 == 0 || v->padded);
}

bool lower_is_small(const struct prog_tensor *t)
{
	return t->elems < INT32_MAX / (int64_t)GPU_MAX_DEGREE;
}
