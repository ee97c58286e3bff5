// SPDX-License-Identifier: MIT
/*
 * Small things that every table needs: members of JSON objects, numbers with
 * their units.
 */
#include <stdio.h>

#include "tools/braidctl/ctl.h"

bool ctl_json(const struct ctl *c, json_t *result)
{
	if (!c->json)
		return false;
	json_dumpf(result, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
	json_decref(result);
	return true;
}

int ctl_too_many(int argc, char **argv, int max)
{
	if (argc <= max)
		return 0;
	fprintf(stderr, "braidctl: '%s': what is this?\n", argv[max]);
	return 2;
}

long long ctl_int(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

const char *ctl_str(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

const char *ctl_ns(long long ns, char *buf, unsigned long len)
{
	if (ns < 10000)
		snprintf(buf, len, "%lld ns", ns);
	else if (ns < 10000000)
		snprintf(buf, len, "%.1f us", ns / 1e3);
	else if (ns < 1000000000ll)
		snprintf(buf, len, "%.1f ms", ns / 1e6);
	else if (ns < 600000000000ll)
		snprintf(buf, len, "%.1f s", ns / 1e9);
	else
		snprintf(buf, len, "%lldh%02lldm", ns / 3600000000000ll,
			 ns / 60000000000ll % 60);
	return buf;
}

const char *ctl_bytes(long long n, char *buf, unsigned long len)
{
	if (n < 10240)
		snprintf(buf, len, "%lld B", n);
	else if (n < 10 << 20)
		snprintf(buf, len, "%lld KiB", n >> 10);
	else
		snprintf(buf, len, "%lld MiB", n >> 20);
	return buf;
}
