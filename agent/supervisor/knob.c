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
#include "agent/supervisor/supervisor.h"

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

/* What may be said instead. */
static void choices(const struct bq *q, enum bq_knob knob, char *buf, size_t len)
{
	size_t n = 0;

	buf[0] = 0;
	for (unsigned int i = 0; i < MAX_WORDS && knobs[knob].words[i]; i++) {
		if (knob == BQ_FUSION_POLICY && !(q->fusion_mask & 1u << i))
			continue;
		n += snprintf(buf + n, n < len ? len - n : 0, "%s%s", n ? ", " : "",
			      knobs[knob].words[i]);
		if (n >= len)
			return;
	}
}

static void out_of_range(enum bq_knob knob, const char *value, char *why, size_t len)
{
	uint32_t min, max;

	bq_knob_range(knob, &min, &max);
	snprintf(why, len, "%s: '%s' is out of range: %u to %u", knobs[knob].name, value, min, max);
}

static int set(struct bq *q, const char *name, const char *value, const char *backend, char *why,
	       size_t len)
{
	char words[96];
	uint32_t v = 0;
	int ret;

	for (unsigned int i = 0; i < BQ_KNOBS; i++) {
		if (strcmp(knobs[i].name, name))
			continue;
		ret = knob_value(&knobs[i], value, &v);
		if (ret == -EOPNOTSUPP) {
			choices(q, i, words, sizeof(words));
			snprintf(why, len, "%s: '%s' is none of %s", name, value, words);
			return ret;
		}
		if (!ret)
			ret = bq_knob_set(q, i, v);
		if (ret == -EOPNOTSUPP)
			snprintf(why, len, "%s: '%s' is not a value that backend %s has", name,
				 value, backend);
		else if (ret)
			out_of_range(i, value, why, len);
		return ret;
	}
	snprintf(why, len, "no knob '%s'", name);
	return -ENOENT;
}

int knob_set(struct server *s, const char *name, const char *value, char *why, size_t len)
{
	return set(&s->q, name, value, s->cfg.backend, why, len);
}

/*
 * Which backend the runner will find is not known here; each has all policies,
 * if only as what comes closest to them.
 */
int knobs_init(struct bq *q)
{
	bq_init(q);
	q->fusion_mask = (1u << BRAID_FUSIONS) - 1;
	return bq_knob_set(q, BQ_FUSION_POLICY, BRAID_FUSION_ADAPTIVE);
}

int knob_check(const char *name, const char *value, char *why, size_t len)
{
	struct bq *q = malloc(sizeof(*q));
	int ret;

	if (!q)
		return -ENOMEM;
	knobs_init(q);
	ret = set(q, name, value, "cpu", why, len);
	bq_exit(q);
	free(q);
	return ret;
}
