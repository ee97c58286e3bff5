# SPDX-License-Identifier: MIT
#
# Tests of libbraid: with a braidd of their own, and against a queue that
# misbehaves (fake.c).

lib-tests := $(sort $(basename $(notdir $(wildcard tests/lib/test_*.c))))
tests += $(lib-tests)
sanitize-tests += $(lib-tests)

define lib_test
$(1)-src := tests/lib/$(1).c tests/lib/work.c tests/lib/fake.c tests/transport/daemon.c
$(1)-libs := braid
$(1)-ldlibs := -ljansson -lm
$$(O)/tests/$(1): $$(O)/braidd $$(O)/braid-zoo
endef
$(foreach t,$(lib-tests),$(eval $(call lib_test,$(t))))
