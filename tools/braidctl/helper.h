/* SPDX-License-Identifier: MIT */
/*
 * The programs that measure (braid-probe, braid-switch), started beside braidctl
 * and read line by line: they need rights and libraries that braidctl does not.
 */
#ifndef BRAID_TOOLS_BRAIDCTL_HELPER_H
#define BRAID_TOOLS_BRAIDCTL_HELPER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * struct helper - a program that runs
 * @pid: 0: none
 * @fd: its standard output
 * @words: what it said on standard error; a file without a name
 * @buf: the beginning of a line
 * @used: of @buf
 * @size: of @buf
 * @ended: no more lines come
 */
struct helper {
	pid_t pid;
	int fd;
	int words;
	char *buf;
	size_t used;
	size_t size;
	bool ended;
};

/**
 * helper_start() - run a program of this project
 * @h: filled
 * @argv: its name, without a folder, and arguments, ended by NULL
 *
 * It is looked for beside this program, then in ../sbin and ../bin, then in PATH.
 * Return: 0, -ENOENT: not installed, or another negative errno.
 */
int helper_start(struct helper *h, const char *const *argv);

/**
 * helper_line() - the next line that is JSON
 * @h: helper
 * @ms: wait so long, -1: until one comes
 *
 * Return: the object, NULL when none came in time or no more come.
 */
json_t *helper_line(struct helper *h, int ms);

/** helper_words() - the last line that it said on standard error, "" for none */
void helper_words(struct helper *h, char *buf, size_t len);

/** helper_stop() - end it (SIGINT), and free; its exit status, -1: a signal or none */
int helper_stop(struct helper *h);

#endif
