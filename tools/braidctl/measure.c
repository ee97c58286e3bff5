// SPDX-License-Identifier: MIT
/*
 * Shared by stalls, trace and doctor: see measure.h.
 */
#include "tools/braidctl/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *measure_switches(void)
{
	if (!access("/dev/nvidiactl", F_OK))
		return "fecs";
	if (!access("/dev/nvgpu/igpu0/ctxsw", F_OK) || !access("/dev/nvhost-ctxsw-gpu", F_OK))
		return "node";
	return NULL;
}

void measure_names(const struct ctl *c, struct measure_names *n)
{
	json_t *o = ctl_try(c, "status");
	char path[64];

	*n = (struct measure_names){ NULL, NULL };
	snprintf(path, sizeof(path), "/dev/%s", c->device);
	if (!o && (c->source != &source_device || access(path, F_OK)))
		return;
	json_decref(o);
	n->tenants = c->source->tenants(c);
	n->models = c->source->models(c);
}

void measure_forget(struct measure_names *n)
{
	json_decref(n->tenants);
	json_decref(n->models);
	*n = (struct measure_names){ NULL, NULL };
}

static json_t *by_id(json_t *list, long long id)
{
	json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
		if (ctl_int(o, "id") == id)
			return o;
	return NULL;
}

const char *measure_model(const struct measure_names *n, long long id, char *buf, size_t len)
{
	json_t *m = by_id(n->models, id);

	if (m)
		snprintf(buf, len, "%s", ctl_str(m, "name"));
	else
		snprintf(buf, len, "model %lld", id);
	return buf;
}

json_t *measure_tenant(const struct measure_names *n, long long id)
{
	return by_id(n->tenants, id);
}

bool measure_number(const char *text, const char *what, double *to)
{
	char *end;

	*to = strtod(text, &end);
	if (end != text && !*end && *to >= 0.1 && *to <= 86400)
		return true;
	fprintf(stderr, "braidctl: '%s' can't be %s: 0.1 to 86400\n", text, what);
	return false;
}
