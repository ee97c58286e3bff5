/* SPDX-License-Identifier: MIT */
/*
 * Memory of the CUDA backend filled with NaN, so that a step that reads what nobody
 * has written in this launch shows in the answers.
 */
#ifndef BRAID_TESTS_CUDA_SPOIL_H
#define BRAID_TESTS_CUDA_SPOIL_H

struct backend;
struct backend_model;

/**
 * spoil() - fill what lies between the steps of a model's next launch
 * @be: the CUDA backend
 * @m: of it; only free slots are filled, and not the room for partial sums, some of
 *     which has to be zero
 *
 * By the thread that launches; waits till it is done. Return: 0 or -EIO.
 */
int spoil(struct backend *be, struct backend_model *m);

#endif
