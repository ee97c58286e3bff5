// SPDX-License-Identifier: MIT
/*
 * Calls of the resource manager: see rm.h. Keeps nothing beside struct rm.
 */
#include "tools/switch/rm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define ESC_CARD_INFO	200
#define ESC_REGISTER_FD	201
#define ESC_FREE	0x29
#define ESC_CONTROL	0x2a
#define ESC_ALLOC	0x2b
#define ESC_MAP		0x4e

#define CLASS_CLIENT	0x41
#define CLASS_DEVICE	0x80
#define CLASS_SUBDEVICE	0x2080

#define CMD_GPU_ID_INFO	0x205		/* of the client */
#define CMD_GPU_TIME	0x20800403	/* of the subdevice */

#define CARDS		32

struct card {
	uint8_t valid;
	uint8_t pad[3];
	uint8_t pci[12];
	uint32_t gpu_id;
	uint16_t irq;
	uint64_t where[4];
	uint32_t minor;
	uint8_t name[10];
};

struct alloc {
	uint32_t client, parent, object, class;
	uint64_t params, rights;
	uint32_t bytes, flags, status;
};

struct control {
	uint32_t client, object, cmd, flags;
	uint64_t params;
	uint32_t bytes, status;
};

struct release {
	uint32_t client, parent, object, status;
};

struct map {
	uint32_t client, device, memory;
	uint64_t offset, length, address;
	uint32_t status, flags;
	int fd;
};

struct gpu_id_info {
	uint32_t gpu_id, flags, device, subdevice, sli, board, instance;
	int32_t numa;
};

struct device_params {
	uint32_t device, share, target_client, target_device, flags;
	uint64_t va_size, va_start, va_limit;
	uint32_t va_mode;
};

_Static_assert(sizeof(struct card) == 72, "nv_ioctl_card_info_t");
_Static_assert(sizeof(struct alloc) == 48, "NVOS64_PARAMETERS");
_Static_assert(sizeof(struct control) == 32, "NVOS54_PARAMETERS");
_Static_assert(sizeof(struct map) == 56, "nv_ioctl_nvos33_parameters_with_fd");
_Static_assert(sizeof(struct device_params) == 56, "NV0080_ALLOC_PARAMETERS");

const char *rm_status(uint32_t status)
{
	static const struct {
		uint32_t status;
		const char *name;
	} names[] = {
		{ 0x00, "NV_OK" },
		{ 0x02, "NV_ERR_BUFFER_TOO_SMALL" },
		{ 0x1a, "NV_ERR_INSUFFICIENT_RESOURCES" },
		{ 0x1b, "NV_ERR_INSUFFICIENT_PERMISSIONS: root is needed" },
		{ 0x1d, "NV_ERR_INVALID_ACCESS_TYPE" },
		{ 0x1f, "NV_ERR_INVALID_ARGUMENT" },
		{ 0x22, "NV_ERR_INVALID_CLASS: this driver does not have it" },
		{ 0x23, "NV_ERR_INVALID_CLIENT" },
		{ 0x24, "NV_ERR_INVALID_COMMAND" },
		{ 0x26, "NV_ERR_INVALID_DEVICE" },
		{ 0x31, "NV_ERR_INVALID_OBJECT" },
		{ 0x33, "NV_ERR_INVALID_OBJECT_HANDLE" },
		{ 0x36, "NV_ERR_INVALID_OBJECT_PARENT" },
		{ 0x38, "NV_ERR_INVALID_OPERATION" },
		{ 0x3a, "NV_ERR_INVALID_PARAM_STRUCT: this driver has another layout" },
		{ 0x3b, "NV_ERR_INVALID_PARAMETER" },
		{ 0x40, "NV_ERR_INVALID_STATE" },
		{ 0x51, "NV_ERR_NO_MEMORY" },
		{ 0x56, "NV_ERR_NOT_SUPPORTED" },
		{ 0x57, "NV_ERR_OBJECT_NOT_FOUND" },
		{ 0x59, "NV_ERR_OPERATING_SYSTEM" },
		{ 0x6d, "NV_ERR_FEATURE_NOT_ENABLED" },
		{ RM_ERRNO, "the call failed before the resource manager saw it" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].status == status)
			return names[i].name;
	return "see nvstatuscodes.h";
}

static uint32_t escape(int fd, unsigned int nr, void *arg, size_t bytes)
{
	int ret;

	do {
		ret = ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, 'F', nr, bytes), arg);
	} while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret < 0 ? RM_ERRNO : 0;
}

uint32_t rm_alloc(struct rm *rm, uint32_t parent, uint32_t class, void *params, uint32_t bytes,
		  uint32_t *handle)
{
	struct alloc a = {
		.client = rm->client, .parent = parent, .object = parent ? ++rm->last : 0,
		.class = class, .params = (uintptr_t)params, .bytes = bytes,
	};
	uint32_t status = escape(rm->ctl, ESC_ALLOC, &a, sizeof(a));

	*handle = a.object;
	return status ? status : a.status;
}

