// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/class/braid/braidN: knobs, and what can be seen; one value a file.
 * Described in Documentation/ABI/testing/sysfs-class-braid.
 */
#include <linux/device.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "kmod/braid_priv.h"
#include "kmod/compat.h"

struct knob {
	struct device_attribute attr;
	enum bq_knob knob;
	const char * const *words;	/* values by name, up to NULL; else numbers */
};

static const char * const window_words[] = {
	[BRAID_WINDOW_FIXED] = "fixed",
	[BRAID_WINDOW_ADAPTIVE] = "adaptive",
	NULL
};

static const char * const fusion_words[] = {
	[BRAID_FUSION_NONE] = "none",
	[BRAID_FUSION_MERGE] = "merge",
	[BRAID_FUSION_FUSE] = "fuse",
	[BRAID_FUSION_MERGE_FUSE] = "merge+fuse",
	[BRAID_FUSION_BRANCHES] = "branches",
	[BRAID_FUSION_ADAPTIVE] = "adaptive",
	NULL
};

static const char * const share_words[] = {
	[BQ_SHARE_UID] = "uid",
	[BQ_SHARE_CGROUP] = "cgroup",
	NULL
};

static ssize_t knob_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct knob *k = container_of(attr, struct knob, attr);
	struct braid_queue *q = dev_get_drvdata(dev);
	u32 value;

	braid_queue_lock_clean(q);
	value = q->bq.knobs[k->knob];
	braid_queue_unlock_clean(q);
	if (k->words)
		return sysfs_emit(buf, "%s\n", k->words[value]);
	return sysfs_emit(buf, "%u\n", value);
}

static int knob_parse(const struct knob *k, const char *buf, u32 *value)
{
	int i;

	if (!k->words)
		return kstrtou32(buf, 10, value);
	i = __sysfs_match_string(k->words, -1, buf);
	if (i < 0)
		return -EINVAL;
	*value = i;
	return 0;
}

/* What follows from a change is the queue's. */
static int knob_set(struct braid_queue *q, enum bq_knob knob, u32 value)
{
	int ret;

	braid_queue_lock(q);
	ret = bq_knob_set(&q->bq, knob, value);
	braid_queue_unlock(q);
	if (!ret)
		braid_tell_knob(q, knob, value);
	return ret;
}

static ssize_t knob_store(struct device *dev, struct device_attribute *attr, const char *buf,
			  size_t count)
{
	const struct knob *k = container_of(attr, struct knob, attr);
	struct braid_queue *q = dev_get_drvdata(dev);
	u32 value;
	int ret;

	ret = knob_parse(k, buf, &value);
	if (!ret)
		ret = knob_set(q, k->knob, value);
	return ret ? ret : count;
}

#define KNOB(name, nr) \
	static struct knob knob_##name = { \
		.attr = __ATTR(name, 0644, knob_show, knob_store), \
		.knob = nr, \
	}
#define WORD_KNOB(name, nr, list) \
	static struct knob knob_##name = { \
		.attr = __ATTR(name, 0644, knob_show, knob_store), \
		.knob = nr, .words = list, \
	}

KNOB(window_max, BQ_WINDOW_MAX);
KNOB(window_timeout_us, BQ_WINDOW_TIMEOUT_US);
WORD_KNOB(window_policy, BQ_WINDOW_POLICY, window_words);
WORD_KNOB(fusion_policy, BQ_FUSION_POLICY, fusion_words);
KNOB(tenant_depth, BQ_TENANT_DEPTH);
KNOB(max_attempts, BQ_MAX_ATTEMPTS);
WORD_KNOB(share_by, BQ_SHARE_BY, share_words);
KNOB(max_requests, BQ_MAX_REQUESTS);
KNOB(grace_ms, BQ_GRACE_MS);

static const struct knob *const knobs[BQ_KNOBS] = {
	[BQ_WINDOW_MAX] = &knob_window_max,
	[BQ_WINDOW_TIMEOUT_US] = &knob_window_timeout_us,
	[BQ_WINDOW_POLICY] = &knob_window_policy,
	[BQ_FUSION_POLICY] = &knob_fusion_policy,
	[BQ_TENANT_DEPTH] = &knob_tenant_depth,
	[BQ_MAX_ATTEMPTS] = &knob_max_attempts,
	[BQ_SHARE_BY] = &knob_share_by,
	[BQ_MAX_REQUESTS] = &knob_max_requests,
	[BQ_GRACE_MS] = &knob_grace_ms,
};

const char *braid_knob_name(enum bq_knob knob)
{
	return knobs[knob]->attr.attr.name;
}

const char *braid_knob_text(enum bq_knob knob, u32 value, char *buf, size_t len)
{
	if (knobs[knob]->words)
		return knobs[knob]->words[value];
	scnprintf(buf, len, "%u", value);
	return buf;
}

