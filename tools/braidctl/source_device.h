/* SPDX-License-Identifier: MIT */
/*
 * The two halves of the kernel's source: sysfs.c has the knobs, netlink*.c all
 * else. As the members of struct source.
 */
#ifndef BRAID_TOOLS_BRAIDCTL_SOURCE_DEVICE_H
#define BRAID_TOOLS_BRAIDCTL_SOURCE_DEVICE_H

#include "tools/braidctl/source.h"

json_t *netlink_status(const struct ctl *c);
json_t *netlink_models(const struct ctl *c);
json_t *netlink_tenants(const struct ctl *c);
json_t *netlink_owners(const struct ctl *c);
json_t *netlink_owner_set(const struct ctl *c, const char *whose, long long id, json_t *limits);
int netlink_monitor(const struct ctl *c, source_told *told, void *arg);

#endif
