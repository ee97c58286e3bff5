// SPDX-License-Identifier: MIT
/*
 * Names and code of kernels: see kernel_build.h. Keeps nothing.
 */
#include "agent/cuda/kernel_build.h"

#include <stdio.h>
#include <string.h>

#include "agent/cuda/plan.h"
#include "agent/program/sha256.h"

#define FORMAT	"braid kernel 1"	/* and the options of kernel_compile() */

void kernel_headers_digest(uint8_t digest[32])
{
	struct sha256 h;

	sha256_init(&h);
	for (unsigned int i = 0; i < gpu_n_headers; i++) {
		sha256_add(&h, gpu_headers[i].name, strlen(gpu_headers[i].name) + 1);
		sha256_add(&h, gpu_headers[i].text, strlen(gpu_headers[i].text) + 1);
	}
	sha256_end(&h, digest);
}

void kernel_key(const struct kernel_build *b, const uint8_t headers[32],
		uint8_t key[CACHE_KEY_BYTES])
{
	struct sha256 h;
	char text[96];

	sha256_init(&h);
	snprintf(text, sizeof(text), FORMAT " sm_%d nvrtc %d.%d", b->sm, b->major, b->minor);
	sha256_add(&h, text, strlen(text) + 1);
	sha256_add(&h, b->source, strlen(b->source) + 1);
	sha256_add(&h, headers, 32);
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
