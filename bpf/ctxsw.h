/* SPDX-License-Identifier: MIT */
/*
 * Records of the GPU's context switches, as the front end's microcontroller
 * (FECS) writes them, and what follows from them.
 *
 * NVIDIA's two drivers hand out one record: nvgpu's ctxsw node (Jetson) and the
 * desktop and server driver's event buffer, version 1, are the same 24 bytes;
 * version 2 differs in the width of the pid. Here they become one struct.
 *
 * A record has a 16-bit sequence number. A gap in it is a number of records
 * that are lost; what was under way then is forgotten rather than guessed.
 */
#ifndef BRAID_BPF_CTXSW_H
#define BRAID_BPF_CTXSW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CTXSW_RECORD_BYTES	24u
#define CTXSW_BUCKETS		40u	/* by powers of two of ns */
#define CTXSW_UNKNOWN		UINT32_MAX	/* a context that has no name, a pid of the kernel */

/**
 * enum ctxsw_tag - what a record tells, with the values that FECS uses
 * @CTXSW_REQUEST: the host has asked for a switch
 * @CTXSW_ACK: the front end has stopped: how is in the upper ones
 * @CTXSW_SAVE_END: the leaving context is saved: it ran until then
 * @CTXSW_RESTORE_START: the next one begins to be restored
 * @CTXSW_CONTEXT_START: it runs
 * @CTXSW_SIMPLE_START: as @CTXSW_CONTEXT_START, for a reader with less rights
 * @CTXSW_SIMPLE_END: as @CTXSW_SAVE_END
 * @CTXSW_ENGINE_RESET: all that was under way is void
 * @CTXSW_BAD_TIME: the time of this record is none
 */
enum ctxsw_tag {
	CTXSW_REQUEST = 0x01,
	CTXSW_ACK = 0x02,
	CTXSW_SAVE_END = 0x03,
	CTXSW_RESTORE_START = 0x04,
	CTXSW_CONTEXT_START = 0x05,
	CTXSW_SIMPLE_START = 0x06,
	CTXSW_SIMPLE_END = 0x07,
	CTXSW_ACK_WFI = 0x0a,
	CTXSW_ACK_GFXP = 0x0b,
	CTXSW_ACK_CTAP = 0x0c,
	CTXSW_ACK_CILP = 0x0d,
	CTXSW_ENGINE_RESET = 0xfe,
	CTXSW_BAD_TIME = 0xff,
};

/**
 * enum ctxsw_format - of the 24 bytes
 * @CTXSW_V1: nvgpu, and the event buffer's version 1: pid of 64 bits
 * @CTXSW_V2: the event buffer's version 2: pid of 32, and the GPU instance
 */
enum ctxsw_format {
	CTXSW_V1 = 1,
	CTXSW_V2 = 2,
};

/**
 * struct ctxsw_record - one
 * @ts_ns: the GPU's clock
 * @pid: whose context; 0: hidden from this reader, CTXSW_UNKNOWN: the kernel's
 * @context: as the driver numbers them
 * @seq: counts, wraps
 * @tag: enum ctxsw_tag
 * @vm: of a virtual machine
 * @instance: GPU instance (MIG), 0xff: none
 */
struct ctxsw_record {
	uint64_t ts_ns;
	uint32_t pid;
	uint32_t context;
	uint16_t seq;
	uint8_t tag;
	uint8_t vm;
	uint8_t instance;
};

/** ctxsw_decode() - from little-endian bytes; @bytes is CTXSW_RECORD_BYTES long */
void ctxsw_decode(const uint8_t *bytes, enum ctxsw_format format, struct ctxsw_record *out);

/** ctxsw_encode() - the other way, for tests and recordings */
void ctxsw_encode(const struct ctxsw_record *r, enum ctxsw_format format, uint8_t *bytes);

/**
 * struct ctxsw_context - what is known of a context
 * @context: number
 * @pid: process
 * @came: switches to it from another one
 * @resumed: starts after its own end, nobody having run meanwhile
 * @runs: times that it ran and was seen to end
 * @run_ns: in them
 * @aways: times that it was away while another one ran, and was seen to come back
 * @away_ns: in them
 * @max_away_ns: longest
 * @away: by powers of two
 * @started: when it last started, if it runs
 * @ended: when it last ended, 0: not known
 * @others: somebody else has run since
 */
struct ctxsw_context {
	uint32_t context;
	uint32_t pid;
	uint64_t came;
	uint64_t resumed;
	uint64_t runs;
	uint64_t run_ns;
	uint64_t aways;
	uint64_t away_ns;
	uint64_t max_away_ns;
	uint64_t away[CTXSW_BUCKETS];
	uint64_t started;
	uint64_t ended;
	bool running;
	bool others;
};

struct ctxsw;

/**
 * struct ctxsw_sums - of an engine
 * @records: seen
 * @lost: by gaps of the sequence number, and as told by ctxsw_lost()
 * @gaps: of them, places
 * @backwards: records whose time is before that of the one before; they count, their times don't
 * @resets: of the engine
 * @switches: from one context to another
 * @switch_ns: from the end of the leaving one to the start of the next; only where
 *             both are known
 * @timed_switches: of them
 * @requested: switches that the host had asked for before the leaving one ended
 * @requested_ns: from there to the start of the next: a stall while work was waiting
 * @switch_times: by powers of two
 * @first_ns: first record's time
 * @last_ns: last one's
 * @contexts_full: records of contexts that there was no room for
 */
struct ctxsw_sums {
	uint64_t records;
	uint64_t lost;
	uint64_t gaps;
	uint64_t backwards;
	uint64_t resets;
	uint64_t switches;
	uint64_t timed_switches;
	uint64_t switch_ns;
	uint64_t requested;
	uint64_t requested_ns;
	uint64_t switch_times[CTXSW_BUCKETS];
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t contexts_full;
};

/** ctxsw_new() - an engine of which nothing is known; NULL without memory */
struct ctxsw *ctxsw_new(void);

/** ctxsw_free() - NULL is fine */
void ctxsw_free(struct ctxsw *c);

/** ctxsw_add() - take the next record */
void ctxsw_add(struct ctxsw *c, const struct ctxsw_record *r);

/** ctxsw_lost() - the driver says that it dropped @n that have no sequence number */
void ctxsw_lost(struct ctxsw *c, uint64_t n);

/** ctxsw_sums() - what it comes to so far */
const struct ctxsw_sums *ctxsw_sums(const struct ctxsw *c);

/** ctxsw_contexts() - all contexts seen; @n: how many */
const struct ctxsw_context *ctxsw_contexts(const struct ctxsw *c, unsigned int *n);

/** ctxsw_json() - figures, over a time of @seconds; 0: from the first record to the last */
json_t *ctxsw_json(const struct ctxsw *c, double seconds);

#endif
