// SPDX-License-Identifier: MIT
/*
 * The cache of kernels and weights: see cache.h.
 *
 * A file is a head of one page and the bytes. The checksum is against
 * accidents, not against people: whoever can write into the directory can
 * have the GPU run what he likes, which is why it must be the agent's own.
 */
#include "agent/cuda/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC		"braid cache 1\n\0"
#define HEAD_BYTES	4096u
#define NAME_BYTES	(2 * CACHE_KEY_BYTES + 6)	/* with a suffix of five */
#define TRIES		16	/* of names to write aside under */
#define WEIGHTS_PART	2u	/* weights have the half at most */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22	/* Linux 5.14 */
#endif

/* Weights are large and soon packed again: they go before kernels do. */
enum kind { CODE, WEIGHTS, KINDS };
static const char *const suffixes[KINDS] = { ".blob", ".pack" };
#define STALE_SECONDS	600	/* a file written aside by somebody who died */

struct head {
	char magic[16];
	uint8_t key[CACHE_KEY_BYTES];
	uint64_t bytes, sum, head_sum;
};

struct cache {
	int dir;			/* -1: keeps nothing */
	char path[PATH_MAX];
	uint64_t max_bytes, bytes[KINDS];
	struct timespec opened;
	unsigned int writes;
	bool told_corrupt, told_write, told_weights;
	cache_say say;
	void *arg;
	pthread_mutex_t lock;
};

/* Four chains, so that the multiplications overlap: some bytes a cycle. */
static uint64_t checksum(const void *data, size_t n)
{
	const uint64_t prime = 0x9e3779b97f4a7c15ull;
	uint64_t h[4] = { 1, 2, 3, 4 }, out = n;
	const uint8_t *p = data;
	uint64_t w[4];

	for (; n >= sizeof(w); n -= sizeof(w), p += sizeof(w)) {
		memcpy(w, p, sizeof(w));
		for (int i = 0; i < 4; i++) {
			h[i] = (h[i] ^ w[i]) * prime;
			h[i] ^= h[i] >> 29;
		}
	}
	memset(w, 0, sizeof(w));
	memcpy(w, p, n);
	for (int i = 0; i < 4; i++) {
		h[i] = (h[i] ^ w[i]) * prime;
		out = (out ^ h[i] ^ h[i] >> 32) * prime;
	}
	return out ^ out >> 31;
}

__attribute__((format(printf, 2, 3)))
static void tell(struct cache *c, const char *fmt, ...)
{
	char text[PATH_MAX + 256];
	va_list ap;

	if (!c->say)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->say(c->arg, text);
}

/* KINDS: it is none of ours. */
static enum kind kind_of(const char *name)
{
	enum kind k = CODE;

	while (k < KINDS && (strlen(name) != NAME_BYTES - 1 ||
			     strcmp(name + 2 * CACHE_KEY_BYTES, suffixes[k])))
		k++;
	return k;
}

static void name_of(enum kind kind, const uint8_t *key, char name[NAME_BYTES])
{
	for (int i = 0; i < CACHE_KEY_BYTES; i++)
		snprintf(name + 2 * i, 3, "%02x", key[i]);
	strcpy(name + 2 * CACHE_KEY_BYTES, suffixes[kind]);
}

