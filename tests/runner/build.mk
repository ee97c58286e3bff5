# SPDX-License-Identifier: MIT
tests += test_plan
sanitize-tests += test_plan
test_plan-src := tests/runner/test_plan.c agent/runner/plan.c

tests += test_adapt
test_adapt-src := tests/runner/test_adapt.c agent/runner/adapt.c
sanitize-tests += test_adapt
