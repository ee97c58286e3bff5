// SPDX-License-Identifier: MIT
/*
 * Where metrics may be served: this machine alone sees them. Keeps nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "agent/supervisor/metrics.h"

int metrics_address(const char *where, struct sockaddr_storage *sa, socklen_t *len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;
	const char *colon = strrchr(where, ':');
	unsigned int port;
	char host[64], end;

	memset(sa, 0, sizeof(*sa));
	if (*where == '/') {
		sa->ss_family = AF_UNIX;
		return strlen(where) < sizeof(((struct sockaddr_un *)sa)->sun_path) ? 0 : -ENAMETOOLONG;
	}
	if (!colon || sscanf(colon, ":%u%c", &port, &end) != 1 || !port || port > 65535 ||
	    (size_t)(colon - where) >= sizeof(host))
		return -EINVAL;
	memcpy(host, where, colon - where);
	host[colon - where] = 0;
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		*len = sizeof(*in);
		return (ntohl(in->sin_addr.s_addr) >> 24) == 127 ? 0 : -EPERM;
	}
	if (*host != '[' || colon[-1] != ']')
		return -EINVAL;
	host[colon - where - 1] = 0;
	if (inet_pton(AF_INET6, host + 1, &in6->sin6_addr) != 1)
		return -EINVAL;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	*len = sizeof(*in6);
	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ? 0 : -EPERM;
}

int metrics_check(const char *where, char *why, size_t len)
{
	struct sockaddr_storage sa;
	socklen_t bytes;
	int ret = metrics_address(where, &sa, &bytes);

	if (ret == -EPERM)
		snprintf(why, len, "metrics: '%s' is not of this machine alone: 127.0.0.1, [::1] or a path",
			 where);
	else if (ret)
		snprintf(why, len, "metrics: '%s' is neither ADDRESS:PORT nor a path", where);
#ifndef BRAID_METRICS
	if (!ret)
		snprintf(why, len, "metrics: this braidd was built without libmicrohttpd");
	ret = ret ? ret : -EOPNOTSUPP;
#endif
	return ret;
}
