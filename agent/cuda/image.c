// SPDX-License-Identifier: MIT
/*
 * Packed weights in the cache, so that a runner that starts again does not pack
 * them again: for the largest models that took longer than all else.
 *
 * How they are packed is up to the program, the options and the code that does it,
 * so the key has the digest of the first, all of the second, and the build of this
 * executable. Plans for other tiles often pack alike: then one says that it is as
 * another. Keeps nothing itself.
 */
#include <elf.h>
#include <link.h>
#include <string.h>

#include "agent/cuda/cuda.h"
#include "agent/lower/tiles.h"
#include "agent/program/program.h"
#include "agent/program/sha256.h"

#define FORMAT	"braid weights 1"

/* The linker's name for this build; without one nothing can be kept. */
static int find_build(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct sha256_ctx *h = arg;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const uint8_t *at = (const uint8_t *)info->dlpi_addr + ph->p_vaddr, *end = at + ph->p_memsz;

		while (ph->p_type == PT_NOTE && at + sizeof(ElfW(Nhdr)) <= end) {
			const ElfW(Nhdr) *n = (const ElfW(Nhdr) *)at;
			const uint8_t *desc = at + sizeof(*n) + (n->n_namesz + 3) / 4 * 4;

			if (n->n_type == NT_GNU_BUILD_ID && n->n_descsz &&
			    n->n_namesz == sizeof(ELF_NOTE_GNU) &&
			    !memcmp(at + sizeof(*n), ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU))) {
				sha256_add(h, desc, n->n_descsz);
				return 1;
			}
			at = desc + (n->n_descsz + 3) / 4 * 4;
		}
	}
	return -1;		/* the executable comes first: do not ask libraries */
}

static void add_tiles(struct sha256_ctx *h, const struct gpu_tiles *t)
{
	uint32_t n = t ? t->n : 0;

	sha256_add(h, &n, sizeof(n));
	for (uint32_t i = 0; i < n; i++) {
		const struct tile_row *r = &t->rows[i];
		const uint32_t v[] = { r->m, r->n, r->k, r->groups, r->kind, r->choice.tile, r->choice.split };

		sha256_add(h, v, sizeof(v));
	}
}

bool image_key(const struct program *p, const struct gpu_options *opt, uint8_t key[CACHE_KEY_BYTES])
{
	static const uint8_t none[sizeof(p->digest)];
	const uint32_t v[] = { opt->mode, opt->sm, opt->n_sms, opt->crowd, opt->no_fusion,
			       opt->n_degrees };
	struct sha256_ctx h;

	if (!memcmp(p->digest, none, sizeof(none)))
		return false;	/* it came out of no file */
	sha256_init(&h);
	sha256_add(&h, FORMAT, sizeof(FORMAT));
	if (dl_iterate_phdr(find_build, &h) != 1)
		return false;
	sha256_add(&h, p->digest, sizeof(p->digest));
	sha256_add(&h, v, sizeof(v));
	sha256_add(&h, opt->degrees, opt->n_degrees * sizeof(*opt->degrees));
	add_tiles(&h, opt->tiles);
	sha256_end(&h, key);
	return true;
}

int image_get(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], uint8_t of[CACHE_KEY_BYTES],
	      struct cache_blob *blob)
{
	int ret = cache_weights_get(c, key, blob);

	memcpy(of, key, CACHE_KEY_BYTES);
	if (ret || blob->bytes != CACHE_KEY_BYTES)
		return ret;
	memcpy(of, blob->data, CACHE_KEY_BYTES);
	cache_release(blob);
	return 1;
}

void image_put(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], const struct gpu_plan *plan)
{
	/* So short a one would be taken for a key, and is packed in no time. */
	if (plan->image_bytes > CACHE_KEY_BYTES)
		cache_weights_put(c, key, plan->image, plan->image_bytes);
}
