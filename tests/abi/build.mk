# SPDX-License-Identifier: MIT
#
# The conformance suite: once over the socket, as tests of this tree, and once
# linked statically for the device alone, to be put into test machines
# (`make abi`); with a compiler that can, for 32-bit callers as well (`make abi32`).

abi-tests := $(sort $(basename $(notdir $(wildcard tests/abi/test_*.c))))
tests += $(abi-tests)
sanitize-tests += $(abi-tests)

define abi_test
$(1)-src := tests/abi/$(1).c $(addprefix tests/abi/,abi.c device.c socket.c) \
	$(addprefix tests/transport/,daemon.c fake.c raw.c)
$(1)-libs := wire
$(1)-ldlibs := -ljansson
$$(O)/tests/$(1): $$(O)/braidd $$(O)/braid-zoo
$$(O)/abi/$(1) $$(O)/abi32/$(1): tests/abi/$(1).c
endef
$(foreach t,$(abi-tests),$(eval $(call abi_test,$(t))))

abi-alone := tests/abi/abi.c tests/abi/device.c
abi_link = $(CC) -static $(CPPFLAGS) $(ALL_CFLAGS) $(1) -o $(aside) $(filter %.c,$^) && \
	mv -f $(aside) $@

.PHONY: abi abi32
abi: $(patsubst %,$(O)/abi/%,$(abi-tests))
abi32: $(patsubst %,$(O)/abi32/%,$(abi-tests))

$(O)/abi/%: $(abi-alone) $(wildcard tests/abi/*.h) tests/tap.h include/uapi/linux/braid.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(call abi_link)

$(O)/abi32/%: $(abi-alone) $(wildcard tests/abi/*.h) tests/tap.h include/uapi/linux/braid.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(call abi_link,-m32)
