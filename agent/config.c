// SPDX-License-Identifier: MIT
/*
 * Reading the configuration: see config.h. Keeps nothing.
 */
#include "agent/config.h"
#include "agent/affinity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ini_lines.h"
#include "agent/supervisor/metrics.h"
#include "agent/supervisor/supervisor.h"
#include "lib/spin.h"

struct reader {
	struct config *c;
	const char *path;
	char *why;
	size_t len;
	bool failed;
	struct ini_lines at;
};

void config_defaults(struct config *c)
{
	*c = (struct config){
		.device = "braid0",
		.socket = "/run/braid/braid.sock",
		.control = "/run/braid/control.sock",
		.group = "braid",
		.model_dir = "/etc/braid/models",
		.backend = "auto",
		.cache_dir = "/var/cache/braid",
		.cache_mib = 2048,
		.compile = true,
		.max_degree = 8,
		.watchdog_ms = 30000,
		.drain_ms = 10000,
		.cpu = AFFINITY_AUTO,
		.spin_us = SPIN_DEFAULT_US,
		.max_tenants = 10000,
		.byte_quota = 1ull << 30,
		.request_quota = 4096,
		.buffer_quota = 16384,
		.log_level = 6,
	};
}

static int number(const char *value, uint64_t low, uint64_t high, uint64_t *out)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(value, &end, 10);
	if (errno || end == value || *end || *value == '-' || v < low || v > high)
		return -EINVAL;
	*out = v;
	return 0;
}

static int set_uint(unsigned int *to, const char *value, unsigned int low, unsigned int high)
{
	uint64_t v;

	if (number(value, low, high, &v))
		return -EINVAL;
	*to = v;
	return 0;
}

int config_sms(struct config *c, const char *value)
{
	c->sms_given = true;
	return set_uint(&c->sms, value, 0, CONFIG_SMS);
}

static int set_string(char *to, size_t size, const char *value)
{
	if (strlen(value) >= size)
		return -EINVAL;
	strcpy(to, value);
	return 0;
}

static int set_path(char *to, size_t size, const char *value)
{
	return *value ? set_string(to, size, value) : -EINVAL;
}

