# SPDX-License-Identifier: MIT
#
# Top-level build. Not recursive: every folder names what it builds in its own
# build.mk, this file turns the names into rules.
#
#   libs  += foo     foo-src := a.c b.c           $(O)/libfoo.a
#   progs += foo     foo-src, foo-libs (ours), foo-ldlibs (-l...)    $(O)/foo
#   tests += foo     as progs; $(O)/tests/foo, prints TAP, run by `make check`
#   sanitize-tests += foo   of the tests, those that `make check-all` runs a
#                    second time under the sanitizers
#   fuzzers += foo   as progs; $(O)/fuzz/foo, clang + libFuzzer, `make fuzz`
#   gen   += file    generated header or source that objects may include;
#                    a source in $(O)/gen is named gen/x.c in foo-src
#   extra += file    anything else that `make` should build, with its own rule
#   x-cflags := -O3  more flags for x.c alone
#
# What `make install` does, besides:
#
#   install-bin  += foo          a program of progs, to $(bindir)
#   install-sbin += foo          the same, to $(sbindir)
#   install-files += file:folder any file, to that folder
#   install-hooks += target      a target of the fragment's own, run last
#   installed    += file         what a hook installs and has to be built
#
# V=1 shows commands. SANITIZE=1 builds with ASan and UBSan into a tree of its
# own. Other flags in the same tree rebuild what they touch. Several makes may
# run in one tree: every output is written aside and renamed.

ifeq ($(SANITIZE),1)
O ?= build-asan
else
O ?= build
endif

CC ?= cc
PKG_CONFIG ?= pkg-config
INSTALL ?= install
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

# 0: the library's binary interface may still change.
version := 0.1.0
main-cflags := -DBRAID_VERSION='"$(version)"'
PREFIX ?= /usr/local
bindir ?= $(PREFIX)/bin
sbindir ?= $(PREFIX)/sbin
libdir ?= $(PREFIX)/lib
includedir ?= $(PREFIX)/include
mandir ?= $(PREFIX)/share/man
docdir ?= $(PREFIX)/share/doc/braid
sysconfdir ?= /etc
unitdir ?= $(PREFIX)/lib/systemd/system

ifeq ($(V),1)
Q :=
else
Q := @
endif
say = $(if $(Q),@printf '  %-7s %s\n' '$(1)' '$(2)')
define newline


endef
# An output is made under this name and then renamed to $@.
aside = $@.$$$$

libs :=
progs :=
tests :=
sanitize-tests :=
fuzzers :=
gen :=
extra :=
install-bin :=
install-sbin :=
install-files :=
install-hooks :=
installed :=

.PHONY: all sanitized check check-all style checkpatch clean fuzz install
.DELETE_ON_ERROR:
.SUFFIXES:
all:

