# SPDX-License-Identifier: MIT
#
# Tests of core/.

tests += test_core_property
test_core_property-src := tests/core/test_core_property.c tests/core/drive.c \
	tests/core/naive.c tests/core/naive_window.c
test_core_property-libs := core
sanitize-tests += test_core_property

fuzzers += fuzz_core
fuzz_core-src := tests/core/fuzz_core.c tests/core/drive.c tests/core/naive.c \
	tests/core/naive_window.c
fuzz_core-libs := core
