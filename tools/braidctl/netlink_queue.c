// SPDX-License-Identifier: MIT
/*
 * The queue in the kernel, over generic netlink: what linux/braid_netlink.h
 * says, as the JSON that the control socket would give. Knobs are set in
 * sysfs.c, events come through netlink_event.c.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tools/braidctl/netlink.h"
#include "tools/braidctl/source_device.h"

static const struct nl_field counter_fields[] = {
	{ BRAID_A_COUNTERS_SUBMITTED, NL_U64, "submitted" },
	{ BRAID_A_COUNTERS_COMPLETED, NL_U64, "completed" },
	{ BRAID_A_COUNTERS_DONE, NL_U64, "done" },
	{ BRAID_A_COUNTERS_FAILED, NL_U64, "failed" },
	{ BRAID_A_COUNTERS_EXPIRED, NL_U64, "expired" },
	{ BRAID_A_COUNTERS_CANCELLED, NL_U64, "cancelled" },
	{ BRAID_A_COUNTERS_WITHDRAWN, NL_U64, "withdrawn" },
	{ BRAID_A_COUNTERS_KILLED, NL_U64, "killed" },
	{ BRAID_A_COUNTERS_DROPPED, NL_U64, "dropped" },
	{ BRAID_A_COUNTERS_REQUEUED, NL_U64, "requeued" },
	{ BRAID_A_COUNTERS_WINDOWS, NL_U64, "windows" },
	{ BRAID_A_COUNTERS_FETCHED, NL_U64, "fetched" },
	{ BRAID_A_COUNTERS_COMMITTED, NL_U64, "committed" },
	{ BRAID_A_COUNTERS_MERGED, NL_U64, "merged" },
	{ BRAID_A_COUNTERS_FUSED, NL_U64, "fused" },
	{ BRAID_A_COUNTERS_MERGE_SUM, NL_U64, "merge_sum" },
	{ BRAID_A_COUNTERS_FUSE_SUM, NL_U64, "fuse_sum" },
	{ BRAID_A_COUNTERS_DEVICE_NS, NL_U64, "device_ns" },
};

static const struct nl_field close_fields[] = {
	{ BRAID_A_COUNTERS_CLOSED_FULL, NL_U64, "full" },
	{ BRAID_A_COUNTERS_CLOSED_AGE, NL_U64, "age" },
	{ BRAID_A_COUNTERS_CLOSED_DEADLINE, NL_U64, "deadline" },
	{ BRAID_A_COUNTERS_CLOSED_IDLE, NL_U64, "idle" },
	{ BRAID_A_COUNTERS_CLOSED_SUSPECT, NL_U64, "suspect" },
};

static const struct nl_field model_fields[] = {
	{ BRAID_A_MODEL_ID, NL_U64, "id" },
	{ BRAID_A_MODEL_NAME, NL_TEXT, "name" },
	{ BRAID_A_MODEL_DIGEST, NL_HEX, "digest" },
	{ BRAID_A_MODEL_DEVICE_NS, NL_U64, "device_ns" },
	{ BRAID_A_MODEL_QUEUED, NL_U32, "queued" },
	{ BRAID_A_MODEL_SUSPECTS, NL_U32, "suspects" },
	{ BRAID_A_MODEL_FETCHED, NL_U32, "fetched" },
};

static const struct nl_field tensor_fields[] = {
	{ BRAID_A_TENSOR_NAME, NL_TEXT, "name" },
	{ BRAID_A_TENSOR_TYPE, NL_U32, "type" },
	{ BRAID_A_TENSOR_BYTES, NL_U64, "bytes" },
};

static const struct nl_field owner_fields[] = {
	{ BRAID_A_OWNER_KEY, NL_U64, "owner" },
	{ BRAID_A_OWNER_WEIGHT, NL_U32, "weight" },
	{ BRAID_A_OWNER_PRIORITY_CEILING, NL_U32, "priority_ceiling" },
	{ BRAID_A_OWNER_REQUEST_QUOTA, NL_U32, "request_quota" },
	{ BRAID_A_OWNER_BYTE_QUOTA, NL_U64, "byte_quota" },
	{ BRAID_A_OWNER_BY_HAND, NL_U8, "set" },
	{ BRAID_A_OWNER_REQUESTS, NL_U32, "requests" },
	{ BRAID_A_OWNER_TENANTS, NL_U32, "tenants" },
	{ BRAID_A_OWNER_BUFFERS, NL_U32, "buffers" },
	{ BRAID_A_OWNER_BYTES, NL_U64, "bytes" },
	{ BRAID_A_OWNER_DEVICE_NS, NL_U64, "device_ns" },
	{ BRAID_A_OWNER_COMPLETED, NL_U64, "completed" },
};

static const struct nl_field limit_fields[] = {
	{ BRAID_A_OWNER_WEIGHT, NL_U32, "weight" },
	{ BRAID_A_OWNER_PRIORITY_CEILING, NL_U32, "priority_ceiling" },
	{ BRAID_A_OWNER_REQUEST_QUOTA, NL_U32, "request_quota" },
	{ BRAID_A_OWNER_BYTE_QUOTA, NL_U64, "byte_quota" },
};

static json_t *counters_of(struct nlattr *nest)
{
	struct nlattr *tb[BRAID_A_COUNTERS_MAX + 1];
	json_t *o = json_object(), *by = json_object();

	if (!nla_parse_nested(tb, BRAID_A_COUNTERS_MAX, nest, NULL)) {
		nl_members(o, tb, counter_fields, NL_COUNT(counter_fields));
		nl_members(by, tb, close_fields, NL_COUNT(close_fields));
	}
	json_object_set_new(o, "window_closes", by);
	return o;
}

static int on_device(struct nl_msg *msg, void *arg)
{
	struct nlattr *tb[BRAID_A_DEVICE_MAX + 1];
	json_t *o = arg;

	if (!nl_attributes(msg, tb, BRAID_A_DEVICE_MAX))
		return NL_SKIP;
	nl_device_members(o, tb);
	json_object_set_new(o, "knobs", nl_knobs(msg));
	if (tb[BRAID_A_DEVICE_COUNTERS])
		json_object_set_new(o, "counters", counters_of(tb[BRAID_A_DEVICE_COUNTERS]));
	return NL_OK;
}

/* What braidd knows of itself, and what the kernel knows of the queue. */
json_t *netlink_status(const struct ctl *c)
{
	struct nl_msg *msg;
	struct nl nl;
	json_t *o;
	int ret;

	if (nl_begin(c, &nl))
		return NULL;
	o = ctl_try(c, "status");
	if (!o)
		o = json_object();
	json_object_set_new(o, "transport", json_string("device"));
	json_object_set_new(o, "device", json_string(c->device));
	msg = nl_request(&nl, BRAID_CMD_DEVICE_GET, 0);
	if (msg)
		nla_put_u32(msg, BRAID_A_DEVICE_INDEX, nl_index(c));
	ret = nl_explain(c, &nl, nl_ask(&nl, msg, on_device, o));
	nl_end(&nl);
	if (!ret)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *tensor(struct nlattr *nest)
{
	struct nlattr *tb[BRAID_A_TENSOR_MAX + 1], *a;
	json_t *o = json_object(), *dims = json_array();
	unsigned long long v;

	if (!nla_parse_nested(tb, BRAID_A_TENSOR_MAX, nest, NULL)) {
		nl_members(o, tb, tensor_fields, NL_COUNT(tensor_fields));
		a = tb[BRAID_A_TENSOR_DIMS];
		for (int at = 0; a && at + (int)sizeof(v) <= nla_len(a); at += sizeof(v)) {
			memcpy(&v, (char *)nla_data(a) + at, sizeof(v));
			json_array_append_new(dims, json_integer((json_int_t)v));
		}
	}
	json_object_set_new(o, "dims", dims);
	return o;
}

static int on_model(struct nl_msg *msg, void *arg)
{
	struct nlattr *tb[BRAID_A_MODEL_MAX + 1], *a;
	struct genlmsghdr *h = nlmsg_data(nlmsg_hdr(msg));
	json_t *list = arg, *o = json_object(), *in = json_array(), *out = json_array();
	int left;

	if (nl_attributes(msg, tb, BRAID_A_MODEL_MAX))
		nl_members(o, tb, model_fields, NL_COUNT(model_fields));
	nla_for_each_attr(a, genlmsg_attrdata(h, 0), genlmsg_attrlen(h, 0), left) {
		if (nla_type(a) == BRAID_A_MODEL_INPUT)
			json_array_append_new(in, tensor(a));
		else if (nla_type(a) == BRAID_A_MODEL_OUTPUT)
			json_array_append_new(out, tensor(a));
	}
	json_object_set_new(o, "inputs", in);
	json_object_set_new(o, "outputs", out);
	json_array_append_new(list, o);
	return NL_OK;
}

/* Dumps are without tensors: each model is asked for by itself then. */
json_t *netlink_models(const struct ctl *c)
{
	json_t *ids = json_array(), *list = json_array(), *m;
	struct nl_msg *msg;
	struct nl nl;
	size_t i;
	int ret;

	if (nl_begin(c, &nl))
		goto err;
	msg = nl_request(&nl, BRAID_CMD_MODEL_GET, NLM_F_DUMP);
	if (msg)
		nla_put_u32(msg, BRAID_A_MODEL_DEVICE, nl_index(c));
	ret = nl_ask(&nl, msg, on_model, ids);
	json_array_foreach(ids, i, m) {
		if (ret)
			break;
		msg = nl_request(&nl, BRAID_CMD_MODEL_GET, 0);
		if (msg) {
			nla_put_u32(msg, BRAID_A_MODEL_DEVICE, nl_index(c));
			nla_put_u64(msg, BRAID_A_MODEL_ID,
				    json_integer_value(json_object_get(m, "id")));
		}
		ret = nl_ask(&nl, msg, on_model, list);
		/* It was withdrawn between the questions. */
		if (ret == -ENOENT)
			ret = 0;
	}
	ret = nl_explain(c, &nl, ret);
	nl_end(&nl);
	if (!ret)
		goto out;
err:
	json_decref(list);
	list = NULL;
out:
	json_decref(ids);
	return list;
}

static int on_tenant(struct nl_msg *msg, void *arg)
{
	struct nlattr *tb[BRAID_A_TENANT_MAX + 1];
	json_t *o = json_object();

	if (nl_attributes(msg, tb, BRAID_A_TENANT_MAX))
		nl_tenant_members(o, tb);
	json_array_append_new(arg, o);
	return NL_OK;
}

static int on_owner(struct nl_msg *msg, void *arg)
{
	struct nlattr *tb[BRAID_A_OWNER_MAX + 1];
	json_t *o = json_object();

	if (nl_attributes(msg, tb, BRAID_A_OWNER_MAX))
		nl_members(o, tb, owner_fields, NL_COUNT(owner_fields));
	json_array_append_new(arg, o);
	return NL_OK;
}

static json_t *dump(const struct ctl *c, int cmd, int device_attr, nl_recvmsg_msg_cb_t on_one)
{
	json_t *list = json_array();
	struct nl_msg *msg;
	struct nl nl;
	int ret = -1;

	if (!nl_begin(c, &nl)) {
		msg = nl_request(&nl, cmd, NLM_F_DUMP);
		if (msg)
			nla_put_u32(msg, device_attr, nl_index(c));
		ret = nl_explain(c, &nl, nl_ask(&nl, msg, on_one, list));
		nl_end(&nl);
	}
	if (!ret)
		return list;
	json_decref(list);
	return NULL;
}

json_t *netlink_tenants(const struct ctl *c)
{
	return dump(c, BRAID_CMD_TENANT_GET, BRAID_A_TENANT_DEVICE, on_tenant);
}

json_t *netlink_owners(const struct ctl *c)
{
	return dump(c, BRAID_CMD_OWNER_GET, BRAID_A_OWNER_DEVICE, on_owner);
}

static int put_limit(struct nl_msg *msg, const char *name, json_t *v)
{
	for (size_t i = 0; i < NL_COUNT(limit_fields); i++) {
		const struct nl_field *f = &limit_fields[i];

		if (strcmp(f->name, name))
			continue;
		if (f->kind == NL_U64)
			return nla_put_u64(msg, f->attr, json_integer_value(v));
		if (json_integer_value(v) > UINT32_MAX)
			return -ERANGE;
		return nla_put_u32(msg, f->attr, json_integer_value(v));
	}
	return strcmp(name, "reset") ? -EINVAL : nla_put_flag(msg, BRAID_A_OWNER_RESET);
}

json_t *netlink_owner_set(const struct ctl *c, const char *whose, long long id, json_t *limits)
{
	bool tenant = !strcmp(whose, "tenant");
	const char *name;
	struct nl_msg *msg;
	struct nl nl;
	int ret = -1;
	json_t *v;

	if (nl_begin(c, &nl))
		goto out;
	msg = nl_request(&nl, tenant ? BRAID_CMD_TENANT_SET : BRAID_CMD_OWNER_SET, 0);
	ret = msg ? nla_put_u32(msg, BRAID_A_OWNER_DEVICE, nl_index(c)) : -ENOMEM;
	if (!ret)
		ret = nla_put_u64(msg, tenant ? BRAID_A_OWNER_TENANT : BRAID_A_OWNER_KEY, id);
	json_object_foreach(limits, name, v) {
		if (!ret)
			ret = put_limit(msg, name, v);
		if (ret) {
			nl_say(name, "a number that does not fit", "");
			nlmsg_free(msg);
			nl_end(&nl);
			goto out;
		}
	}
	ret = nl_explain(c, &nl, nl_ask(&nl, msg, NULL, NULL));
	nl_end(&nl);
out:
	json_decref(limits);
	return ret ? NULL : json_object();
}

