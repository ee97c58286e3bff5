// SPDX-License-Identifier: MIT
/*
 * Which precision suits a model, where nobody has said.
 *
 * What fp16 is off by grows with the number of roundings between input and
 * output, and is not averaged away where layers are narrow; what fp32 costs
 * grows with the arithmetic. So a small model of many layers is better off in
 * fp32: it takes as many launches, and these are its time. Anything else is
 * fp16.
 */
#include "agent/cuda/plan.h"

#include "agent/program/program.h"

#define SMALL_MACS	32000000u	/* a request */
#define MANY_OPS	64u

static uint32_t steps_of(const struct program *p, const struct gpu_options *opt, enum gpu_mode mode)
{
	struct gpu_options o = *opt;
	struct gpu_plan *plan;
	uint32_t n;

	o.mode = mode;
	if (gpu_plan_make(p, &o, &plan, NULL, 0))
		return 0;
	n = plan->n_steps;
	gpu_plan_free(plan);
	return n;
}

enum gpu_mode gpu_mode_auto(const struct program *p, const struct gpu_options *opt)
{
	uint32_t half, full;

	if (p->macs > SMALL_MACS || p->n_ops < MANY_OPS)
		return GPU_FP16;
	half = steps_of(p, opt, GPU_FP16);
	full = steps_of(p, opt, GPU_FP32);
	return full && full <= half + half / 4 ? GPU_FP32 : GPU_FP16;
}
