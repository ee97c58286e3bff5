/* SPDX-License-Identifier: MIT */
/*
 * Figures in a file, for a reader that may not ask for them itself: braidd has
 * no rights, and braid-probe and braid-switch are root's.
 */
#ifndef BRAID_BPF_FIGURES_H
#define BRAID_BPF_FIGURES_H

#include <jansson.h>
#include <stdbool.h>

#define FIGURES_EVERY	0.5	/* seconds; the reader looks as often */

/**
 * figures_file() - may figures be written to @path, and be removed from there?
 * @path: a name that nothing has, or a regular file; a link is none
 */
bool figures_file(const char *path);

/**
 * figures_write() - replace a file, so that it is whole at any time
 * @path: the file
 * @o: figures; gets "monotonic_ns" where it has none
 *
 * Return: 0, -EEXIST if something else than a file is there, or another negative errno.
 */
int figures_write(const char *path, json_t *o);

/** figures_remove() - remove @path if it is a file */
void figures_remove(const char *path);

#endif