include $(sort $(wildcard */build.mk) $(wildcard */*/build.mk))

# $(call note,file,text) keeps text in file and touches it only when the text
# changed: what depends on the file is rebuilt then, and only then.
ifeq ($(filter clean,$(MAKECMDGOALS)),)
note = $(if $(subst <$(strip $(2))>,,<$(strip $(file <$(1)))>),$(shell mkdir -p $(dir $(1)))$(file >$(1),$(strip $(2))))
endif
notes := $(O)/.notes
# The texts, and all that they link to, at the same places beside them.
doc-files := $(wildcard Documentation/*.md Documentation/*.svg Documentation/images/*.svg \
	Documentation/results/* Documentation/ABI/*/*)
install-files += $(foreach f,$(doc-files),$(f):$(docdir)$(patsubst %/,%,$(patsubst Documentation%,%,$(dir $(f)))))
install-files += $(O)/doc/README.md:$(docdir)
installed += $(O)/doc/README.md
$(call note,$(notes)/compile,$(CC) $(CPPFLAGS) $(ALL_CFLAGS))
$(call note,$(notes)/link,$(CC) $(ALL_LDFLAGS))

obj = $(patsubst %.c,$(O)/%.o,$(filter %.c,$($(1)-src)))
arch = $(patsubst %,$(O)/lib%.a,$($(1)-libs))
objects := $(sort $(foreach x,$(libs) $(progs) $(tests),$(call obj,$(x))))

define cflags_rule
$$(call note,$(notes)/$(1),$$($(1)))
$(filter %/$(1:-cflags=).o,$(objects)): $(notes)/$(1)
endef
$(foreach v,$(filter %-cflags,$(.VARIABLES)),$(eval $(call cflags_rule,$(v))))

define lib_rule
$$(call note,$(notes)/lib$(1),$$(call obj,$(1)))
$(O)/lib$(1).a: $(call obj,$(1)) $(notes)/lib$(1)
	$$(call say,AR,$$@)
	$$(Q)rm -f $$(aside) && $$(AR) rcs $$(aside) $$(filter %.o,$$^) && mv -f $$(aside) $$@
endef
$(foreach l,$(libs),$(eval $(call lib_rule,$(l))))

define prog_rule
$$(call note,$(notes)/prog-$(1),$$(call obj,$(1)) $$(call arch,$(1)) $$($(1)-ldlibs))
$(2)/$(1): $(call obj,$(1)) $(call arch,$(1)) $(notes)/prog-$(1) $(notes)/link
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$(aside) $(call obj,$(1)) -Wl,--start-group $(call arch,$(1)) -Wl,--end-group $($(1)-ldlibs) \
		&& mv -f $$(aside) $$@
endef
$(foreach p,$(progs),$(eval $(call prog_rule,$(p),$(O))))
$(foreach t,$(tests),$(eval $(call prog_rule,$(t),$(O)/tests)))

cflags_of = $($(basename $(notdir $<))-cflags)
compile = $(CPPFLAGS) $(ALL_CFLAGS) $(cflags_of)
deps = -MMD -MP -MF $(@:.o=.d) -MT $@

$(O)/%.o: %.c $(notes)/compile | $(gen)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(compile) $(deps) -c -o $(aside) $< && mv -f $(aside) $@

# Generated code is not ours to keep free of warnings.
$(O)/gen/%.o: $(O)/gen/%.c $(notes)/compile | $(gen)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(compile) -Wno-error -w $(deps) -c -o $(aside) $< && mv -f $(aside) $@

# Fuzzers compile their sources a second time: libFuzzer's instrumentation
# needs clang and must cover the code under test, not only the harness.
FUZZ_CC ?= clang
FUZZ_FLAGS := -std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -pthread
fuzz_obj = $(patsubst %.c,$(O)/fuzz/obj/%.o,$(filter %.c,$($(1)-src) $(foreach l,$($(1)-libs),$($(l)-src))))
objects += $(sort $(foreach f,$(fuzzers),$(call fuzz_obj,$(f))))
define fuzz_rule
$(O)/fuzz/$(1): $(call fuzz_obj,$(1))
	$$(call say,FUZZ,$$@)
	$$(Q)$$(FUZZ_CC) $$(FUZZ_FLAGS) -fsanitize=fuzzer -o $$(aside) $$^ $($(1)-ldlibs) && mv -f $$(aside) $$@
endef
$(foreach f,$(fuzzers),$(eval $(call fuzz_rule,$(f))))

fuzz_compile = $(FUZZ_CC) $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link $(deps) -c -o $(aside)
$(O)/fuzz/obj/gen/%.o: $(O)/gen/%.c | $(gen)
	$(call say,FUZZCC,$<)
	@mkdir -p $(@D)
	$(Q)$(fuzz_compile) -w $< && mv -f $(aside) $@
$(O)/fuzz/obj/%.o: %.c | $(gen)
	$(call say,FUZZCC,$<)
	@mkdir -p $(@D)
	$(Q)$(fuzz_compile) $(cflags_of) $< && mv -f $(aside) $@
fuzz: $(patsubst %,$(O)/fuzz/%,$(fuzzers))

# Notes are written while this file is read; there is nothing left to do.
$(notes)/%: ;

all: $(patsubst %,$(O)/%,$(progs)) $(patsubst %,$(O)/tests/%,$(tests)) $(extra)

# Tests are found under the names below, or only those of TESTS=. Scripts learn
# the tree to test from $O. prove's summary is the last thing printed.
export O
PROVE ?= prove
PROVE_JOBS ?= $(shell nproc)
run_tests = $(PROVE) --timer -j$(PROVE_JOBS) -e ''
TESTS ?= $(sort $(patsubst %,$(O)/tests/%,$(tests)) $(wildcard tests/*.t tests/*/*.t))
san_tests := $(patsubst %,$(O)-asan/tests/%,$(sort $(filter $(tests),$(sanitize-tests))))

check: all
	@$(run_tests) $(TESTS)

# The sanitizers' tree is a second make: flags and objects are its own.
sanitized:
	$(if $(filter-out $(tests),$(sanitize-tests)),$(error sanitize-tests names no test: $(filter-out $(tests),$(sanitize-tests))))
	@$(MAKE) --no-print-directory SANITIZE=1 O=$(O)-asan $(or $(san_tests),sanitized-none)
.PHONY: sanitized-none
sanitized-none:
	@:

check-all: all sanitized
	@$(run_tests) $(TESTS) $(san_tests)

style:
	@$(PROVE) -v -e '' tests/style.t

checkpatch:
	@tools/style/checkpatch

# Installing needs what is installed, not the tests.
installed += $(patsubst %,$(O)/%,$(install-bin) $(install-sbin))
.PHONY: installed
installed: $(installed)

# Installed, it lies among the texts that it links to; a package has a copyright file.
$(O)/doc/README.md: README.md
	@mkdir -p $(@D)
	$(Q)sed 's|\[Documentation/|[|g; s|](Documentation/|](|g; s|\[COPYING\](COPYING)|COPYING of the source|' $< >$@

install: installed
	$(foreach p,$(install-bin),$(INSTALL) -D -m 755 $(O)/$(p) $(DESTDIR)$(bindir)/$(p)$(newline))
	$(foreach p,$(install-sbin),$(INSTALL) -D -m 755 $(O)/$(p) $(DESTDIR)$(sbindir)/$(p)$(newline))
	$(foreach f,$(install-files),$(INSTALL) -D -m 644 $(firstword $(subst :, ,$(f))) \
		$(DESTDIR)$(lastword $(subst :, ,$(f)))/$(notdir $(firstword $(subst :, ,$(f))))$(newline))
	$(if $(install-hooks),@$(MAKE) --no-print-directory $(install-hooks))

clean:
	rm -rf build build-asan $(O)

-include $(wildcard $(objects:.o=.d))
