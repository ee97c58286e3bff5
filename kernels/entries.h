/* SPDX-License-Identifier: MIT */
/*
 * All entries that are never specialised, in one list: the ahead-of-time build
 * makes them (generic_plain.cu), the host names them (agent/lower/step.c).
 *
 *   PLAIN(entry, header, argument struct, blocks a multiprocessor, tile function)
 */
#ifndef BRAID_KERNELS_ENTRIES_H
#define BRAID_KERNELS_ENTRIES_H

#define PLAIN_ENTRIES(PLAIN)							\
	PLAIN(braid_map_float, map, k_map, 4, map_tile<float>)			\
	PLAIN(braid_map_double, map, k_map, 2, map_tile<double>)		\
	PLAIN(braid_map_int, map, k_map, 4, map_tile<i64>)			\
	PLAIN(braid_map_uint, map, k_map, 4, map_tile<u64>)			\
	PLAIN(braid_move, map, k_map, 4, move_tile)				\
	PLAIN(braid_pad, move, k_pad, 4, pad_tile)				\
	PLAIN(braid_pack, move, k_pack, 4, pack_tile)				\
	PLAIN(braid_gather, move, k_gather, 4, gather_tile)			\
	PLAIN(braid_scatter, move, k_scatter, 2, scatter_tile)			\
	PLAIN(braid_index, move, k_index, 2, index_tile)			\
	PLAIN(braid_topk, move, k_index, 2, topk_tile)				\
	PLAIN(braid_quant, move, k_quant, 2, quant_tile)			\
	PLAIN(braid_reduce_float, reduce, k_reduce, 4, reduce_tile<float>)	\
	PLAIN(braid_reduce_double, reduce, k_reduce, 2, reduce_tile<double>)	\
	PLAIN(braid_reduce_int, reduce, k_reduce, 2, reduce_tile<i64>)		\
	PLAIN(braid_reduce_uint, reduce, k_reduce, 2, reduce_tile<u64>)		\
	PLAIN(braid_rows, reduce, k_rows, 4, rows_tile)				\
	PLAIN(braid_group_norm, reduce, k_group_norm, 4, group_norm_tile)	\
	PLAIN(braid_lrn, reduce, k_lrn, 4, lrn_tile)				\
	PLAIN(braid_pool, window, k_pool, 4, pool_tile)				\
	PLAIN(braid_resize, window, k_resize, 4, resize_tile)			\
	PLAIN(braid_cpool, cpool, k_cpool, 4, cpool_tile)			\
	PLAIN(braid_mean, cpool, k_mean, 4, mean_tile)				\
	PLAIN(braid_norm8_512, rows8, k_norm8, 1, norm8_tile<512>)		\
	PLAIN(braid_norm8_1024, rows8, k_norm8, 1, norm8_tile<1024>)		\
	PLAIN(braid_norm8_2048, rows8, k_norm8, 1, norm8_tile<2048>)		\
	PLAIN(braid_attn_16, attn, k_attn, 2, attn_tile<16>)			\
	PLAIN(braid_attn_32, attn, k_attn, 2, attn_tile<32>)			\
	PLAIN(braid_attn_64, attn, k_attn, 2, attn_tile<64>)			\
	PLAIN(braid_attn_128, attn, k_attn, 1, attn_tile<128>)			\
	PLAIN(braid_fma_conv, fma, k_fma_conv, 2, fma_conv_tile<true>)		\
	PLAIN(braid_fma_gemm, fma, k_fma_gemm, 2, fma_gemm_tile<true>)		\
	PLAIN(braid_vec, vec, k_vec, 4, vec_tile)				\
	PLAIN(braid_rnn, rnn, k_rnn, 2, rnn_tile)

#endif
