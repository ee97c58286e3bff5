// SPDX-License-Identifier: MIT
/*
 * Figures in a file: see figures.h. Keeps nothing.
 */
#include "bpf/figures.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Who writes is root: renaming over /dev/null would go through. */
bool figures_file(const char *path)
{
	struct stat st;

	return lstat(path, &st) || S_ISREG(st.st_mode);
}

void figures_remove(const char *path)
{
	if (figures_file(path))
		unlink(path);
}

int figures_write(const char *path, json_t *o)
{
	char aside[PATH_MAX];
	struct timespec ts;
	int fd, ret = 0;

	if (!json_object_get(o, "monotonic_ns")) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		json_object_set_new(o, "monotonic_ns",
				    json_integer(ts.tv_sec * 1000000000ll + ts.tv_nsec));
	}
	if (!figures_file(path))
		return -EEXIST;
	if (snprintf(aside, sizeof(aside), "%s.new", path) >= (int)sizeof(aside))
		return -ENAMETOOLONG;
	/* The folder may be another user's: nothing that lies there is followed. */
	unlink(aside);
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (json_dumpfd(o, fd, JSON_COMPACT))
		ret = errno ? -errno : -EIO;
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret && rename(aside, path))
		ret = -errno;
	if (ret)
		unlink(aside);
	return ret;
}
