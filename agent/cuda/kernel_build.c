// SPDX-License-Identifier: MIT
/*
 * Names and code of kernels: see kernel_build.h. Keeps nothing.
 */
#include "agent/cuda/kernel_build.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/cuda/plan.h"
#include "agent/program/sha256.h"

#define FORMAT	"braid kernel 1"	/* and the options of kernel_compile() */

#define CROWD_PART	8u

void kernel_options(struct gpu_options *opt, int sm, uint32_t n_sms, bool fp32, bool crowd,
		    const struct gpu_tiles *tiles)
{
	*opt = (struct gpu_options){
		.mode = fp32 ? GPU_FP32 : GPU_FP16, .sm = sm, .n_sms = n_sms, .tiles = tiles,
	};
	if (!crowd)
		return;
	opt->crowd = n_sms;
	opt->n_sms = n_sms / CROWD_PART ? n_sms / CROWD_PART : 1;
}

int kernel_tiles(const char *dir, int sm, uint32_t n_sms, bool crowd, struct gpu_tiles **out, char *why,
		 size_t len)
{
	struct gpu_options opt;
	char path[PATH_MAX];
	int ret;

	*out = NULL;
	if (!dir || !*dir)
		return 0;
	kernel_options(&opt, sm, n_sms, false, crowd, NULL);
	snprintf(path, sizeof(path), "%s/" KERNEL_TILES, dir);
	ret = gpu_tiles_read(path, &opt, out);
	if (ret == -EINVAL)
		snprintf(why, len, "%s is no table of tiles; those built in serve", path);
	else if (ret)
		snprintf(why, len, "%s: %s; the tiles built in serve", path, strerror(-ret));
	return ret;
}

/*
 * What a text includes, and what that includes: a header that it does not see
 * may change without its code being made again. A name in a comment counts
 * too, which does no harm.
 */
static void include(const char *text, uint64_t *seen)
{
	static const char word[] = "#include \"";

	while ((text = strstr(text, word))) {
		size_t len;

		text += sizeof(word) - 1;
		len = strcspn(text, "\"\n");
		for (unsigned int i = 0; i < gpu_n_headers && i < 64; i++) {
			if (*seen >> i & 1 || strlen(gpu_headers[i].name) != len ||
			    memcmp(gpu_headers[i].name, text, len))
				continue;
			*seen |= 1ull << i;
			include(gpu_headers[i].text, seen);
		}
	}
}

static void add_headers(struct sha256_ctx *h, const char *source)
{
	uint64_t seen = 0;

	include(source, &seen);
	for (unsigned int i = 0; i < gpu_n_headers; i++) {
		if (i < 64 && !(seen >> i & 1))
			continue;
		sha256_add(h, gpu_headers[i].name, strlen(gpu_headers[i].name) + 1);
		sha256_add(h, gpu_headers[i].text, strlen(gpu_headers[i].text) + 1);
	}
}

void kernel_key(const struct kernel_build *b, uint8_t key[CACHE_KEY_BYTES])
{
	struct sha256_ctx h;
	char text[96];

	sha256_init(&h);
	snprintf(text, sizeof(text), FORMAT " sm_%d nvrtc %d.%d", b->sm, b->major, b->minor);
	sha256_add(&h, text, strlen(text) + 1);
	sha256_add(&h, b->source, strlen(b->source) + 1);
	add_headers(&h, b->source);
	sha256_end(&h, key);
}

int kernel_compile(const struct nvrtc_api *rt, const char *name, const char *source, int sm,
		   void **image, size_t *bytes, char *why, size_t len)
{
	const struct nvrtc_job job = {
		.name = name, .source = source, .n_headers = gpu_n_headers, .sm = sm,
		.headers = (const struct nvrtc_header *)gpu_headers,
	};

	_Static_assert(sizeof(struct nvrtc_header) == sizeof(struct gpu_header) &&
		       offsetof(struct nvrtc_header, text) == offsetof(struct gpu_header, text),
		       "one may be read as the other");
	return nvrtc_run(rt, &job, image, bytes, why, len);
}
