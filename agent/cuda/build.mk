# SPDX-License-Identifier: MIT
#
# The CUDA backend. Needs no toolkit: driver and compiler are found at run time.
# Where there is one, kernels whose shapes are arguments are built ahead of
# time; they serve until those with the shapes as constants are compiled.

libs += cuda
cuda-src := agent/backend/memory.c $(sort $(wildcard agent/cuda/*.c))

NVCC ?= $(firstword $(wildcard /usr/local/cuda/bin/nvcc) $(shell command -v nvcc 2>/dev/null))
generic-cu := $(sort $(wildcard kernels/generic_*.cu))
# What is compiled for sm_80 serves sm_87 too, up to the last step, which costs least.
generic-archs := -gencode 'arch=compute_80,code=[sm_80,sm_87]' \
	-gencode 'arch=compute_90,code=[sm_90,compute_90]'
generic-image := $(O)/gen/generic.fatbin

# Sanitizers look at host code: their tree has no use for the image.
ifneq ($(and $(NVCC),$(filter-out 1-,$(SANITIZE)-)),)
$(generic-image): $(generic-cu) $(wildcard kernels/*.cuh kernels/*.h) agent/cuda/build.mk
	$(call say,NVCC,$@)
	@mkdir -p $(@D)
	$(Q)printf '#include "%s"\n' $(notdir $(generic-cu)) >$(O)/gen/generic.cu
	$(Q)$(NVCC) -fatbin -Xfatbin=-compress-all -std=c++17 -O3 -Ikernels -w --threads 0 \
		$(generic-archs) -o $(aside) $(O)/gen/generic.cu && mv -f $(aside) $@
else
$(generic-image): agent/cuda/build.mk
	@mkdir -p $(@D)
	$(Q): >$(aside) && mv -f $(aside) $@
endif

generic_image-cflags := -DBRAID_GENERIC_IMAGE='"$(generic-image)"'
$(O)/agent/cuda/generic_image.o: $(generic-image)
