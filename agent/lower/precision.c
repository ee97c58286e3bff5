// SPDX-License-Identifier: MIT
/*
 * Which precision suits a model, where nobody has said.
 *
 * What fp16 is off by grows with the number of roundings between input and
 * output, and is not averaged away where layers are narrow; what fp32 costs
 * grows with the arithmetic. So a small model of many layers is better off in
 * fp32: it takes as many launches, and these are its time. Anything else is
 * fp16. It is the program's alone, whatever the device and its tiles: the same
 * model answers the same everywhere.
 */
#include "agent/cuda/plan.h"

#include "agent/program/program.h"

#define SMALL_MACS	32000000u	/* a request */
#define MANY_OPS	64u

/* A device to count launches by. */
#define SM		90
#define MULTIPROCESSORS	132u

static uint32_t steps_of(const struct program *p, enum gpu_mode mode)
{
	const struct gpu_options o = { .mode = mode, .sm = SM, .n_sms = MULTIPROCESSORS };
	struct gpu_plan *plan;
	uint32_t n;

	if (gpu_plan_make(p, &o, &plan, NULL, 0))
		return 0;
	n = plan->n_steps;
	gpu_plan_free(plan);
	return n;
}

enum gpu_mode gpu_mode_auto(const struct program *p)
{
	uint32_t half, full;

	if (p->macs > SMALL_MACS || p->n_ops < MANY_OPS)
		return GPU_FP16;
	half = steps_of(p, GPU_FP16);
	full = steps_of(p, GPU_FP32);
	/* What can't be had in fp16 at all may be had in fp32. */
	return full && (!half || full <= half + half / 4) ? GPU_FP32 : GPU_FP16;
}
