# SPDX-License-Identifier: MIT
#
# Kernels for the host's compiler: an entry is a function that the engine in
# tests/cuda/ runs. Warnings are errors, as in C.

KCXX ?= $(patsubst %gcc,%g++,$(patsubst cc,c++,$(patsubst clang,clang++,$(CC))))
emu-flags := -x c++ -std=c++17 -DBRAID_EMULATE -Wall -Wextra -Werror -Wno-unknown-pragmas \
	-Wno-unused-function -fno-exceptions -fno-rtti -fno-strict-aliasing -fPIC \
	-fvisibility=hidden -Ikernels

emu-objects := $(patsubst kernels/%.cu,$(O)/kernels/%.o,$(sort $(wildcard kernels/*.cu)))

$(O)/kernels/%.o: kernels/%.cu kernels/build.mk
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(KCXX) $(emu-flags) $(CFLAGS) $(SAN_FLAGS) $(deps) -c -o $(aside) $< && mv -f $(aside) $@

$(O)/libemukernels.a: $(emu-objects)
	$(call say,AR,$@)
	$(Q)rm -f $(aside) && $(AR) rcs $(aside) $(emu-objects) && mv -f $(aside) $@

# As specialised kernels have them: for plans under the engine, not for the stand-in.
$(O)/tests/cuda/exact.o: tests/cuda/exact.cu kernels/build.mk
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(KCXX) $(emu-flags) $(CFLAGS) $(SAN_FLAGS) $(deps) -c -o $(aside) $< && mv -f $(aside) $@

$(O)/libemuexact.a: $(O)/tests/cuda/exact.o
	$(call say,AR,$@)
	$(Q)rm -f $(aside) && $(AR) rcs $(aside) $< && mv -f $(aside) $@

-include $(wildcard $(emu-objects:.o=.d) $(O)/tests/cuda/exact.d)
