// SPDX-License-Identifier: MIT
/*
 * What every backend must check of tenants' memory: see backend.h. No state.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/backend/backend.h"
#include "agent/program/program.h"

int tenant_map(int fd, uint64_t bytes, uint8_t **base)
{
	struct stat st;
	void *p;
	int seals;

	if (!bytes || bytes > SIZE_MAX / 2)
		return -EINVAL;
	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode)) {
		seals = fcntl(fd, F_GET_SEALS);
		if (seals < 0 || !(seals & F_SEAL_SHRINK))
			return -EPERM;
		if ((uint64_t)st.st_size < bytes)
			return -EINVAL;
	}
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*base = p;
	return 0;
}

bool tenant_fits(const struct program *p, uint32_t tensor, const struct backend_io *io,
		 uint64_t bytes)
{
	const struct prog_tensor *t = &p->tensors[tensor];
	uint64_t size = prog_type_size(t->type), need = (uint64_t)t->elems * size;

	return io->offset % size == 0 && io->offset <= bytes && need <= bytes - io->offset;
}
