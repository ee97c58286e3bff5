/* SPDX-License-Identifier: MIT */
/*
 * A directory of things that took long to make, compiled kernels, each in a
 * file named by the hash of what it was made from, and packed weights (image.c).
 *
 * What is read back is checked, so a file that was cut off or flipped costs
 * its making again and nothing else. Files are written aside and renamed, so
 * several processes may share a directory. It is kept below a size by
 * removing what was not used for the longest time.
 *
 * A cache that can't be used (not there, not writable, open to others) is no
 * error: it says so once and then has nothing and keeps nothing. Thread-safe:
 * the mutex protects the count of bytes and what was said.
 */
#ifndef BRAID_AGENT_CUDA_CACHE_H
#define BRAID_AGENT_CUDA_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_KEY_BYTES	32

struct cache;

/**
 * typedef cache_say - a line for people; called by any thread
 * @arg: as given
 * @text: one line, no newline
 */
typedef void (*cache_say)(void *arg, const char *text);

/**
 * struct cache_blob - something that was found; cache_release() it
 * @data: its bytes, from the page cache, page aligned
 * @bytes: how many
 */
struct cache_blob {
	const void *data;
	size_t bytes;
	void *map;
	size_t map_bytes;
};

/**
 * cache_open() - use a directory, made if it is not there
 * @dir: its path; "" or NULL: a cache that keeps nothing
 * @max_bytes: bound of its size
 * @say: for what is wrong with it
 * @arg: for @say
 *
 * Return: NULL only without memory.
 */
struct cache *cache_open(const char *dir, uint64_t max_bytes, cache_say say, void *arg);
void cache_close(struct cache *c);
/** cache_keeps() - is there a folder that can be written to? */
bool cache_keeps(const struct cache *c);

/** cache_get() - find; 0 or -ENOENT */
int cache_get(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], struct cache_blob *blob);
void cache_release(struct cache_blob *blob);

/**
 * cache_weights_get(), cache_weights_put() - the same for weights
 *
 * They have half of the bytes at most and go before kernels do. Those that would
 * drive out others that were used since cache_open() are not kept.
 */
int cache_weights_get(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], struct cache_blob *blob);
void cache_weights_put(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], const void *data,
		       size_t bytes);

/** cache_put() - keep; a failure is told and otherwise harmless */
void cache_put(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], const void *data,
	       size_t bytes);

#endif