/* A walk over the files; a copy of the descriptor, as closedir() closes it. */
static DIR *walk(const struct cache *c)
{
	int fd = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* What is in the directory: bytes of each kind, weights of them that are in use, the oldest. */
struct counted {
	uint64_t bytes[KINDS], used;
	struct timespec when[KINDS];
	char oldest[KINDS][NAME_BYTES];
};

/* Leftovers of writers that died are removed. */
static void count(const struct cache *c, struct counted *n)
{
	struct timespec now;
	struct dirent *e;
	struct stat st;
	enum kind k;
	DIR *d = walk(c);

	memset(n, 0, sizeof(*n));
	clock_gettime(CLOCK_REALTIME, &now);
	while (d && (e = readdir(d))) {
		if (fstatat(c->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		if (!strncmp(e->d_name, "new-", 4) && now.tv_sec - st.st_mtime > STALE_SECONDS)
			unlinkat(c->dir, e->d_name, 0);
		k = kind_of(e->d_name);
		if (k == KINDS)
			continue;
		n->bytes[k] += st.st_size;
		if (k == WEIGHTS && !is_before(&st.st_mtim, &c->opened))
			n->used += st.st_size;
		if (!n->oldest[k][0] || is_before(&st.st_mtim, &n->when[k])) {
			n->when[k] = st.st_mtim;
			strcpy(n->oldest[k], e->d_name);
		}
	}
	if (d)
		closedir(d);
}

static bool too_large(const struct cache *c, const uint64_t *bytes, enum kind kind)
{
	if (bytes[CODE] + bytes[WEIGHTS] > c->max_bytes)
		return kind == WEIGHTS ? bytes[WEIGHTS] : true;
	return kind == WEIGHTS && bytes[WEIGHTS] > c->max_bytes / WEIGHTS_PART;
}

/* Under the lock. The new file is the youngest, so it is the last to go. */
static void trim(struct cache *c)
{
	struct counted n;

	for (enum kind k = WEIGHTS + 1; k-- > CODE;) {
		while (too_large(c, c->bytes, k)) {
			count(c, &n);
			memcpy(c->bytes, n.bytes, sizeof(c->bytes));
			if (!too_large(c, c->bytes, k))
				break;
			if (!n.oldest[k][0] || unlinkat(c->dir, n.oldest[k], 0))
				return;
		}
	}
}

/* Why a directory can't be trusted with code, or NULL. */
static const char *distrust(const struct stat *st)
{
	if (st->st_uid != geteuid())
		return "it belongs to somebody else";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "others may write into it";
	return NULL;
}

static void open_dir(struct cache *c, const char *dir)
{
	struct counted n;
	const char *why;
	struct stat st;

	if (mkdir(dir, 0755) && errno != EEXIST) {
		tell(c, "no kernel cache: %s can't be made: %s", dir, strerror(errno));
		return;
	}
	c->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir < 0 || fstat(c->dir, &st)) {
		tell(c, "no kernel cache: %s can't be opened: %s", dir, strerror(errno));
		goto none;
	}
	why = distrust(&st);
	if (why) {
		tell(c, "no kernel cache: %s is not used, %s", dir, why);
		goto none;
	}
	count(c, &n);
	memcpy(c->bytes, n.bytes, sizeof(c->bytes));
	trim(c);
	return;
none:
	if (c->dir >= 0)
		close(c->dir);
	c->dir = -1;
}

struct cache *cache_open(const char *dir, uint64_t max_bytes, cache_say say, void *arg)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->dir = -1;
	c->max_bytes = max_bytes;
	c->say = say;
	c->arg = arg;
	pthread_mutex_init(&c->lock, NULL);
	/* Times of files may be a tick behind. */
	clock_gettime(CLOCK_REALTIME, &c->opened);
	c->opened.tv_sec--;
	snprintf(c->path, sizeof(c->path), "%s", dir ? dir : "");
	if (*c->path)
		open_dir(c, c->path);
	return c;
}

bool cache_keeps(const struct cache *c)
{
	return c && c->dir >= 0 && !faccessat(c->dir, ".", W_OK, AT_EACCESS);
}

void cache_close(struct cache *c)
{
	if (!c)
		return;
	if (c->dir >= 0)
		close(c->dir);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static bool head_is_good(const struct head *h, const uint8_t *key, uint64_t file_bytes)
{
	return !memcmp(h->magic, MAGIC, sizeof(h->magic)) &&
	       h->head_sum == checksum(h, offsetof(struct head, head_sum)) &&
	       !memcmp(h->key, key, CACHE_KEY_BYTES) && h->bytes == file_bytes - HEAD_BYTES;
}

static bool is_good(const struct cache_blob *b, const uint8_t *key)
{
	const struct head *h = b->map;

	return b->map_bytes > HEAD_BYTES && head_is_good(h, key, b->map_bytes) &&
	       checksum((const uint8_t *)b->map + HEAD_BYTES, h->bytes) == h->sum;
}

/* A mapping whose file can't be read would be the end of who touches it. */
static bool readable(void *map, size_t bytes)
{
	return !madvise(map, bytes, MADV_POPULATE_READ) || errno == EINVAL;
}

static int get(struct cache *c, enum kind kind, const uint8_t key[CACHE_KEY_BYTES],
	       struct cache_blob *blob)
{
	const struct timespec touch[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_NOW } };
	char name[NAME_BYTES];
	struct stat st;
	int fd;

	memset(blob, 0, sizeof(*blob));
	if (c->dir < 0)
		return -ENOENT;
	name_of(kind, key, name);
	fd = openat(c->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -ENOENT;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0)
		goto bad;
	blob->map_bytes = st.st_size;
	blob->map = mmap(NULL, blob->map_bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (blob->map == MAP_FAILED) {
		close(fd);
		memset(blob, 0, sizeof(*blob));
		return -ENOENT;
	}
	if (!readable(blob->map, blob->map_bytes) || !is_good(blob, key)) {
		munmap(blob->map, blob->map_bytes);
		goto bad;
	}
	/* A read-only directory serves too; then nothing is ever removed either. */
	if (futimens(fd, touch))
		errno = 0;
	close(fd);
	blob->data = (const uint8_t *)blob->map + HEAD_BYTES;
	blob->bytes = blob->map_bytes - HEAD_BYTES;
	return 0;
bad:
	close(fd);
	memset(blob, 0, sizeof(*blob));
	unlinkat(c->dir, name, 0);
	pthread_mutex_lock(&c->lock);
	if (!c->told_corrupt)
		tell(c, "kernel cache: %s/%s is damaged and made again", c->path, name);
	c->told_corrupt = true;
	pthread_mutex_unlock(&c->lock);
	return -ENOENT;
}

int cache_get(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], struct cache_blob *blob)
{
	return get(c, CODE, key, blob);
}

int cache_weights_get(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], struct cache_blob *blob)
{
	return get(c, WEIGHTS, key, blob);
}

