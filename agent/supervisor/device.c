// SPDX-License-Identifier: MIT
/*
 * The queue of the kernel, as far as it is the supervisor's business: is there
 * one, the agent's end of it for the next runner, knobs at the start. The
 * supervisor keeps no descriptor of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/supervisor/server.h"
#include "agent/supervisor/supervisor.h"

static void agent_path(const struct config *cfg, char *path, size_t len)
{
	snprintf(path, len, "/dev/%s-agent", cfg->device);
}

bool device_wanted(const struct config *cfg)
{
	char path[64];

	agent_path(cfg, path, sizeof(path));
	return cfg->transport == TRANSPORT_DEVICE ||
	       (cfg->transport == TRANSPORT_AUTO && !access(path, F_OK));
}

static int fail(const char *path, int err, char *why, size_t len)
{
	snprintf(why, len, "%s: %s", path, err == EBUSY ? "another agent serves there" :
		 err == ENOENT ? "not there, is the module loaded?" : strerror(err));
	return -err;
}

int device_there(const struct config *cfg, char *why, size_t len)
{
	char path[64];

	agent_path(cfg, path, sizeof(path));
	return access(path, F_OK) ? fail(path, errno, why, len) : 0;
}

int device_open(struct server *s, char *why, size_t len)
{
	char path[64];
	int fd;

	agent_path(&s->cfg, path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? fail(path, errno, why, len) : fd;
}

static int open_file(const struct server *s, const char *name, int flags, char *path, size_t len)
{
	int fd;

	snprintf(path, len, "/sys/class/braid/%s/%s", s->cfg.device, name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What the configuration sets holds from now on; what it does not, stays. */
int device_knobs(struct server *s, char *why, size_t len)
{
	for (unsigned int i = 0; i < s->cfg.n_knobs; i++) {
		const struct config_knob *k = &s->cfg.knobs[i];
		char path[128];
		int fd = open_file(s, k->name, O_WRONLY, path, sizeof(path)), err;

		if (fd < 0) {
			snprintf(why, len, "%s: %s", path, strerror(-fd));
			return fd;
		}
		err = write(fd, k->value, strlen(k->value)) < 0 ? errno : 0;
		close(fd);
		if (err) {
			snprintf(why, len, "%s: '%s': %s", path, k->value, strerror(err));
			return -err;
		}
	}
	return 0;
}

int device_number(struct server *s, const char *file, uint64_t *v)
{
	char path[128], text[32];
	ssize_t n;
	int fd = open_file(s, file, O_RDONLY, path, sizeof(path));

	if (fd < 0)
		return fd;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = 0;
	*v = strtoull(text, NULL, 10);
	return 0;
}

uint64_t device_done(struct server *s)
{
	uint64_t v = 0;

	device_number(s, "counters/done", &v);
	return v;
}
