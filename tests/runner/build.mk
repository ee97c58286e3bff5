# SPDX-License-Identifier: MIT
tests += test_plan
sanitize-tests += test_plan
test_plan-src := tests/runner/test_plan.c agent/runner/plan.c

tests += test_adapt
test_adapt-src := tests/runner/test_adapt.c agent/runner/adapt.c
test_adapt-ldlibs := -lm
sanitize-tests += test_adapt

tests += test_outside
test_outside-src := tests/runner/test_outside.c agent/runner/outside.c agent/log.c
test_outside-libs := ctxsw
test_outside-ldlibs := -ljansson
sanitize-tests += test_outside

tests += test_watchdog
test_watchdog-src := tests/runner/test_watchdog.c agent/runner/watchdog.c agent/log.c