void cache_release(struct cache_blob *blob)
{
	if (blob->map)
		munmap(blob->map, blob->map_bytes);
	memset(blob, 0, sizeof(*blob));
}

static int write_all(int fd, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -EIO;
		p += done;
		n -= done;
	}
	return 0;
}

/* Others may write here whose processes have the same numbers. */
static int open_aside(const struct cache *c, unsigned int number, char *aside, size_t len)
{
	int fd = -1;

	for (unsigned int i = 0; i < TRIES && fd < 0; i++) {
		snprintf(aside, len, "new-%d-%u-%u", (int)getpid(), number, i);
		fd = openat(c->dir, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	return fd < 0 ? -errno : fd;
}

static int write_file(struct cache *c, enum kind kind, const uint8_t *key, const void *data,
		      size_t bytes, unsigned int number)
{
	char name[NAME_BYTES], aside[64];
	union {
		struct head h;
		uint8_t room[HEAD_BYTES];
	} page = { 0 };
	int fd, ret;

	memcpy(page.h.magic, MAGIC, sizeof(page.h.magic));
	memcpy(page.h.key, key, CACHE_KEY_BYTES);
	page.h.bytes = bytes;
	page.h.sum = checksum(data, bytes);
	page.h.head_sum = checksum(&page.h, offsetof(struct head, head_sum));
	name_of(kind, key, name);
	fd = open_aside(c, number, aside, sizeof(aside));
	if (fd < 0)
		return fd;
	ret = write_all(fd, &page, sizeof(page));
	if (!ret)
		ret = write_all(fd, data, bytes);
	/* Not synced: what a power cut leaves half written the checksum finds. */
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret && renameat(c->dir, aside, c->dir, name))
		ret = -errno;
	if (ret)
		unlinkat(c->dir, aside, 0);
	return ret;
}

static void put(struct cache *c, enum kind kind, const uint8_t *key, const void *data, size_t bytes)
{
	unsigned int number;
	int ret;

	if (c->dir < 0 || !bytes || bytes + HEAD_BYTES > c->max_bytes)
		return;
	pthread_mutex_lock(&c->lock);
	number = c->writes++;
	pthread_mutex_unlock(&c->lock);
	ret = write_file(c, kind, key, data, bytes, number);
	pthread_mutex_lock(&c->lock);
	if (ret && !c->told_write) {
		tell(c, "kernel cache: %s can't be written, kernels are compiled at each start: %s",
		     c->path, strerror(-ret));
		c->told_write = true;
	}
	if (!ret) {
		c->bytes[kind] += bytes + HEAD_BYTES;
		trim(c);
	}
	pthread_mutex_unlock(&c->lock);
}

void cache_put(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], const void *data,
	       size_t bytes)
{
	put(c, CODE, key, data, bytes);
}

/* Not in the place of those that were used since the start: they would be gone at the next. */
static bool have_room(struct cache *c, size_t bytes)
{
	struct counted n;
	bool room;

	count(c, &n);
	room = n.used + bytes + HEAD_BYTES <= c->max_bytes / WEIGHTS_PART;
	pthread_mutex_lock(&c->lock);
	if (!room && !c->told_weights) {
		tell(c, "%s: weights of all models do not fit into half of its %llu MiB, some are packed at each start",
		     c->path, (unsigned long long)c->max_bytes >> 20);
		c->told_weights = true;
	}
	pthread_mutex_unlock(&c->lock);
	return room;
}

void cache_weights_put(struct cache *c, const uint8_t key[CACHE_KEY_BYTES], const void *data,
		       size_t bytes)
{
	if (c->dir >= 0 && bytes && have_room(c, bytes))
		put(c, WEIGHTS, key, data, bytes);
}
