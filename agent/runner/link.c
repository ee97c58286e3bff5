// SPDX-License-Identifier: MIT
/*
 * Which transport a link speaks, and what is the same for both.
 */
#include "agent/runner/link_ops.h"

#include <sys/stat.h>
#include <unistd.h>

int link_open(int fd, struct link **out)
{
	struct stat st;

	if (!fstat(fd, &st) && S_ISCHR(st.st_mode))
		return link_device_open(fd, out);
	return link_socket_open(fd, out);
}

void link_close(struct link *l)
{
	if (!l)
		return;
	close(l->fd);
	l->ops->free(l);
}

int link_fd(const struct link *l)
{
	return l->fd;
}

int link_call(struct link *l, uint32_t nr, void *arg, int *fd_out)
{
	return l->ops->call(l, nr, arg, fd_out);
}

int link_commit(struct link *l, uint64_t generation, struct braid_result *results, uint32_t n)
{
	struct braid_commit arg = {
		.size = sizeof(arg),
		.flags = BRAID_QUIET,
		.generation = generation,
		.results = { sizeof(results[0]), n, (uintptr_t)results },
	};

	return l->ops->commit(l, &arg);
}

int link_fetch(struct link *l, const struct braid_want *wants, uint32_t n, uint32_t jobs)
{
	return l->ops->fetch(l, wants, n, jobs);
}

int link_take(struct link *l, struct link_window *window)
{
	return l->ops->take(l, window);
}

int link_flush(struct link *l)
{
	return l->ops->flush(l);
}

bool link_kept(const struct link *l)
{
	return l->ops->kept(l);
}

bool link_rest(struct link *l)
{
	return l->ops->rest(l);
}

int link_waiter(struct link *l)
{
	return l->ops->waiter(l);
}

bool link_fetching(const struct link *l)
{
	return l->ops->fetching(l);
}

uint64_t link_refused(const struct link *l)
{
	return l->refused;
}

void link_count_refused(struct link *l, const struct braid_commit *arg,
			const struct braid_result *results)
{
	for (uint32_t i = 0; i < arg->results.count && i < BRAID_MAX_BATCH; i++)
		l->refused += !!results[i].result;
}
