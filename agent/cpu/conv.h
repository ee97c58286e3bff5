/* SPDX-License-Identifier: MIT */
/*
 * The ways of doing a convolution or its transpose, to choose from. The prepare
 * functions set co->kernel to what runs the choice.
 */
#ifndef BRAID_AGENT_CPU_CONV_H
#define BRAID_AGENT_CPU_CONV_H

#include "agent/cpu/kernel.h"

bool dwconv_fits(const struct cpu_op *co);
int dwconv_prepare(struct cpu_op *co);

bool rowconv_fits(const struct cpu_op *co);
int rowconv_prepare(struct cpu_op *co);

bool upconv_fits(const struct cpu_op *co);
int upconv_prepare(struct cpu_op *co);

#endif
