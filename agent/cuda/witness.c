// SPDX-License-Identifier: MIT
/*
 * The witness's kernel and the figures of what it saw: see witness.h. The
 * kernel is PTX, which the driver compiles for whatever GPU it finds.
 */
#include "agent/cuda/witness.h"

#include <string.h>

/*
 * out[0] first reading, out[1] last one, out[2] number of absences, out[3]
 * readings; then pairs: last reading before, first one after.
 */
const char witness_ptx[] =
	".version 6.4\n"
	".target sm_70\n"
	".address_size 64\n"
	".visible .entry witness(.param .u64 p_out, .param .u64 p_time, .param .u64 p_limit,\n"
	"			 .param .u64 p_keep)\n"
	"{\n"
	"	.reg .u64 %out, %time, %limit, %keep, %first, %prev, %now, %d, %n, %loops, %at;\n"
	"	.reg .pred %p;\n"
	"	ld.param.u64 %out, [p_out];\n"
	"	ld.param.u64 %time, [p_time];\n"
	"	ld.param.u64 %limit, [p_limit];\n"
	"	ld.param.u64 %keep, [p_keep];\n"
	"	cvta.to.global.u64 %out, %out;\n"
	"	mov.u64 %n, 0;\n"
	"	mov.u64 %loops, 0;\n"
	"	mov.u64 %first, %globaltimer;\n"
	"	mov.u64 %prev, %first;\n"
	"again:\n"
	"	mov.u64 %now, %globaltimer;\n"
	"	add.u64 %loops, %loops, 1;\n"
	"	sub.u64 %d, %now, %prev;\n"
	"	setp.le.u64 %p, %d, %limit;\n"
	"	@%p bra next;\n"
	"	setp.ge.u64 %p, %n, %keep;\n"
	"	@%p bra count;\n"
	"	shl.b64 %at, %n, 4;\n"
	"	add.u64 %at, %at, %out;\n"
	"	st.global.u64 [%at+32], %prev;\n"
	"	st.global.u64 [%at+40], %now;\n"
	"count:\n"
	"	add.u64 %n, %n, 1;\n"
	"next:\n"
	"	mov.u64 %prev, %now;\n"
	"	sub.u64 %d, %now, %first;\n"
	"	setp.lt.u64 %p, %d, %time;\n"
	"	@%p bra again;\n"
	"	st.global.u64 [%out], %first;\n"
	"	st.global.u64 [%out+8], %now;\n"
	"	st.global.u64 [%out+16], %n;\n"
	"	st.global.u64 [%out+24], %loops;\n"
	"	ret;\n"
	"}\n";

void witness_add(struct witness_figures *f, const uint64_t *out, uint64_t keep)
{
	const uint64_t *gaps = out + WITNESS_HEAD;
	uint64_t n = out[2], kept = n < keep ? n : keep;

	f->watched_ns += out[1] - out[0];
	f->readings += out[3];
	f->absences += n;
	f->not_kept += n - kept;
	for (uint64_t i = 0; i < kept; i++) {
		uint64_t ns = gaps[2 * i + 1] - gaps[2 * i];
		unsigned int b = ns ? 64 - __builtin_clzll(ns) : 0;

		f->away_ns += ns;
		if (ns > f->longest_ns)
			f->longest_ns = ns;
		f->log2_ns[b < WITNESS_BUCKETS ? b : WITNESS_BUCKETS - 1]++;
	}
}

json_t *witness_json(const struct witness_figures *f)
{
	double seconds = f->watched_ns / 1e9;
	json_t *h;

	if (!f->watched_ns || !f->readings)
		return NULL;
	h = json_array();
	for (unsigned int b = 0; b < WITNESS_BUCKETS; b++)
		json_array_append_new(h, json_integer((json_int_t)f->log2_ns[b]));
	/* Times are known of the absences that were kept; if there were more, say so. */
	return json_pack("{s:f,s:I,s:f,s:I,s:I,s:f,s:I,s:f,s:o}", "seconds", seconds,
			 "absences", (json_int_t)f->absences,
			 "absences_per_s", f->absences / seconds,
			 "not_kept", (json_int_t)f->not_kept, "away_ns", (json_int_t)f->away_ns,
			 "away_share", f->away_ns / 1e9 / seconds,
			 "longest_away_ns", (json_int_t)f->longest_ns,
			 "ns_a_reading", (double)f->watched_ns / f->readings,
			 "away_log2_ns", h);
}
