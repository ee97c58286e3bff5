// SPDX-License-Identifier: MIT
/*
 * Reading FECS records through the resource manager: see fecs.h.
 *
 * The buffer is a ring in memory of ours that the driver writes and we may only
 * read: where we are we tell by a call. The driver copies what the hardware has
 * logged into it when a timer of its own is due (30 Hz) or when asked to (flush).
 * With a release driver, readers that are not the kernel get starts and ends of
 * contexts and no more, whatever level of detail they name.
 */
#include "tools/switch/fecs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define CLASS_EVENT_BUFFER	0x90cd
#define CLASS_MEMORY_DEVICELESS	0x90ce
#define CLASS_MEMORY_SYSTEM	0x3e

#define CMD_ENABLE		0x90cd0101
#define CMD_UPDATE_GET		0x90cd0102
#define CMD_FLUSH		0x90cd0104
#define CMD_BIND		0x20801231	/* of the subdevice */
#define CMD_BIND_V2		0x20801238

#define KEEP_OLDEST		1u
#define RECORD_V2		2u	/* type of a record */
#define RECORD_V1		134u

#define RECORDS			32768u
#define RECORD_BYTES		32u	/* 8 of header, 24 of record */
#define HEADER_BYTES		4096u

struct fecs_header {
	uint32_t get, put;
	uint64_t count, dropped, var_dropped;
};

struct memory_params {
	uint32_t owner, type, flags, width, height, pitch, attr, attr2, format, compr, zcull;
	uint64_t low, high, size, alignment, offset, limit, address;
	uint32_t ctag, vaspace, internal, tag;
	int32_t numa;
};

struct buffer_params {
	uint64_t header, records;
	uint32_t record_bytes, count;
	uint64_t var;
	uint32_t var_bytes, records_free;
	uint64_t notify;
	uint32_t var_free, subdevice, flags, header_memory, record_memory, var_memory;
};

struct bind_params {
	uint32_t buffer, record_bytes, detail, filter;
	uint8_t all_users;
	uint32_t reason;	/* version 2 only */
};

_Static_assert(sizeof(struct memory_params) == 128, "NV_MEMORY_ALLOCATION_PARAMS");
_Static_assert(sizeof(struct buffer_params) == 72, "NV_EVENT_BUFFER_ALLOC_PARAMETERS");
_Static_assert(sizeof(struct bind_params) == 24, "NV2080_CTRL_GR_FECS_BIND_EVTBUF_FOR_UID_V2");

static int refuse(uint32_t status, const char *step, char *why, size_t len)
{
	if (status == RM_ERRNO)
		snprintf(why, len, "%s: %s", step, strerror(errno));
	else
		snprintf(why, len, "%s: the driver says 0x%02x, %s", step, status,
			 rm_status(status));
	if (status == RM_ERRNO)
		return errno ? -errno : -EIO;
	return status == 0x1b ? -EACCES : -EOPNOTSUPP;
}

/* Memory that the driver writes and we read. */
static uint32_t alloc_memory(struct fecs *f, uint32_t class, uint64_t bytes, uint32_t *handle)
{
	bool system = class == CLASS_MEMORY_SYSTEM;
	struct memory_params p = {
		.owner = f->rm.client, .size = bytes, .limit = bytes - 1,
		.attr = 5u << 29,	/* write-back */
		.attr2 = 1u << 22,	/* the user's mapping is read-only */
	};

	if (system) {
		p.attr |= 1u << 25 | 1u << 27;	/* of the machine, in pages */
		p.attr2 |= 1u << 2;		/* not cached by the GPU */
	}
	return rm_alloc(&f->rm, system ? f->rm.device : f->rm.client, class, &p, sizeof(p),
			handle);
}

/* All of one attempt; what was made goes with the client if it fails. */
static uint32_t make(struct fecs *f, uint32_t class, const char **step)
{
	uint32_t parent = class == CLASS_MEMORY_SYSTEM ? f->rm.device : f->rm.client;
	struct buffer_params p = {
		.record_bytes = RECORD_BYTES, .count = RECORDS, .subdevice = f->rm.subdevice,
	};
	const volatile void *header, *records;
	uint32_t status;

	*step = "memory for the header";
	status = alloc_memory(f, class, HEADER_BYTES, &p.header_memory);
	if (status)
		return status;
	*step = "memory for the records";
	status = alloc_memory(f, class, RECORDS * RECORD_BYTES, &p.record_memory);
	if (status)
		return status;
	*step = "the event buffer, class 0x90cd";
	status = rm_alloc(&f->rm, f->rm.client, CLASS_EVENT_BUFFER, &p, sizeof(p), &f->buffer);
	if (status)
		return status;
	*step = "mapping the header";
	status = rm_map(&f->rm, parent, p.header_memory, HEADER_BYTES, &header);
	if (status)
		return status;
	*step = "mapping the records";
	status = rm_map(&f->rm, parent, p.record_memory, RECORDS * RECORD_BYTES, &records);
	if (status)
		return status;
	f->header = header;
	f->records = records;
	f->count = RECORDS;
	f->backing = class;
	return 0;
}

