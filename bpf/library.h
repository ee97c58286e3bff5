/* SPDX-License-Identifier: MIT */
/*
 * Shared libraries and programs to probe: which files processes have mapped
 * under a name, and where in them functions begin.
 */
#ifndef BRAID_BPF_LIBRARY_H
#define BRAID_BPF_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LIBRARY_MAX	32u	/* files of one name at once */

/**
 * struct library_file - a file, by what the kernel knows it by
 * @path: one that leads to it now; may be /proc/PID/root/...
 * @dev: its device
 * @ino: its inode
 */
struct library_file {
	char path[256];
	dev_t dev;
	ino_t ino;
};

/**
 * library_find() - files of a name, mapped by processes or installed
 * @name: how the file's name begins, "libcuda.so"
 * @installed: paths to look at beside, NULL-terminated; may be NULL
 * @out: filled
 * @max: of @out
 *
 * Containers have files of their own, each is found once. Return: how many;
 * if there are more than @max, the others are left out.
 */
unsigned int library_find(const char *name, const char *const *installed,
			  struct library_file *out, unsigned int max);

/** library_stat() - fill in what @path is; 0 or a negative errno */
int library_stat(const char *path, struct library_file *out);

/**
 * library_symbols() - offsets of functions in a file, for uprobes
 * @path: ELF file, 64 bit
 * @names: of functions, NULL-terminated
 * @offsets: by name, 0: not there
 *
 * A function that begins with a landing pad (endbr64) and a push is given from
 * the push on: a probe there does not have to single-step the instruction, which
 * costs twenty times as much. Nothing has changed by then but the address.
 *
 * Return: how many were found, or a negative errno: no ELF file.
 */
int library_symbols(const char *path, const char *const *names, uint64_t *offsets);

/**
 * struct library_point - a static probe point
 * @name: index of its name
 * @offset: in the file
 * @semaphore: offset of its semaphore in the file, 0: none
 */
struct library_point {
	unsigned int name;
	uint64_t offset;
	uint64_t semaphore;
};

/**
 * library_points() - static probe points (USDT) of a file
 * @path: ELF file
 * @provider: whose
 * @names: wanted, NULL-terminated
 * @args: what all their arguments must look like: points that pass them
 *        differently can't be read and are left out
 * @out: filled
 * @max: of @out
 *
 * Return: how many, at most @max, or a negative errno: no ELF file.
 */
int library_points(const char *path, const char *provider, const char *const *names,
		   const char *args, struct library_point *out, unsigned int max);

#endif
