// SPDX-License-Identifier: MIT
/*
 * Entries of what is never specialised: all but the hot tiles.
 */
#include "attn.cuh"
#include "cpool.cuh"
#include "entries.h"
#include "fma.cuh"
#include "map.cuh"
#include "move.cuh"
#include "reduce.cuh"
#include "rnn.cuh"
#include "rows8.cuh"
#include "vec.cuh"
#include "window.cuh"

#define PLAIN(name, header, args, min_ctas, fn) ENTRY(name, args, min_ctas, fn(a, tile, smem))
PLAIN_ENTRIES(PLAIN)