/* A number of struct bq, shown as it is. */
struct number {
	struct device_attribute attr;
	unsigned int offset;
	unsigned int bytes;
};

static ssize_t number_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct number *n = container_of(attr, struct number, attr);
	struct braid_queue *q = dev_get_drvdata(dev);
	const void *at = (const void *)&q->bq + n->offset;
	u64 value;

	braid_queue_lock_clean(q);
	if (n->bytes == sizeof(u64))
		value = *(const u64 *)at;
	else if (n->bytes == sizeof(u32))
		value = *(const u32 *)at;
	else
		value = *(const bool *)at;
	braid_queue_unlock_clean(q);
	return sysfs_emit(buf, "%llu\n", value);
}

#define NUMBER(name, field) \
	static struct number number_##name = { \
		.attr = __ATTR(name, 0444, number_show, NULL), \
		.offset = offsetof(struct bq, field), \
		.bytes = sizeof_field(struct bq, field), \
	}

NUMBER(generation, generation);
NUMBER(agent_up, ready);
NUMBER(fetched, fetched);
NUMBER(models, n_models);
NUMBER(tenants, n_tenants);

/* All that wait, whether in order or to run alone. */
static ssize_t depth_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct braid_queue *q = dev_get_drvdata(dev);
	u32 depth;

	braid_queue_lock_clean(q);
	depth = q->bq.queued + q->bq.suspects;
	braid_queue_unlock_clean(q);
	return sysfs_emit(buf, "%u\n", depth);
}
static DEVICE_ATTR_RO(depth);

static struct attribute *attrs[] = {
	&knob_window_max.attr.attr,
	&knob_window_timeout_us.attr.attr,
	&knob_window_policy.attr.attr,
	&knob_fusion_policy.attr.attr,
	&knob_tenant_depth.attr.attr,
	&knob_max_attempts.attr.attr,
	&knob_share_by.attr.attr,
	&knob_max_requests.attr.attr,
	&knob_grace_ms.attr.attr,
	&number_generation.attr.attr,
	&number_agent_up.attr.attr,
	&number_fetched.attr.attr,
	&number_models.attr.attr,
	&number_tenants.attr.attr,
	&dev_attr_depth.attr,
	NULL
};

static const struct attribute_group group = {
	.attrs = attrs,
};

/* The counters, in a folder of their own. */
#define COUNTER(name, field) \
	static struct number counter_##name = { \
		.attr = __ATTR(name, 0444, number_show, NULL), \
		.offset = offsetof(struct bq, count.field), \
		.bytes = sizeof(u64), \
	}

COUNTER(submitted, submitted);
COUNTER(completed, completed);
COUNTER(done, done);
COUNTER(failed, failed);
COUNTER(expired, expired);
COUNTER(cancelled, cancelled);
COUNTER(withdrawn, withdrawn);
COUNTER(killed, killed);
COUNTER(dropped, dropped);
COUNTER(requeued, requeued);
COUNTER(windows, windows);
COUNTER(windows_full, closes[BRAID_CLOSE_FULL]);
COUNTER(windows_age, closes[BRAID_CLOSE_AGE]);
COUNTER(windows_deadline, closes[BRAID_CLOSE_DEADLINE]);
COUNTER(windows_idle, closes[BRAID_CLOSE_IDLE]);
COUNTER(windows_suspect, closes[BRAID_CLOSE_SUSPECT]);
COUNTER(fetched, fetched);
COUNTER(committed, committed);
COUNTER(merged, merged);
COUNTER(fused, fused);
COUNTER(merge_sum, merge_sum);
COUNTER(fuse_sum, fuse_sum);
COUNTER(device_ns, device_ns);

static struct attribute *counter_attrs[] = {
	&counter_submitted.attr.attr,
	&counter_completed.attr.attr,
	&counter_done.attr.attr,
	&counter_failed.attr.attr,
	&counter_expired.attr.attr,
	&counter_cancelled.attr.attr,
	&counter_withdrawn.attr.attr,
	&counter_killed.attr.attr,
	&counter_dropped.attr.attr,
	&counter_requeued.attr.attr,
	&counter_windows.attr.attr,
	&counter_windows_full.attr.attr,
	&counter_windows_age.attr.attr,
	&counter_windows_deadline.attr.attr,
	&counter_windows_idle.attr.attr,
	&counter_windows_suspect.attr.attr,
	&counter_fetched.attr.attr,
	&counter_committed.attr.attr,
	&counter_merged.attr.attr,
	&counter_fused.attr.attr,
	&counter_merge_sum.attr.attr,
	&counter_fuse_sum.attr.attr,
	&counter_device_ns.attr.attr,
	NULL
};

static const struct attribute_group counter_group = {
	.name = "counters",
	.attrs = counter_attrs,
};

const struct attribute_group *braid_groups[] = {
	&group,
	&counter_group,
	NULL
};
