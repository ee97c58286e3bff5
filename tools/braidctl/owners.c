// SPDX-License-Identifier: MIT
/*
 * braidctl tenants and owner: who is there, and what it may have. Limits are
 * an owner's: whoever sets them by a tenant sets its owner's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/braidctl/ctl.h"

/* A whole number of 0 or more that fits. */
static int number(const char *s, json_int_t *to)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(s, &end, 10);
	*to = v;
	return end == s || *end || errno || v < 0 ? -EINVAL : 0;
}

/* "weight=3", "reset", ...: members of an object; NULL after words. */
static json_t *limits(int argc, char **argv)
{
	json_t *o = json_object();

	for (int i = 0; i < argc; i++) {
		char *eq = strchr(argv[i], '=');
		json_int_t v;

		if (!strcmp(argv[i], "reset")) {
			json_object_set_new(o, "reset", json_true());
			continue;
		}
		if (!eq || number(eq + 1, &v)) {
			fprintf(stderr, "braidctl: '%s' is not KEY=NUMBER\n", argv[i]);
			goto err;
		}
		*eq = 0;
		if (strcmp(argv[i], "weight") && strcmp(argv[i], "priority_ceiling") &&
		    strcmp(argv[i], "request_quota") && strcmp(argv[i], "byte_quota")) {
			fprintf(stderr, "braidctl: an owner has no '%s'\n", argv[i]);
			goto err;
		}
		json_object_set_new(o, argv[i], json_integer(v));
	}
	if (json_object_get(o, "reset") && json_object_size(o) > 1) {
		fprintf(stderr, "braidctl: reset stands alone: it sets all limits\n");
		goto err;
	}
	return o;
err:
	json_decref(o);
	return NULL;
}

/* Leave those whose @member is @only; -1: all. */
static void keep(json_t *list, const char *member, long long only)
{
	for (size_t i = json_array_size(list); only >= 0 && i-- > 0;)
		if (ctl_int(json_array_get(list, i), member) != only)
			json_array_remove(list, i);
}

static int show_tenants(const struct ctl *c, long long only)
{
	json_t *list = c->source->tenants(c), *t;
	char a[32];
	size_t i;

	if (!list)
		return 1;
	keep(list, "id", only);
	if (only >= 0 && !json_array_size(list)) {
		fprintf(stderr, "braidctl: no tenant %lld\n", only);
		json_decref(list);
		return 1;
	}
	if (ctl_json(c, list))
		return 0;
	printf("%6s %8s %8s %12s %10s %12s\n", "id", "pid", "owner", "outstanding", "submitted",
	       "device time");
	json_array_foreach(list, i, t)
		printf("%6lld %8lld %8lld %12lld %10lld %12s\n", ctl_int(t, "id"),
		       ctl_int(t, "pid"), ctl_int(t, "owner"), ctl_int(t, "outstanding"),
		       ctl_int(t, "submitted"), ctl_ns(ctl_int(t, "device_ns"), a, sizeof(a)));
	json_decref(list);
	return 0;
}

/* @only: one owner, or -1 for all. */
static int show_owners(const struct ctl *c, long long only)
{
	json_t *list = c->source->owners(c), *o;
	char a[32], b[32], d[32];
	size_t i;

	if (!list)
		return 1;
	keep(list, "owner", only);
	if (ctl_json(c, list))
		return 0;
	printf("%10s %6s %8s %13s %12s %9s %8s %10s %12s\n", "owner", "weight", "ceiling",
	       "request_quota", "byte_quota", "requests", "buffers", "bytes", "device time");
	json_array_foreach(list, i, o)
		printf("%10lld %6lld %8lld %13lld %12s %9lld %8lld %10s %12s%s\n", ctl_int(o, "owner"),
		       ctl_int(o, "weight"), ctl_int(o, "priority_ceiling"),
		       ctl_int(o, "request_quota"),
		       ctl_bytes(ctl_int(o, "byte_quota"), a, sizeof(a)), ctl_int(o, "requests"),
		       ctl_int(o, "buffers"), ctl_bytes(ctl_int(o, "bytes"), b, sizeof(b)),
		       ctl_ns(ctl_int(o, "device_ns"), d, sizeof(d)),
		       json_is_true(json_object_get(o, "set")) ? "  (set)" : "");
	json_decref(list);
	return 0;
}

/*
 * [set] [ID [KEY=VALUE...|reset]]: show all, show one, or set limits and show.
 * @whose: what ID is of; @is_no: in words.
 */
static int show_or_set(const struct ctl *c, int argc, char **argv, const char *whose,
		       const char *is_no, int (*show)(const struct ctl *c, long long only))
{
	json_int_t id = -1;
	json_t *o;

	if (argc && !strcmp(argv[0], "set")) {
		argc--;
		argv++;
		if (argc < 2) {
			fprintf(stderr, "braidctl: set: whose, and what?\n");
			return 2;
		}
	}
	if (argc && number(argv[0], &id)) {
		fprintf(stderr, "braidctl: '%s' is no %s\n", argv[0], is_no);
		return 2;
	}
	if (argc < 2)
		return show(c, id);
	o = limits(argc - 1, argv + 1);
	if (!o)
		return 2;
	o = c->source->owner_set(c, whose, id, o);
	if (!o)
		return 1;
	json_decref(o);
	return show(c, id);
}

int cmd_tenants(const struct ctl *c, int argc, char **argv)
{
	return show_or_set(c, argc, argv, "tenant", "tenant's number", show_tenants);
}

int cmd_owner(const struct ctl *c, int argc, char **argv)
{
	return show_or_set(c, argc, argv, "owner", "uid", show_owners);
}
