// SPDX-License-Identifier: MIT
/*
 * The queue in the kernel as a source: knobs are files of the device in
 * sysfs, all else comes over netlink.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/supervisor/supervisor.h"
#include "tools/braidctl/source.h"
#include "tools/braidctl/source_device.h"

static const char *const knob_names[] = {
	"window_max", "window_timeout_us", "window_policy", "fusion_policy", "tenant_depth",
	"max_requests", "max_attempts", "grace_ms", "share_by",
};

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static int fail(const char *path, int err)
{
	fprintf(stderr, "%s: %s: %s%s\n", program_invocation_short_name, path, strerror(err),
		err == EACCES ? " (this is for root)" : "");
	return -err;
}

static void path_of(const struct ctl *c, const char *name, char *path, size_t len)
{
	snprintf(path, len, "/sys/class/braid/%s/%s", c->device, name);
}

/* The first line of a file, -ENOENT without words when there is none. */
static int get(const struct ctl *c, const char *name, char *buf, size_t len)
{
	char path[128];
	ssize_t n;
	int fd;

	path_of(c, name, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	close(fd);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return 0;
}

static json_t *read_knobs(const struct ctl *c)
{
	json_t *o = json_object();
	char buf[64];

	for (size_t i = 0; i < COUNT(knob_names); i++)
		if (!get(c, knob_names[i], buf, sizeof(buf)))
			json_object_set_new(o, knob_names[i], json_string(buf));
	return o;
}

static json_t *knobs(const struct ctl *c)
{
	json_t *o = read_knobs(c);
	char path[128];

	if (json_object_size(o))
		return o;
	json_decref(o);
	path_of(c, "", path, sizeof(path));
	fail(path, ENOENT);
	return NULL;
}

/* The kernel tells no more than that; what it takes is known here as well. */
static void refused(const char *knob, const char *value)
{
	char why[192];

	if (!knob_check(knob, value, why, sizeof(why)))
		snprintf(why, sizeof(why), "%s: the kernel's queue does not take '%s'", knob, value);
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, why);
}

static json_t *knob_set(const struct ctl *c, const char *knob, const char *value)
{
	bool known = false;
	char path[128];
	ssize_t n = -1;
	int fd;

	for (size_t i = 0; i < COUNT(knob_names); i++)
		known |= !strcmp(knob, knob_names[i]);
	if (!known) {
		fprintf(stderr, "%s: no knob '%s'\n", program_invocation_short_name, knob);
		return NULL;
	}
	path_of(c, knob, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		n = write(fd, value, strlen(value));
	if (n < 0 && (errno == EINVAL || errno == EOPNOTSUPP || errno == ERANGE))
		refused(knob, value);
	else if (n < 0)
		fail(path, errno);
	if (fd >= 0)
		close(fd);
	return n < 0 ? NULL : read_knobs(c);
}

const struct source source_device = {
	.name = "device",
	.status = netlink_status,
	.models = netlink_models,
	.tenants = netlink_tenants,
	.owners = netlink_owners,
	.owner_set = netlink_owner_set,
	.knobs = knobs,
	.knob_set = knob_set,
	.monitor = netlink_monitor,
};
