// SPDX-License-Identifier: MIT
/*
 * Whose queue is it: see source.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/braidctl/source.h"

#define DEFAULT_SOCKET	"/run/braid/control.sock"
#define DEFAULT_DEVICE	"braid0"

void source_find(struct ctl *c)
{
	const char *named = c->socket && *c->socket ? c->socket : getenv("BRAID_CONTROL");
	const char *transport, *device;
	json_t *o;

	c->socket = named && *named ? named : DEFAULT_SOCKET;
	o = ctl_try(c, "status");
	transport = json_string_value(json_object_get(o, "transport"));
	device = json_string_value(json_object_get(o, "device"));
	snprintf(c->device, sizeof(c->device), "%s", device ? device : DEFAULT_DEVICE);
	if (o)
		c->source = transport && !strcmp(transport, "device") ? &source_device :
									 &source_control;
	else
		c->source = c->socket != named && !access("/dev/" DEFAULT_DEVICE, F_OK) ?
				    &source_device : &source_control;
	json_decref(o);
}