static int set_level(int *to, const char *value)
{
	static const char *const names[] = { "error", "warning", "notice", "info", "debug" };

	for (int i = 0; i < 5; i++) {
		if (!strcmp(value, names[i])) {
			*to = 3 + i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_transport(enum config_transport *to, const char *value)
{
	static const char *const names[] = {
		[TRANSPORT_AUTO] = "auto",
		[TRANSPORT_DEVICE] = "device",
		[TRANSPORT_SOCKET] = "socket",
	};

	for (int i = 0; i < 3; i++) {
		if (!strcmp(value, names[i])) {
			*to = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* A name in /dev, not a path. */
static int set_device(struct config *c, const char *value)
{
	return strchr(value, '/') || *value == '.' ? -EINVAL :
	       set_path(c->device, sizeof(c->device), value);
}

static int set_cpu(int *to, const char *value)
{
	uint64_t v;

	if (!strcmp(value, "auto")) {
		*to = AFFINITY_AUTO;
	} else if (!strcmp(value, "none")) {
		*to = AFFINITY_NONE;
	} else {
		if (number(value, 0, CPU_SETSIZE - 1, &v))
			return -EINVAL;
		*to = v;
	}
	return 0;
}

/* MODEL:VALUE */
static int set_kill(struct config *c, const char *value, enum config_kill how)
{
	const char *colon = strrchr(value, ':');
	char *end;

	if (!colon || colon - value >= BRAID_NAME_MAX || colon == value)
		return -EINVAL;
	memcpy(c->kill_model, value, colon - value);
	c->kill_model[colon - value] = 0;
	c->kill_value = strtof(colon + 1, &end);
	c->kill_how = how;
	return end == colon + 1 || *end ? -EINVAL : 0;
}

/* 3: @why has the words. */
static int set_knob(struct config *c, const char *name, const char *value, char *why, size_t len)
{
	struct config_knob *k = &c->knobs[c->n_knobs];

	if (knob_check(name, value, why, len))
		return 3;
	if (c->n_knobs == CONFIG_KNOBS || strlen(name) >= sizeof(k->name) ||
	    strlen(value) >= sizeof(k->value))
		return -EINVAL;
	strcpy(k->name, name);
	strcpy(k->value, value);
	c->n_knobs++;
	return 0;
}

/* Which of the words, or -EINVAL. */
static int word(const char *value, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(value, words[i]))
			return i;
	return -EINVAL;
}

/* 1: no such key. */
static int set_braidd(struct config *c, const char *name, const char *value)
{
	uint64_t v;

	if (!strcmp(name, "transport"))
		return set_transport(&c->transport, value);
	if (!strcmp(name, "device"))
		return set_device(c, value);
	if (!strcmp(name, "socket"))
		return set_path(c->socket, sizeof(c->socket), value);
	if (!strcmp(name, "control"))
		return set_path(c->control, sizeof(c->control), value);
	if (!strcmp(name, "group"))
		return set_string(c->group, sizeof(c->group), value);
	if (!strcmp(name, "model_dir"))
		return set_path(c->model_dir, sizeof(c->model_dir), value);
	if (!strcmp(name, "log_level"))
		return set_level(&c->log_level, value);
	if (!strcmp(name, "cpu"))
		return set_cpu(&c->cpu, value);
	if (!strcmp(name, "spin_us"))
		return set_uint(&c->spin_us, value, 0, SPIN_MAX_US);
	if (!strcmp(name, "drain_ms"))
		return set_uint(&c->drain_ms, value, 0, 3600000);
	if (!strcmp(name, "max_tenants"))
		return set_uint(&c->max_tenants, value, 1, 1000000);
	if (!strcmp(name, "request_quota"))
		return set_uint(&c->request_quota, value, 1, 1u << 24);
	if (!strcmp(name, "buffer_quota"))
		return set_uint(&c->buffer_quota, value, 1, 1u << 24);
	if (!strcmp(name, "byte_quota")) {
		if (number(value, 4096, 1ull << 50, &v))
			return -EINVAL;
		c->byte_quota = v;
		return 0;
	}
	return 1;
}

/* 3: @why has the words. */
static int set_metrics(struct config *c, const char *value, char *why, size_t len)
{
	if (*value && metrics_check(value, why, len))
		return 3;
	return set_string(c->metrics, sizeof(c->metrics), value);
}

static int set_runner(struct config *c, const char *name, const char *value)
{
	static const char *const backends[] = { "auto", "cpu", "cuda", NULL };
	static const char *const precisions[] = { "auto", "fp16", "fp32", NULL };
	static const char *const spins[] = { "auto", "on", "off", NULL };
	static const char *const switches[] = { "on", "off", NULL };
	int i;

	if (!strcmp(name, "backend")) {
		i = word(value, backends);
		return i < 0 ? i : set_string(c->backend, sizeof(c->backend), value);
	}
	if (!strcmp(name, "precision")) {
		i = word(value, precisions);
		c->precision = i < 0 ? 0 : 16u * (unsigned int)i;
		return i < 0 ? i : 0;
	}
	if (!strcmp(name, "spin")) {
		i = word(value, spins);
		c->spin = i < 0 ? SPIN_AUTO : (enum config_spin)i;
		return i < 0 ? i : 0;
	}
	if (!strcmp(name, "compile")) {
		i = word(value, switches);
		c->compile = i == 0;
		return i < 0 ? i : 0;
	}
	if (!strcmp(name, "gpu"))
		return set_uint(&c->gpu, value, 0, 255);
	if (!strcmp(name, "sms"))
		return set_uint(&c->sms, value, 0, CONFIG_SMS);
	if (!strcmp(name, "cache_dir"))
		return set_string(c->cache_dir, sizeof(c->cache_dir), value);
	if (!strcmp(name, "cache_mib"))
		return set_uint(&c->cache_mib, value, 1, 1u << 24);
	if (!strcmp(name, "threads"))
		return set_uint(&c->threads, value, 0, 1024);
	if (!strcmp(name, "lanes"))
		return set_uint(&c->lanes, value, 0, 64);
	if (!strcmp(name, "max_degree"))
		return set_uint(&c->max_degree, value, 1, BRAID_MAX_BATCH);
	if (!strcmp(name, "watchdog_ms"))
		return set_uint(&c->watchdog_ms, value, 0, 3600000);
	return 1;
}

static int set_probes(struct config *c, const char *name, const char *value)
{
	static const char *const switches[] = { "on", "off", NULL };
	int i;

	if (!strcmp(name, "witness")) {
		i = word(value, switches);
		c->witness = i == 0;
		return i < 0 ? i : 0;
	}
	if (!strcmp(name, "switches"))
		return set_string(c->switches, sizeof(c->switches), value);
	if (!strcmp(name, "host_stall"))
		return set_string(c->host_stall, sizeof(c->host_stall), value);
	return 1;
}

static int set_debug(struct config *c, const char *name, const char *value)
{
	if (!strcmp(name, "kill_runner_on"))
		return set_kill(c, value, KILL_RUNNER);
	if (!strcmp(name, "hang_runner_on"))
		return set_kill(c, value, KILL_BY_HANG);
	if (!strcmp(name, "fault_gpu_on"))
		return set_kill(c, value, KILL_BY_GPU_FAULT);
	if (!strcmp(name, "hang_gpu_on"))
		return set_kill(c, value, KILL_BY_GPU_HANG);
	if (!strcmp(name, "runner"))
		return set_string(c->runner, sizeof(c->runner), value);
	return 1;
}

static int handle(void *user, const char *section, const char *name, const char *value, int line)
{
	struct reader *r = user;
	char words[160];
	int ret;

	if (r->failed)
		return 1;
	if (!name)		/* a section by itself */
		return 1;
	if (!strcmp(section, "braidd") && !strcmp(name, "metrics"))
		ret = set_metrics(r->c, value, words, sizeof(words));
	else if (!strcmp(section, "braidd"))
		ret = set_braidd(r->c, name, value);
	else if (!strcmp(section, "runner"))
		ret = set_runner(r->c, name, value);
	else if (!strcmp(section, "queue"))
		ret = set_knob(r->c, name, value, words, sizeof(words));
	else if (!strcmp(section, "probes"))
		ret = set_probes(r->c, name, value);
	else if (!strcmp(section, "debug"))
		ret = set_debug(r->c, name, value);
	else
		ret = 2;
	if (!ret)
		return 1;
	r->failed = true;
	if (ret == 3)
		snprintf(r->why, r->len, "%s:%d: %s", r->path, line, words);
	else if (ret == 2)
		snprintf(r->why, r->len, "%s:%d: unknown section [%s]", r->path, line, section);
	else if (ret == 1)
		snprintf(r->why, r->len, "%s:%d: unknown key '%s' in [%s]", r->path, line, name,
			 section);
	else
		snprintf(r->why, r->len, "%s:%d: '%s' can't be %s", r->path, line, value, name);
	return 0;
}

/* Debian's inih hands no line to its callback; the reader knows it. */
static int handle_line(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;

	return handle(r, section, name, value, r->at.line);
}

bool config_polls(const struct config *c)
{
	return c->spin == SPIN_ON ||
	       (c->spin == SPIN_AUTO && sysconf(_SC_NPROCESSORS_ONLN) >= SPIN_CPUS);
}

int config_read(struct config *c, const char *path, char *why, size_t len)
{
	struct reader r = { .c = c, .path = path, .why = why, .len = len };
	int ret;

	config_defaults(c);
	ret = ini_lines_read(&r.at, path, handle_line, &r);
	if (ret < 0) {
		snprintf(why, len, "%s: %s", path, strerror(-ret));
		return ret;
	}
	if (ret && ret == r.at.too_long)
		snprintf(why, len, "%s:%d: the line is too long", path, ret);
	else if (ret && !r.failed)
		snprintf(why, len, "%s:%d: neither [section] nor key = value", path, ret);
	return ret ? -EINVAL : 0;
}