static uint32_t bind(struct fecs *f, uint32_t *reason)
{
	/* Full detail is asked for; less is what a release driver gives. */
	struct bind_params p = {
		.buffer = f->buffer, .record_bytes = CTXSW_RECORD_BYTES, .all_users = 1,
	};
	uint32_t status = rm_control(&f->rm, f->rm.subdevice, CMD_BIND_V2, &p, sizeof(p));

	/* Is the size that of a record with its header? The headers don't say. */
	if (status == 0x1f) {
		p.record_bytes = RECORD_BYTES;
		status = rm_control(&f->rm, f->rm.subdevice, CMD_BIND_V2, &p, sizeof(p));
	}
	*reason = p.reason;
	f->format = CTXSW_V2;
	/* Drivers before 515 have only the first version. */
	if (status == 0x56 && !p.reason) {
		f->format = CTXSW_V1;
		status = rm_control(&f->rm, f->rm.subdevice, CMD_BIND, &p, 20);
	}
	return status;
}

static const char *reason_words(uint32_t reason)
{
	static const char *const words[] = {
		"", " (the GPU is too old)", " (not enabled for this GPU)", " (not enabled)",
		" (needs an administrator)", " (needs a capability)",
	};

	return reason < 6 ? words[reason] : " (unknown reason)";
}

int fecs_open(struct fecs *f, int minor, char *why, size_t len)
{
	static const uint32_t classes[] = { CLASS_MEMORY_DEVICELESS, CLASS_MEMORY_SYSTEM };
	struct {
		uint8_t enable;
		uint32_t flags;
	} on = { 1, KEEP_OLDEST };
	uint32_t status = 0, reason = 0;
	uint64_t gpu, cpu;
	const char *step;
	size_t said = 0;
	int ret = 0;

	*f = (struct fecs){ .rm = { .ctl = -1, .gpu = -1 } };
	*why = 0;
	for (unsigned int i = 0; i < 2; i++) {
		status = rm_open(&f->rm, minor, &step);
		if (!status)
			status = make(f, classes[i], &step);
		if (!status)
			break;
		ret = refuse(status, step, why + said, len - said);
		rm_close(&f->rm);
		if (status == RM_ERRNO && f->backing == 0 && i == 0 && errno == ENOENT)
			return ret;	/* no driver: no second try */
		said = strlen(why);
		if (!i && said + 2 < len)
			said += snprintf(why + said, len - said, "; ");
	}
	if (status)
		return ret;
	status = bind(f, &reason);
	if (status) {
		ret = refuse(status, "binding FECS to the event buffer", why, len);
		said = strlen(why);
		snprintf(why + said, len - said, "%s", reason_words(reason));
		goto err;
	}
	status = rm_control(&f->rm, f->buffer, CMD_ENABLE, &on, sizeof(on));
	if (status) {
		ret = refuse(status, "enabling the event buffer", why, len);
		goto err;
	}
	f->flush = !rm_control(&f->rm, f->buffer, CMD_FLUSH, NULL, 0);
	if (!rm_clock(&f->rm, &gpu, &cpu, &f->offset_error_ns))
		f->offset_ns = (int64_t)(cpu - gpu);
	f->get = f->header->get;
	*why = 0;
	return 0;
err:
	fecs_close(f);
	return ret;
}

int fecs_read(struct fecs *f, struct ctxsw *c,
	      void (*each)(void *arg, const struct ctxsw_record *r), void *arg)
{
	struct {
		uint32_t records, var;
	} get = { 0 };
	uint8_t bytes[RECORD_BYTES];
	struct ctxsw_record r;
	uint32_t put;
	int n = 0;

	if (f->flush)
		rm_control(&f->rm, f->buffer, CMD_FLUSH, NULL, 0);
	put = f->header->put;
	if (put >= f->count)
		return -EIO;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if ((put + 1) % f->count == f->get)
		f->full++;
	while (f->get != put) {
		uint16_t type;

		for (unsigned int i = 0; i < RECORD_BYTES; i++)
			bytes[i] = f->records[(size_t)f->get * RECORD_BYTES + i];
		memcpy(&type, bytes, sizeof(type));
		f->get = (f->get + 1) % f->count;
		if (type != RECORD_V1 && type != RECORD_V2)
			continue;
		ctxsw_decode(bytes + 8, type == RECORD_V2 ? CTXSW_V2 : CTXSW_V1, &r);
		ctxsw_add(c, &r);
		if (each)
			each(arg, &r);
		n++;
	}
	get.records = f->get;
	if (n && rm_control(&f->rm, f->buffer, CMD_UPDATE_GET, &get, sizeof(get)))
		return -EIO;
	return n;
}

void fecs_close(struct fecs *f)
{
	if (f->header)
		munmap((void *)f->header, HEADER_BYTES);
	if (f->records)
		munmap((void *)f->records, RECORDS * RECORD_BYTES);
	f->header = NULL;
	f->records = NULL;
	rm_close(&f->rm);
}
