# SPDX-License-Identifier: MIT
#
# The CUDA backend. Needs no toolkit: driver and compiler are found at run time.

libs += cuda
cuda-src := agent/backend/memory.c $(sort $(wildcard agent/cuda/*.c))
