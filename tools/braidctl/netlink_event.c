// SPDX-License-Identifier: MIT
/*
 * Events of the queues in the kernel, as they come: netlink's group "events".
 */
#include <netlink/genl/ctrl.h>

#include "tools/braidctl/netlink.h"
#include "tools/braidctl/source_device.h"

#define EVENT_BUFFER	(1 << 20)

struct listener {
	source_told *told;
	void *arg;
	bool over;
};

static json_t *device_event(struct nl_msg *msg, const char *name)
{
	struct nlattr *tb[BRAID_A_DEVICE_MAX + 1];
	json_t *o = json_pack("{s:s}", "event", name), *knobs, *v;
	const char *knob;

	if (!nl_attributes(msg, tb, BRAID_A_DEVICE_MAX))
		return o;
	nl_device_members(o, tb);
	knobs = nl_knobs(msg);
	json_object_foreach(knobs, knob, v) {
		json_object_set_new(o, "knob", json_string(knob));
		json_object_set(o, "value", v);
	}
	json_decref(knobs);
	if (tb[BRAID_A_DEVICE_INDEX])
		json_object_set_new(o, "device", json_sprintf("braid%u",
				    nla_get_u32(tb[BRAID_A_DEVICE_INDEX])));
	return o;
}

static json_t *tenant_event(struct nl_msg *msg, const char *name)
{
	struct nlattr *tb[BRAID_A_TENANT_MAX + 1];
	json_t *o = json_pack("{s:s}", "event", name);

	if (!nl_attributes(msg, tb, BRAID_A_TENANT_MAX))
		return o;
	nl_tenant_members(o, tb);
	if (tb[BRAID_A_TENANT_DEVICE])
		json_object_set_new(o, "device", json_sprintf("braid%u",
				    nla_get_u32(tb[BRAID_A_TENANT_DEVICE])));
	return o;
}

static int on_event(struct nl_msg *msg, void *arg)
{
	static const struct {
		int cmd;
		json_t *(*make)(struct nl_msg *msg, const char *name);
		const char *name;
	} events[] = {
		{ BRAID_CMD_AGENT_UP_NTF, device_event, "agent-up" },
		{ BRAID_CMD_AGENT_DOWN_NTF, device_event, "agent-down" },
		{ BRAID_CMD_TENANT_CAME_NTF, tenant_event, "tenant-came" },
		{ BRAID_CMD_TENANT_GONE_NTF, tenant_event, "tenant-gone" },
		{ BRAID_CMD_REQUEUE_NTF, device_event, "requeue" },
		{ BRAID_CMD_KNOB_NTF, device_event, "knob" },
		{ BRAID_CMD_STALL_NTF, device_event, "stall" },
	};
	const struct genlmsghdr *h = nlmsg_data(nlmsg_hdr(msg));
	struct listener *l = arg;

	for (size_t i = 0; i < NL_COUNT(events) && !l->over; i++)
		if (events[i].cmd == h->cmd)
			l->over = !l->told(l->arg, events[i].make(msg, events[i].name));
	return NL_OK;
}

/* Until @told has had enough; then 0. */
int netlink_monitor(const struct ctl *c, source_told *told, void *arg)
{
	struct listener l = { .told = told, .arg = arg };
	struct nl nl;
	int ret;

	if (nl_begin(c, &nl))
		return -1;
	/* What nobody reads in time the kernel drops. */
	nl_socket_set_buffer_size(nl.sk, EVENT_BUFFER, 0);
	nl_socket_disable_seq_check(nl.sk);
	ret = genl_ctrl_resolve_grp(nl.sk, BRAID_FAMILY_NAME, BRAID_MCGRP_EVENTS);
	if (ret >= 0)
		ret = nl_socket_add_membership(nl.sk, ret);
	if (ret < 0) {
		nl_say(c->device, nl_geterror(ret), ret == -NLE_PERM ? " (this is for root)" : "");
		nl_end(&nl);
		return -1;
	}
	nl_socket_modify_cb(nl.sk, NL_CB_VALID, NL_CB_CUSTOM, on_event, &l);
	if (!told(arg, json_pack("{s:s}", "event", "listening")))
		l.over = true;
	while (!l.over) {
		ret = nl_recvmsgs_default(nl.sk);
		if (ret == -NLE_NOMEM)
			l.over = !told(arg, json_pack("{s:s}", "event", "lost"));
		else if (ret < 0)
			break;
	}
	if (!l.over)
		nl_say(c->device, nl_geterror(ret), "");
	nl_end(&nl);
	return l.over ? 0 : -1;
}
