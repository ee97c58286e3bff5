# SPDX-License-Identifier: MIT
#
# The conformance suite: tests of this tree over the socket, and over the device
# in test machines (BRAID_TEST_TRANSPORT=device); there once more as 32-bit
# callers, which `make abi32` builds where the compiler can.

abi-tests := $(sort $(basename $(notdir $(wildcard tests/abi/test_*.c))))
abi-device := $(addprefix tests/abi/,abi.c device.c netlink.c)
tests += $(abi-tests)
sanitize-tests += $(abi-tests)

define abi_test
$(1)-src := tests/abi/$(1).c $(abi-device) tests/abi/socket.c \
	$(addprefix tests/transport/,daemon.c fake.c raw.c)
$(1)-libs := wire
$(1)-ldlibs := -ljansson
$$(O)/tests/$(1): $$(O)/braidd $$(O)/braid-zoo
$$(O)/abi32/$(1:test_abi_%=test_abi32_%): tests/abi/$(1).c
endef
$(foreach t,$(abi-tests),$(eval $(call abi_test,$(t))))

# The kernel's own headers are those of the 64-bit system: they are the same.
CC32 ?= gcc-12 -m32
abi32_flags = -static $(CPPFLAGS) -idirafter /usr/include/x86_64-linux-gnu $(ALL_CFLAGS)

.PHONY: abi32
abi32: $(patsubst test_abi_%,$(O)/abi32/test_abi32_%,$(abi-tests))
$(O)/abi32/%: $(abi-device) tests/abi/abi.h tests/tap.h include/uapi/linux/braid.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC32) $(abi32_flags) -o $(aside) $(filter %.c,$^) && mv -f $(aside) $@
