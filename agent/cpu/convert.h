/* SPDX-License-Identifier: MIT */
/*
 * Conversions between element types, as CAST does them:
 *
 *   to bool      true where not zero (NaN: true)
 *   int to int   the low bits, as C and numpy
 *   float to int towards zero; outside of the range its nearest end, NaN 0
 *   to float     to nearest, ties to even; too large is infinite
 *
 * No state; no alignment is asked for.
 */
#ifndef BRAID_AGENT_CPU_CONVERT_H
#define BRAID_AGENT_CPU_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/braid.h>

/** cpu_convertible() - do we know the type? */
bool cpu_convertible(enum braid_type t);

/** cpu_convert() - @n elements of type @from at @in become type @to at @out */
void cpu_convert(enum braid_type to, void *out, enum braid_type from, const void *in, size_t n);

/** cpu_half_to_float() - binary16, exactly */
float cpu_half_to_float(uint16_t h);

/** cpu_double_to_half() - binary16, rounded once */
uint16_t cpu_double_to_half(double v);

#endif
