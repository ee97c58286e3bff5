// SPDX-License-Identifier: MIT
/*
 * CAST between every pair of types, with the values where rounding, limits and
 * NaN decide.
 */
#include "tests/cpu/k_number.h"

static float from_half(uint16_t h)
{
	float m = (float)(h & 0x3ff);
	int e = h >> 10 & 31;

	if (e == 31)
		m = m ? NAN : INFINITY;
	else
		m = e ? ldexpf(m + 1024, e - 25) : ldexpf(m, -24);
	return h & 0x8000 ? -m : m;
}

static double as_number(enum braid_type t, const void *x, int64_t i)
{
	uint32_t bits;
	float f;

	if (t == BRAID_TYPE_F16)
		return from_half(((const uint16_t *)x)[i]);
	if (t != BRAID_TYPE_BF16)
		return k_get(t, x, i);
	bits = (uint32_t)((const uint16_t *)x)[i] << 16;
	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* The neighbours of a 16-bit float are no nearer to @want than it is. */
static bool nearest16(enum braid_type t, uint16_t got, double want)
{
	double v = as_number(t, &got, 0), most = t == BRAID_TYPE_F16 ? 65504 : 0x1.fep127;
	double step = t == BRAID_TYPE_F16 ? 32 : 0x1p120;

	if (isnan(want))
		return isnan(v);
	if (isinf(v))
		return copysign(1, v) == copysign(1, want) && fabs(want) >= most + step / 2;
	for (int d = -1; d <= 1; d += 2) {
		uint16_t near = (uint16_t)(got + d);
		double u = as_number(t, &near, 0);

		if (isnan(u) || isinf(u) || u * v < 0)
			continue;
		if (fabs(u - want) < fabs(v - want))
			return false;
		if (fabs(u - want) == fabs(v - want) && (got & 1))
			return false;
	}
	return fabs(want) < most + step;
}

static double limit(enum braid_type t, bool high)
{
	int bits = 8 * (int)prog_type_size(t);

	if (is_signed(t))
		return high ? ldexp(1, bits - 1) - (bits < 64) : -ldexp(1, bits - 1);
	return high ? ldexp(1, bits) - (bits < 64) : 0;
}

static bool cast_right(enum braid_type from, const void *x, enum braid_type to, const void *y,
		       int64_t i)
{
	double v = as_number(from, x, i), want;

	if (from == BRAID_TYPE_BOOL)
		v = v != 0;
	if (to == BRAID_TYPE_BOOL)
		return ((const uint8_t *)y)[i] == (v != 0);
	if (to == BRAID_TYPE_F16 || to == BRAID_TYPE_BF16)
		return nearest16(to, ((const uint16_t *)y)[i], v);
	if (to == BRAID_TYPE_F64)
		return close_to(k_get(to, y, i), v, 0);
	if (to == BRAID_TYPE_F32) {
		if (fabs(v) > 0x1.ffffffp127)
			v = copysign(INFINITY, v);
		return close_to(k_get(to, y, i), is_integer(from) ? (float)wide(from, x, i) : (float)v, 0);
	}
	if (is_integer(from) || from == BRAID_TYPE_BOOL)
		return wide(to, y, i) == wrapped(to, from == BRAID_TYPE_BOOL ? v != 0 :
						 wide(from, x, i));
	want = isnan(v) ? 0 : trunc(v);
	if (want >= limit(to, true))
		return k_get(to, y, i) == limit(to, true);
	return k_get(to, y, i) == fmax(want, limit(to, false));
}

static void test_cast(struct one_rng *g)
{
	static const double special[] = {
		0, -0.0, 0.5, -0.5, 1.5, 2.5, 127, 128, 255, 256, -1, -128.5, -129, 65504, 65519,
		65520, 1e-8, 5.96e-8, 2.98e-8, 6.1e-5, 2147483647, 2147483648, -2147483649.0,
		9.3e18, -9.3e18, 1.9e19, 1e30, -1e30, 1e-40, 3.4e38, 3.39e38, 1e300, INFINITY,
		-INFINITY, NAN,
	};
	struct k_tally t = { 0 };

	for (uint32_t k = 0; k < K_TYPES * K_TYPES * 2; k++) {
		enum braid_type from = k_types[k / 2 % K_TYPES], to = k_types[k / 2 / K_TYPES];
		int64_t n = one_range(g, 1, 700), wrong = 0;
		struct one o;

		one_init(&o, g, PROG_CAST, (uint32_t)one_range(g, 1, ONE_DEGREE));
		one_in(&o, from, 1, &n, true);
		k_fill(&o, 0);
		if ((k & 1) && (from == BRAID_TYPE_F32 || from == BRAID_TYPE_F64))
			for (int64_t i = 0; i < n && i < 35; i++)
				for (uint32_t r = 0; r < o.degree; r++) {
					if (from == BRAID_TYPE_F32 && fabs(special[i]) > 3.4e38)
						continue;
					k_put(from, o.data[0][r], i, special[i]);
				}
		if ((k & 1) && is_integer(from))
			k_fill_range(&o, 0, is_signed(from) ? -100 : 0, 100);
		one_out(&o, to, 1, &n);
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t i = 0; i < n; i++)
					wrong += !cast_right(from, o.data[0][r], to, o.data[1][r], i);
			if (wrong)
				k_bad(&t, "type %d to %d: %lld of %lld", from, to,
				      (long long)wrong, (long long)n * o.degree);
		}
		one_free(&o);
	}
	k_report(&t, "cast, every pair of types");
}

int main(void)
{
	struct one_rng g = { 23 };

	test_cast(&g);
	return tap_done();
}
