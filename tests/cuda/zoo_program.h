/* SPDX-License-Identifier: MIT */
/*
 * Models of the zoo without files.
 */
#ifndef BRAID_TESTS_CUDA_ZOO_PROGRAM_H
#define BRAID_TESTS_CUDA_ZOO_PROGRAM_H

struct program;

/** zoo_program() - the program of a zoo model for one image or text, NULL where there is none */
struct program *zoo_program(const char *name);

#endif
