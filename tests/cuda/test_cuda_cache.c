// SPDX-License-Identifier: MIT
/*
 * The cache of kernels and weights: what is kept comes back; what is damaged,
 * cut off or another's does not; a directory that can't be used is told of
 * once and does no harm; the size is bounded and the oldest goes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cuda/cache.h"
#include "tests/tap.h"

static unsigned int said;
static char last[4600];

static void say(void *arg, const char *text)
{
	said++;
	snprintf(last, sizeof(last), "%s", text);
}

static void key_of(uint8_t *key, unsigned int n)
{
	memset(key, 0, CACHE_KEY_BYTES);
	memcpy(key, &n, sizeof(n));
}

static void fill(uint8_t *p, size_t n, unsigned int seed)
{
	while (n--)
		*p++ = seed = seed * 1103515245 + 12345;
}

/* Files in the directory; the path of one of them. */
static unsigned int files(const char *dir, char *path, size_t len)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned int n = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (path)
			snprintf(path, len, "%s/%s", dir, e->d_name);
	}
	if (d)
		closedir(d);
	return n;
}

static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t v = 0;

	if (fd < 0 || pread(fd, &v, 1, at) != 1)
		exit(1);
	v ^= 0x10;
	if (pwrite(fd, &v, 1, at) != 1)
		exit(1);
	close(fd);
}

static void damage(const char *dir)
{
	static const off_t where[] = { 3, 20, 70, 4096, 4096 + 99999 };
	uint8_t key[CACHE_KEY_BYTES], *data = malloc(100000);
	char path[512];
	unsigned int missed = 0, told = said;
	struct cache_blob b;
	struct cache *c;

	fill(data, 100000, 5);
	key_of(key, 1);
	for (unsigned int i = 0; i < sizeof(where) / sizeof(where[0]) + 2; i++) {
		c = cache_open(dir, 1 << 20, say, NULL);
		cache_put(c, key, data, 100000);
		if (cache_get(c, key, &b))
			missed = 100;
		cache_release(&b);
		files(dir, path, sizeof(path));
		if (i < sizeof(where) / sizeof(where[0]))
			flip(path, where[i]);
		else if (truncate(path, i % 2 ? 0 : 5000))
			exit(1);
		missed += !cache_get(c, key, &b);
		missed += !cache_get(c, key, &b);
		cache_close(c);
	}
	is_int(missed, 0, "a file that was changed or cut off is not used");
	is_int(said - told, sizeof(where) / sizeof(where[0]) + 2, "each cache says so once");
	ok(strstr(last, "damaged"), "in words: %s", last);
	is_int(files(dir, NULL, 0), 0, "and it is removed");
	free(data);
}

static void unusable(const char *dir)
{
	uint8_t key[CACHE_KEY_BYTES], data[100] = { 1 };
	char path[512];
	struct cache_blob b;
	struct cache *c;
	unsigned int told = said;

	key_of(key, 2);
	snprintf(path, sizeof(path), "%s/no/such", dir);
	c = cache_open(path, 1 << 20, say, NULL);
	cache_put(c, key, data, sizeof(data));
	cache_put(c, key, data, sizeof(data));
	ok(cache_get(c, key, &b), "a directory that can't be made keeps nothing");
	is_int(said - told, 1, "and is told of once: %s", last);
	cache_close(c);

	if (chmod(dir, 0777))
		exit(1);
	told = said;
	c = cache_open(dir, 1 << 20, say, NULL);
	cache_put(c, key, data, sizeof(data));
	ok(cache_get(c, key, &b) && said == told + 1 && !files(dir, NULL, 0),
	   "one that others may write into is not used: %s", last);
	cache_close(c);
	if (chmod(dir, 0755))
		exit(1);

	told = said;
	c = cache_open("", 1 << 20, say, NULL);
	cache_put(c, key, data, sizeof(data));
	ok(cache_get(c, key, &b) && said == told, "no directory: nothing kept, nothing said");
	cache_close(c);
}

static void unwritable(const char *dir)
{
	uint8_t key[CACHE_KEY_BYTES], data[100] = { 1 };
	struct cache_blob b;
	struct cache *c;
	unsigned int told;

	if (!geteuid()) {
		tap_skip("a directory that can't be written", "root can write everywhere");
		return;
	}
	c = cache_open(dir, 1 << 20, say, NULL);
	if (chmod(dir, 0555))
		exit(1);
	told = said;
	key_of(key, 3);
	cache_put(c, key, data, sizeof(data));
	cache_put(c, key, data, sizeof(data));
	ok(cache_get(c, key, &b) && said == told + 1, "one that can't be written: %s", last);
	cache_close(c);
	if (chmod(dir, 0755))
		exit(1);
}

/* Ten files of 100,000 bytes in a cache of half a million: the last ones stay. */
static void bounded(const char *dir)
{
	uint8_t key[CACHE_KEY_BYTES], *data = calloc(1, 100000);
	struct cache *c = cache_open(dir, 500000, say, NULL);
	unsigned int have = 0, order = 0;
	struct cache_blob b;

	for (unsigned int i = 0; i < 10; i++) {
		key_of(key, 100 + i);
		fill(data, 100000, i);
		cache_put(c, key, data, 100000);
		usleep(2000);	/* times of files must differ */
		key_of(key, 100);
		if (!cache_get(c, key, &b)) {
			cache_release(&b);	/* used all the time, so it stays */
			usleep(2000);
		}
	}
	for (unsigned int i = 0; i < 10; i++) {
		key_of(key, 100 + i);
		if (cache_get(c, key, &b))
			continue;
		fill(data, 100000, i);
		have += b.bytes == 100000 && !memcmp(b.data, data, 100000);
		order += !i || i >= 7;
		cache_release(&b);
	}
	is_int(have, 4, "as many are kept as there is room for");
	is_int(order, 4, "the ones used last");
	fill(data, 100000, 0);
	cache_put(c, key, data, 500001);
	is_int(files(dir, NULL, 0), 4, "what is larger than the bound is not kept");
	cache_close(c);
	free(data);
}

int main(void)
{
	uint8_t key[CACHE_KEY_BYTES], data[10000], other[CACHE_KEY_BYTES];
	char dir[] = "/tmp/braid-cache-XXXXXX", path[512];
	struct cache_blob b;
	struct cache *c;

	if (!mkdtemp(dir))
		return 1;
	fill(data, sizeof(data), 1);
	key_of(key, 7);
	key_of(other, 8);
	c = cache_open(dir, 1 << 20, say, NULL);
	ok(cache_get(c, key, &b), "an empty cache has nothing");
	cache_put(c, key, data, sizeof(data));
	cache_close(c);
	c = cache_open(dir, 1 << 20, say, NULL);
	ok(!cache_get(c, key, &b) && b.bytes == sizeof(data) && !memcmp(b.data, data, b.bytes),
	   "what was kept comes back, in another life too");
	ok((uintptr_t)b.data % 4096 == 0, "on a page of its own");
	cache_release(&b);
	ok(cache_get(c, other, &b), "another key does not find it");
	files(dir, path, sizeof(path));
	cache_close(c);
	unlink(path);
	is_int(said, 0, "nothing to say so far");
	damage(dir);
	unusable(dir);
	unwritable(dir);
	bounded(dir);
	while (files(dir, path, sizeof(path)))
		unlink(path);
	rmdir(dir);
	return tap_done();
}
