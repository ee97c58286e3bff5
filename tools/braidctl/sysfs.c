// SPDX-License-Identifier: MIT
/*
 * The queue in the kernel as a source: figures and knobs are files of the
 * device in sysfs, models are what any tenant may ask for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/braid.h>

#include "tools/braidctl/source.h"
#include "tools/braidctl/source_device.h"

static const char *const knob_names[] = {
	"window_max", "window_timeout_us", "window_policy", "fusion_policy", "tenant_depth",
	"max_requests", "max_attempts", "grace_ms", "share_by",
};

static const char *const counter_names[] = {
	"submitted", "completed", "done", "failed", "expired", "cancelled", "withdrawn",
	"killed", "dropped", "requeued", "windows", "fetched", "committed", "merged", "fused",
	"merge_sum", "fuse_sum", "device_ns",
};

static const char *const close_names[] = { "full", "age", "deadline", "idle", "suspect" };

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

static void add_number(const struct ctl *c, json_t *to, const char *name, const char *file)
{
	char buf[64];

	if (!get(c, file, buf, sizeof(buf)))
		json_object_set_new(to, name, json_integer(strtoll(buf, NULL, 10)));
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
		fprintf(stderr, "%s: %s: '%s' can't be\n", program_invocation_short_name, knob,
			value);
	else if (n < 0)
		fail(path, errno);
	if (fd >= 0)
		close(fd);
	return n < 0 ? NULL : read_knobs(c);
}

/* What braidd knows of itself, and what the kernel knows of the queue. */
static json_t *status(const struct ctl *c)
{
	static const char *const now[] = { "generation", "tenants", "models", "fetched" };
	json_t *o = ctl_try(c, "status"), *counters = json_object(), *by = json_object();
	json_t *k = knobs(c);
	char file[64], buf[64];

	if (!k) {
		json_decref(o);
		json_decref(counters);
		json_decref(by);
		return NULL;
	}
	if (!o)
		o = json_object();
	json_object_set_new(o, "transport", json_string("device"));
	json_object_set_new(o, "device", json_string(c->device));
	if (!get(c, "agent_up", buf, sizeof(buf)))
		json_object_set_new(o, "agent_up", json_boolean(*buf == '1'));
	for (size_t i = 0; i < COUNT(now); i++)
		add_number(c, o, now[i], now[i]);
	add_number(c, o, "queued", "depth");	/* suspects are among them */
	for (size_t i = 0; i < COUNT(counter_names); i++) {
		snprintf(file, sizeof(file), "counters/%s", counter_names[i]);
		add_number(c, counters, counter_names[i], file);
	}
	for (size_t i = 0; i < COUNT(close_names); i++) {
		snprintf(file, sizeof(file), "counters/windows_%s", close_names[i]);
		add_number(c, by, close_names[i], file);
	}
	json_object_set_new(counters, "window_closes", by);
	json_object_set_new(o, "counters", counters);
	json_object_set_new(o, "knobs", k);
	return o;
}

/* Names come from files: what is not UTF-8 is shown as question marks. */
static json_t *text(char *s)
{
	json_t *v = json_string(s);

	if (v)
		return v;
	for (char *p = s; *p; p++)
		if (*p & 0x80)
			*p = '?';
	return json_string(s);
}

static json_t *tensors(struct braid_tensor *t, uint32_t n)
{
	json_t *list = json_array();

	for (; n--; t++) {
		json_t *dims = json_array();

		for (uint32_t k = 0; k < t->rank && k < BRAID_RANK_MAX; k++)
			json_array_append_new(dims, json_integer(t->dims[k]));
		json_array_append_new(list, json_pack("{s:o,s:i,s:o,s:I}", "name", text(t->name),
						      "type", (int)t->type, "dims", dims,
						      "bytes", (json_int_t)t->bytes));
	}
	return list;
}

static json_t *model(struct braid_model_get *m, struct braid_tensor *t)
{
	char hex[2 * BRAID_DIGEST_BYTES + 1];

	for (int i = 0; i < BRAID_DIGEST_BYTES; i++)
		sprintf(hex + 2 * i, "%02x", m->digest[i]);
	return json_pack("{s:I,s:o,s:s,s:I,s:o,s:o}", "id", (json_int_t)m->id, "name",
			 text(m->name), "digest", hex, "device_ns", (json_int_t)m->device_ns,
			 "inputs", tensors(t, m->n_inputs),
			 "outputs", tensors(t + m->n_inputs, m->n_outputs));
}

static json_t *models(const struct ctl *c)
{
	struct braid_tensor t[BRAID_MAX_TENSORS];
	struct braid_model_get m = { 0 };
	json_t *list;
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/dev/%s", c->device);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		fail(path, errno);
		return NULL;
	}
	list = json_array();
	for (;;) {
		m = (struct braid_model_get){
			.size = sizeof(m), .flags = BRAID_MODEL_GET_NEXT, .id = m.id,
			.tensors = { sizeof(t[0]), BRAID_MAX_TENSORS, (uintptr_t)t },
		};
		ret = ioctl(fd, BRAID_MODEL_GET, &m);
		if (ret || m.n_inputs > BRAID_MAX_TENSORS ||
		    m.n_outputs > BRAID_MAX_TENSORS - m.n_inputs)
			break;
		json_array_append_new(list, model(&m, t));
	}
	if (ret && errno != ENOENT)
		fail(path, errno);
	close(fd);
	return list;
}

const struct source source_device = {
	.name = "device",
	.status = status,
	.models = models,
	.tenants = netlink_tenants,
	.owners = netlink_owners,
	.owner_set = netlink_owner_set,
	.knobs = knobs,
	.knob_set = knob_set,
	.monitor = netlink_monitor,
};