void rm_free(struct rm *rm, uint32_t parent, uint32_t handle)
{
	struct release r = { .client = rm->client, .parent = parent, .object = handle };

	escape(rm->ctl, ESC_FREE, &r, sizeof(r));
}

uint32_t rm_control(struct rm *rm, uint32_t object, uint32_t cmd, void *params, uint32_t bytes)
{
	struct control c = {
		.client = rm->client, .object = object, .cmd = cmd,
		.params = (uintptr_t)params, .bytes = bytes,
	};
	uint32_t status = escape(rm->ctl, ESC_CONTROL, &c, sizeof(c));

	return status ? status : c.status;
}

uint32_t rm_map(struct rm *rm, uint32_t parent, uint32_t memory, size_t bytes,
		const volatile void **out)
{
	struct map m = {
		.client = rm->client, .device = parent, .memory = memory, .length = bytes,
		.flags = 1,	/* to read: more is refused for memory that the user may only read */
		.fd = open("/dev/nvidiactl", O_RDWR | O_CLOEXEC),
	};
	uint32_t status;
	void *p;

	if (m.fd < 0)
		return RM_ERRNO;
	status = escape(rm->ctl, ESC_MAP, &m, sizeof(m));
	if (!status)
		status = m.status;
	if (!status) {
		/* The descriptor belongs to this one mapping, and may go. */
		p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, m.fd, 0);
		if (p == MAP_FAILED)
			status = RM_ERRNO;
		else
			*out = p;
	}
	close(m.fd);
	return status;
}

/* The GPU's node, by number or the first one, and what the driver calls it. */
static uint32_t open_gpu(struct rm *rm, int minor, uint32_t *gpu_id, const char **step)
{
	struct card cards[CARDS];
	char path[32];

	rm->gpu = -1;
	*step = "opening /dev/nvidiaN";
	for (int n = minor < 0 ? 0 : minor; n < (minor < 0 ? 256 : minor + 1) && rm->gpu < 0; n++) {
		snprintf(path, sizeof(path), "/dev/nvidia%d", n);
		rm->gpu = open(path, O_RDWR | O_CLOEXEC);
		rm->minor = n;
	}
	if (rm->gpu < 0)
		return RM_ERRNO;
	*step = "registering the descriptor";
	if (escape(rm->gpu, ESC_REGISTER_FD, &rm->ctl, sizeof(rm->ctl)))
		return RM_ERRNO;
	*step = "asking for the cards";
	memset(cards, 0, sizeof(cards));
	if (escape(rm->ctl, ESC_CARD_INFO, cards, sizeof(cards)))
		return RM_ERRNO;
	for (int i = 0; i < CARDS; i++) {
		if (cards[i].valid && cards[i].minor == rm->minor) {
			*gpu_id = cards[i].gpu_id;
			return 0;
		}
	}
	errno = ENODEV;
	return RM_ERRNO;
}

uint32_t rm_open(struct rm *rm, int minor, const char **step)
{
	struct gpu_id_info info = { 0 };
	struct device_params dev = { 0 };
	uint32_t sub = 0, status;

	*rm = (struct rm){ .gpu = -1, .last = 0xb7a1d000 };
	*step = "opening /dev/nvidiactl";
	rm->ctl = open("/dev/nvidiactl", O_RDWR | O_CLOEXEC);
	if (rm->ctl < 0)
		return RM_ERRNO;
	status = open_gpu(rm, minor, &info.gpu_id, step);
	if (status)
		return status;
	*step = "allocating a client";
	status = rm_alloc(rm, 0, CLASS_CLIENT, NULL, 0, &rm->client);
	if (status)
		return status;
	*step = "asking for the device's number";
	status = rm_control(rm, rm->client, CMD_GPU_ID_INFO, &info, sizeof(info));
	if (status)
		return status;
	*step = "allocating the device";
	dev.device = info.device;
	status = rm_alloc(rm, rm->client, CLASS_DEVICE, &dev, sizeof(dev), &rm->device);
	if (status)
		return status;
	*step = "allocating the subdevice";
	return rm_alloc(rm, rm->device, CLASS_SUBDEVICE, &sub, sizeof(sub), &rm->subdevice);
}

void rm_close(struct rm *rm)
{
	if (rm->client)
		rm_free(rm, rm->client, rm->client);
	if (rm->gpu > 0)
		close(rm->gpu);
	if (rm->ctl > 0)
		close(rm->ctl);
	*rm = (struct rm){ .ctl = -1, .gpu = -1 };
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

uint32_t rm_clock(struct rm *rm, uint64_t *gpu_ns, uint64_t *cpu_ns, uint64_t *error_ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 16; i++) {
		uint64_t before = now(), gpu = 0, after;
		uint32_t status = rm_control(rm, rm->subdevice, CMD_GPU_TIME, &gpu, sizeof(gpu));

		if (status)
			return status;
		after = now();
		if (after - before < best) {
			best = after - before;
			*gpu_ns = gpu;
			*cpu_ns = before + best / 2;
			*error_ns = best / 2 + 32;	/* the GPU's clock has steps of 32 ns */
		}
	}
	return 0;
}
