// SPDX-License-Identifier: MIT
/*
 * Knobs of the queue by the names that the configuration file, braidctl and
 * (for the device) sysfs use.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/supervisor/server.h"

#define MAX_WORDS	8

struct knob {
	const char *name;
	const char *words[MAX_WORDS];	/* values by name, else numbers */
};

static const struct knob knobs[BQ_KNOBS] = {
	[BQ_WINDOW_MAX] = { "window_max", { NULL } },
	[BQ_WINDOW_TIMEOUT_US] = { "window_timeout_us", { NULL } },
	[BQ_WINDOW_POLICY] = { "window_policy", { "fixed", "adaptive" } },
	[BQ_FUSION_POLICY] = { "fusion_policy", { "none", "merge", "fuse", "merge+fuse",
						  "branches", "adaptive" } },
	[BQ_TENANT_DEPTH] = { "tenant_depth", { NULL } },
	[BQ_MAX_ATTEMPTS] = { "max_attempts", { NULL } },
	[BQ_SHARE_BY] = { "share_by", { "uid", "cgroup" } },
	[BQ_MAX_REQUESTS] = { "max_requests", { NULL } },
	[BQ_GRACE_MS] = { "grace_ms", { NULL } },
};

const char *knob_name(enum bq_knob knob)
{
	return knobs[knob].name;
}

const char *knob_words(enum bq_knob knob, uint32_t value, char *buf, size_t len)
{
	if (knobs[knob].words[0] && value < MAX_WORDS && knobs[knob].words[value])
		return knobs[knob].words[value];
	snprintf(buf, len, "%u", value);
	return buf;
}

static int knob_value(const struct knob *k, const char *value, uint32_t *out)
{
	unsigned long v;
	char *end;

	for (uint32_t i = 0; i < MAX_WORDS && k->words[i]; i++) {
		if (!strcmp(value, k->words[i])) {
			*out = i;
			return 0;
		}
	}
	if (k->words[0])
		return -EOPNOTSUPP;
	errno = 0;
	v = strtoul(value, &end, 10);
	if (errno || end == value || *end || *value == '-' || v > UINT32_MAX)
		return -EINVAL;
	*out = v;
	return 0;
}

int knob_set(struct server *s, const char *name, const char *value, char *why, size_t len)
{
	uint32_t v = 0;
	int ret;

	for (unsigned int i = 0; i < BQ_KNOBS; i++) {
		if (strcmp(knobs[i].name, name))
			continue;
		ret = knob_value(&knobs[i], value, &v);
		if (!ret)
			ret = bq_knob_set(&s->q, i, v);
		if (ret == -EOPNOTSUPP)
			snprintf(why, len, "%s: '%s' is not a value that backend %s has", name,
				 value, s->cfg.backend);
		else if (ret)
			snprintf(why, len, "%s: '%s' is out of range", name, value);
		return ret;
	}
	snprintf(why, len, "no knob '%s'", name);
	return -ENOENT;
}
