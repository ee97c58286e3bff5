# SPDX-License-Identifier: MIT
#
# Top-level build. Not recursive: every folder names what it builds in its own
# build.mk, this file turns the names into rules.
#
#   libs  += foo     foo-src := a.c b.c           $(O)/libfoo.a
#   progs += foo     foo-src, foo-libs (ours), foo-ldlibs (-l...)    $(O)/foo
#   tests += foo     as progs; $(O)/tests/foo, prints TAP, run by `make check`
#   fuzzers += foo   as progs; $(O)/fuzz/foo, clang + libFuzzer, `make fuzz`
#   gen   += file    generated header or source that objects may include
#
# V=1 shows commands. SANITIZE=1 builds with ASan and UBSan into a tree of its own.

ifeq ($(SANITIZE),1)
O ?= build-asan
else
O ?= build
endif

CC ?= cc
PKG_CONFIG ?= pkg-config
CPPFLAGS += -D_GNU_SOURCE -I. -Iinclude -Iinclude/uapi -I$(O)/gen
WARN := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes \
	-Wold-style-definition -Wvla -Wundef -Wformat=2 -Wno-format-nonliteral \
	-Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 $(WARN) -fno-strict-aliasing -fno-common -fPIC \
	-fvisibility=hidden -pthread $(CFLAGS) $(SAN_FLAGS)
ALL_LDFLAGS = -pthread $(LDFLAGS) $(SAN_FLAGS)

ifeq ($(SANITIZE),1)
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif

ifeq ($(V),1)
Q :=
else
Q := @
endif
say = $(if $(Q),@printf '  %-7s %s\n' '$(1)' '$(2)')

libs :=
progs :=
tests :=
fuzzers :=
gen :=
extra :=

.PHONY: all check clean fuzz install
all:

include $(sort $(wildcard */build.mk) $(wildcard */*/build.mk))

obj = $(patsubst %.c,$(O)/%.o,$(filter %.c,$($(1)-src)))
arch = $(patsubst %,$(O)/lib%.a,$($(1)-libs))

define lib_rule
$(O)/lib$(1).a: $(call obj,$(1))
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$^
endef
$(foreach l,$(libs),$(eval $(call lib_rule,$(l))))

define prog_rule
$(2)/$(1): $(call obj,$(1)) $(call arch,$(1))
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $(call obj,$(1)) -Wl,--start-group $(call arch,$(1)) -Wl,--end-group $($(1)-ldlibs)
endef
$(foreach p,$(progs),$(eval $(call prog_rule,$(p),$(O))))
$(foreach t,$(tests),$(eval $(call prog_rule,$(t),$(O)/tests)))

# Fuzzers compile their sources a second time: libFuzzer's instrumentation
# needs clang and must cover the code under test, not only the harness.
FUZZ_CC ?= clang
FUZZ_FLAGS := -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -pthread
fuzz_src = $(filter %.c,$($(1)-src) $(foreach l,$($(1)-libs),$($(l)-src)))
define fuzz_rule
$(O)/fuzz/$(1): $(call fuzz_src,$(1)) | $(gen)
	$$(call say,FUZZ,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CC) $$(CPPFLAGS) $$(FUZZ_FLAGS) -o $$@ $(call fuzz_src,$(1)) $($(1)-ldlibs)
endef
$(foreach f,$(fuzzers),$(eval $(call fuzz_rule,$(f))))
fuzz: $(patsubst %,$(O)/fuzz/%,$(fuzzers))

$(O)/%.o: %.c | $(gen)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $($(basename $(notdir $<))-cflags) -MMD -MP -c -o $@ $<

$(O)/gen/%.o: $(O)/gen/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Wno-error -w -MMD -MP -c -o $@ $<

all: $(patsubst %,$(O)/%,$(progs)) $(patsubst %,$(O)/tests/%,$(tests)) $(extra)

check: all
	prove --timer -j$(shell nproc) -e '' $(sort $(patsubst %,$(O)/tests/%,$(tests)) $(wildcard tests/*.t))

clean:
	rm -rf build build-asan

-include $(shell find $(O) -name '*.d' 2>/dev/null)
