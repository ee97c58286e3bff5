# SPDX-License-Identifier: MIT
#
# The CPU backend. Inner loops are compiled once an instruction set.

libs += cpu
cpu-src := agent/backend/memory.c $(sort $(wildcard agent/cpu/*.c))

ifeq ($(shell $(CC) -dumpmachine | cut -d- -f1),x86_64)
isa_avx2-cflags := -O3 -mavx2 -mfma -mf16c -fno-math-errno -fno-trapping-math
isa_avx512-cflags := -O3 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mf16c \
	-mprefer-vector-width=512 -fno-math-errno -fno-trapping-math
endif
isa_base-cflags := -O3 -fno-math-errno -fno-trapping-math

# Plain loops, cloned by clones.h where it pays.
cpu-loops := -O3 -fno-math-errno -fno-trapping-math
$(foreach f,vmath move convert k_binary k_unary k_where k_reduce k_lrn k_argreduce,$(eval $(f)-cflags := $(cpu-loops)))
$(foreach f,k_pool k_norm k_resize,$(eval $(f)-cflags := $(cpu-loops)))
