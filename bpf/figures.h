/* SPDX-License-Identifier: MIT */
/*
 * Figures in a file, for a reader that may not ask for them itself: braidd has
 * no rights, and braid-probe and braid-switch are root's.
 */
#ifndef BRAID_BPF_FIGURES_H
#define BRAID_BPF_FIGURES_H

#include <jansson.h>

#define FIGURES_EVERY	0.5	/* seconds; the reader looks as often */

/**
 * figures_write() - replace a file, so that it is whole at any time
 * @path: the file
 * @o: figures; gets "monotonic_ns" where it has none
 *
 * Return: 0 or a negative errno.
 */
int figures_write(const char *path, json_t *o);

#endif
