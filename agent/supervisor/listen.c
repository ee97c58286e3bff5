// SPDX-License-Identifier: MIT
/*
 * The sockets that braidd listens on, one braidd a name.
 *
 * A lock on NAME.lock, held as long as braidd lives, decides whose the name
 * is: two that start at the same moment can't both find that nobody listens.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/supervisor/server.h"

#define LOCK_NAME	128

static void lock_name(char *name, const char *path)
{
	snprintf(name, LOCK_NAME, "%s.lock", path);
}

/* A descriptor that holds the name, to be given to server_unlock(). */
int server_lock(const char *path, char *why, size_t len)
{
	char name[LOCK_NAME];
	struct stat mine, there;
	int fd, ret;

	lock_name(name, path);
	for (;;) {
		fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
			break;
		/* Who had it may have removed it between the two. */
		if (!fstat(fd, &mine) && !lstat(name, &there) && mine.st_ino == there.st_ino &&
		    mine.st_dev == there.st_dev)
			return fd;
		close(fd);
	}
	ret = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	if (ret == -EADDRINUSE)
		snprintf(why, len, "%s: another braidd serves there", path);
	else
		snprintf(why, len, "%s: %s", name, strerror(-ret));
	if (fd >= 0)
		close(fd);
	return ret;
}

/* The name is given up, with the socket that has it, while it is still held. */
void server_unlock(const char *path, bool listens, int lock)
{
	char name[LOCK_NAME];

	if (lock <= 0)
		return;
	if (listens)
		unlink(path);
	lock_name(name, path);
	unlink(name);
	close(lock);
}

/* Is somebody there? One whose backlog is full is. Negative: can't tell. */
static int somebody(const struct sockaddr_un *sa, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ret;

	if (fd < 0)
		return -errno;
	ret = !connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) || errno == EAGAIN;
	close(fd);
	return ret;
}

/*
 * Bind a socket whose name is locked. One that nobody listens on is a leftover
 * and is replaced; one that somebody listens on, who may not know of locks, is
 * not.
 */
int server_listen(const char *path, int type, unsigned int mode, const char *group, char *why,
		  size_t len)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = -1, ret;
	struct group *gr;
	struct stat st;

	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (!lstat(path, &st) && !S_ISSOCK(st.st_mode)) {
		snprintf(why, len, "%s: is there, and is no socket", path);
		return -EEXIST;
	}
	ret = somebody(&sa, type);
	if (ret > 0) {
		snprintf(why, len, "%s: another braidd serves there", path);
		return -EADDRINUSE;
	}
	if (!ret)
		fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		goto err;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || chmod(path, mode))
		goto err;
	if (*group) {
		gr = getgrnam(group);
		if (!gr)
			log_line(LOG_WARNING, "no such group: only root may connect",
				 "group=%s socket=%s", group, path);
		else if (chown(path, -1, gr->gr_gid))
			goto err;
	}
	if (listen(fd, 1024))
		goto err;
	return fd;

err:
	ret = ret < 0 ? ret : -errno;
	snprintf(why, len, "%s: %s", path, strerror(-ret));
	if (fd >= 0)
		close(fd);
	return ret;
}
