# SPDX-License-Identifier: MIT
#
# Found by their names, which are the real libraries'.
standin-switch := $(O)/tests/standin-switch/libcuda.so.1 $(O)/tests/standin-switch/libcupti.so.13
extra += $(standin-switch)
$(standin-switch): tests/switch/standin.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O1 -Wall -Wextra -Wno-unused-parameter -shared -fPIC \
		-Wl,-soname,$(@F) -o $(aside) $< && mv -f $(aside) $@
