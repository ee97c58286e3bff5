// SPDX-License-Identifier: MIT
/*
 * Helpers: see helper.h.
 */
#include "tools/braidctl/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS	8192

static void find(const char *name, char *out, size_t len)
{
	static const char *const beside[] = { "", "../sbin/", "../bin/" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n < 0 ? 0 : n] = 0;
	slash = strrchr(self, '/');
	for (int i = 0; slash && i < 3; i++) {
		snprintf(out, len, "%.*s/%s%s", (int)(slash - self), self, beside[i], name);
		if (!access(out, X_OK))
			return;
	}
	snprintf(out, len, "%s", name);
}

int helper_start(struct helper *h, const char *const *argv)
{
	char path[PATH_MAX + 64];
	int out[2], said[2], err = 0;
	ssize_t n;

	*h = (struct helper){ .fd = -1, .words = -1 };
	find(argv[0], path, sizeof(path));
	if (pipe2(out, O_CLOEXEC))
		return -errno;
	/* Closed by exec, or told why that failed. */
	if (pipe2(said, O_CLOEXEC)) {
		err = -errno;
		close(out[0]);
		close(out[1]);
		return err;
	}
	h->words = memfd_create("words", MFD_CLOEXEC);
	fflush(NULL);
	h->pid = fork();
	if (!h->pid) {
		dup2(out[1], 1);
		dup2(h->words, 2);
		/* Ctrl-C is braidctl's: it ends us when it has read the rest. */
		setpgid(0, 0);
		execvp(path, (char *const *)argv);
		err = errno;
		if (write(said[1], &err, sizeof(err)) < 0)
			_exit(126);
		_exit(127);
	}
	close(out[1]);
	close(said[1]);
	h->fd = out[0];
	n = h->pid < 0 ? -1 : read(said[0], &err, sizeof(err));
	close(said[0]);
	if (!n)
		return 0;
	err = h->pid < 0 || n < 0 ? -errno : -err;
	helper_stop(h);
	return err;
}

/* A whole line of the buffer, if there is one. */
static json_t *take_line(struct helper *h)
{
	char *end = h->used ? memchr(h->buf, '\n', h->used) : NULL;
	json_t *o;
	size_t n;

	if (!end)
		return NULL;
	n = end - h->buf;
	o = json_loadb(h->buf, n, 0, NULL);
	h->used -= n + 1;
	memmove(h->buf, end + 1, h->used);
	return o ? o : json_null();
}

static bool more_room(struct helper *h)
{
	char *buf;

	if (h->used < h->size)
		return true;
	buf = realloc(h->buf, h->size + 65536);
	if (!buf)
		return false;
	h->buf = buf;
	h->size += 65536;
	return true;
}

json_t *helper_line(struct helper *h, int ms)
{
	struct pollfd p = { .fd = h->fd, .events = POLLIN };
	json_t *o;
	ssize_t n;

	for (;;) {
		o = take_line(h);
		if (o && !json_is_null(o))
			return o;
		if (o)
			continue;	/* words, no JSON */
		if (h->ended || !more_room(h))
			return NULL;
		n = poll(&p, 1, ms);
		if (n <= 0)
			return NULL;	/* a signal ends the wait, too */
		n = read(h->fd, h->buf + h->used, h->size - h->used);
		if (n > 0)
			h->used += n;
		else if (!n || errno != EINTR)
			h->ended = true;
	}
}

void helper_words(struct helper *h, char *buf, size_t len)
{
	char text[WORDS], *line;
	ssize_t n = h->words < 0 ? -1 : pread(h->words, text, sizeof(text) - 1, 0);

	*buf = 0;
	if (n <= 0)
		return;
	text[n] = 0;
	while (n && (text[n - 1] == '\n'))
		text[--n] = 0;
	line = strrchr(text, '\n');
	snprintf(buf, len, "%s", line ? line + 1 : text);
}

int helper_stop(struct helper *h)
{
	int status = -1;

	if (h->pid > 0) {
		kill(h->pid, SIGINT);
		waitpid(h->pid, &status, 0);
	}
	if (h->fd >= 0)
		close(h->fd);
	if (h->words >= 0)
		close(h->words);
	free(h->buf);
	*h = (struct helper){ .fd = -1, .words = -1 };
	return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
