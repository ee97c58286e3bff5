/* SPDX-License-Identifier: MIT */
/*
 * INI files line by line, with inih. A line stands for itself: blanks before
 * it mean nothing (inih by itself would append it to the key before), and one
 * that does not fit is refused instead of being read as two.
 */
#ifndef BRAID_AGENT_INI_LINES_H
#define BRAID_AGENT_INI_LINES_H

#include <ini.h>
#include <stdio.h>

struct ini_lines {
	FILE *f;
	int line;		/* the one being read; a handler may look */
	int too_long;		/* the first of these, 0: none */
};

/**
 * ini_lines_read() - read a file
 * @s: the reader's own; needs no initialisation
 * @path: the file
 * @handle: as inih's; returns 0 for what is wrong
 * @user: its first argument
 *
 * Return: 0, the first line that is wrong, or a negative errno.
 */
int ini_lines_read(struct ini_lines *s, const char *path, ini_handler handle, void *user);

#endif
