/* SPDX-License-Identifier: MIT */
/*
 * What a test says to the plans of fake_plan.c: a program's tensor 0 gives the
 * number of floats, its macs the factor.
 */
#ifndef BRAID_TESTS_CUDA_FAKE_PLAN_H
#define BRAID_TESTS_CUDA_FAKE_PLAN_H

#define FAKE_REFUSED	12345	/* macs of a program that no kernel can run */

/* Not 0: there is an ahead-of-time build. */
extern unsigned int fake_image;

#endif
