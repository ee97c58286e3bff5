/* SPDX-License-Identifier: MIT */
/*
 * Static probe points in user space: a nop in the code and a note in the ELF
 * file, in the format of SystemTap's sys/sdt.h version 3, which bpftrace, perf,
 * gdb and libbpf read.
 *
 * Own instead of sys/sdt.h for one reason: each argument lies in the register
 * that the same argument of a function would lie in. So a BPF program reads them
 * as parameters, without an interpreter for operands. Up to six, 64 bits each.
 *
 *	USDT_DEFINE(submit);			once a file that uses it
 *
 *	if (usdt_on(submit))			its semaphore: somebody looks
 *		USDT6(submit, a, b, c, d, e, f);
 *
 * Off, a point costs a load and a branch, and arguments are not even evaluated.
 * On architectures other than x86-64 and AArch64 there are none.
 */
#ifndef BRAID_AGENT_USDT_H
#define BRAID_AGENT_USDT_H

#include <stdint.h>

#define USDT_DEFINE(name)							\
	__extension__ static volatile unsigned short braid_##name##_semaphore	\
		__attribute__((section(".probes"), used))

#define usdt_on(name)	__builtin_expect(braid_##name##_semaphore, 0)

/*
 * The note. The nop is one byte long on purpose: the kernel may turn a probe at
 * one of five bytes into a call, which writes below the stack pointer, where a
 * function that calls nobody keeps variables (the red zone).
 */
#define USDT_NOTE(name, args)							\
	"990:	nop\n"							\
	"	.pushsection .note.stapsdt,\"\",\"note\"\n"			\
	"	.balign 4\n"							\
	"	.4byte 992f-991f, 994f-993f, 3\n"				\
	"991:	.asciz \"stapsdt\"\n"						\
	"992:	.balign 4\n"							\
	"993:	.8byte 990b\n"							\
	"	.8byte _.stapsdt.base\n"					\
	"	.8byte braid_" #name "_semaphore\n"				\
	"	.asciz \"braid\"\n"						\
	"	.asciz \"" #name "\"\n"						\
	"	.asciz \"" args "\"\n"						\
	"994:	.balign 4\n"							\
	"	.popsection\n"							\
	"	.ifndef _.stapsdt.base\n"					\
	"	.pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
	"	.weak _.stapsdt.base\n"						\
	"	.hidden _.stapsdt.base\n"					\
	"_.stapsdt.base: .space 1\n"						\
	"	.size _.stapsdt.base, 1\n"					\
	"	.popsection\n"							\
	"	.endif\n"

#if defined(__x86_64__)
#define USDT_ARGS	"8@%%rdi 8@%%rsi 8@%%rdx 8@%%rcx 8@%%r8 8@%%r9"
#define USDT_REGS(a, b, c, d, e, f)						\
	register uint64_t usdt_a __asm__("rdi") = (a);				\
	register uint64_t usdt_b __asm__("rsi") = (b);				\
	register uint64_t usdt_c __asm__("rdx") = (c);				\
	register uint64_t usdt_d __asm__("rcx") = (d);				\
	register uint64_t usdt_e __asm__("r8") = (e);				\
	register uint64_t usdt_f __asm__("r9") = (f)
#elif defined(__aarch64__)
#define USDT_ARGS	"8@x0 8@x1 8@x2 8@x3 8@x4 8@x5"
#define USDT_REGS(a, b, c, d, e, f)						\
	register uint64_t usdt_a __asm__("x0") = (a);				\
	register uint64_t usdt_b __asm__("x1") = (b);				\
	register uint64_t usdt_c __asm__("x2") = (c);				\
	register uint64_t usdt_d __asm__("x3") = (d);				\
	register uint64_t usdt_e __asm__("x4") = (e);				\
	register uint64_t usdt_f __asm__("x5") = (f)
#endif

/*
 * Arguments are evaluated before the first register is taken: a call among them
 * would overwrite it.
 */
#ifdef USDT_ARGS
#define USDT6(name, a, b, c, d, e, f)						\
	do {									\
		uint64_t usdt_v[6] = { (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), \
				       (uint64_t)(d), (uint64_t)(e), (uint64_t)(f) }; \
		USDT_REGS(usdt_v[0], usdt_v[1], usdt_v[2], usdt_v[3], usdt_v[4], \
			  usdt_v[5]);						\
		__asm__ volatile(USDT_NOTE(name, USDT_ARGS)			\
				 :: "r"(usdt_a), "r"(usdt_b), "r"(usdt_c),	\
				    "r"(usdt_d), "r"(usdt_e), "r"(usdt_f)	\
				 : "memory");					\
	} while (0)
#else
#define USDT6(name, a, b, c, d, e, f)	((void)0)
#endif

#endif
