# SPDX-License-Identifier: MIT
#
# Tests of core/.

core-drive := $(addprefix tests/core/,drive.c drive_agent.c drive_ops.c)
core-drive += $(addprefix tests/core/,naive.c naive_share.c naive_table.c naive_window.c)

tests += test_core_property
test_core_property-src := tests/core/test_core_property.c $(core-drive)
test_core_property-libs := core
sanitize-tests += test_core_property

fuzzers += fuzz_core
fuzz_core-src := tests/core/fuzz_core.c $(core-drive)
fuzz_core-libs := core

# Breaks core/ in many places, one after the other, and expects the property
# test to notice each. Minutes, so by hand and not with each check.
.PHONY: core-mutations
core-mutations:
	tests/core/mutations.sh

tests += test_core_rbtree
test_core_rbtree-src := tests/core/test_core_rbtree.c
test_core_rbtree-libs := core

core-unit := test_core_order test_core_window test_core_tenant test_core_agent
tests += $(core-unit)
sanitize-tests += $(core-unit)
$(foreach t,$(core-unit),$(eval $(t)-src := tests/core/$(t).c tests/core/world.c))
$(foreach t,$(core-unit),$(eval $(t)-libs := core))
