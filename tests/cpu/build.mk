# SPDX-License-Identifier: MIT
#
# Every test_*.c here is one test program.

cpu-tests := $(sort $(basename $(notdir $(wildcard tests/cpu/test_*.c))))
tests += $(cpu-tests)
sanitize-tests += $(cpu-tests)

define cpu_test
$(1)-src := tests/cpu/$(1).c tests/cpu/one.c
$(1)-libs := cpu program
$(1)-ldlibs := -lm
endef
$(foreach t,$(cpu-tests),$(eval $(call cpu_test,$(t))))
$(foreach t,test_nn test_resize test_rnn,$(eval $(t)-src += tests/cpu/nn.c))
