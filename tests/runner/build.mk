# SPDX-License-Identifier: MIT
tests += test_plan
sanitize-tests += test_plan
test_plan-src := tests/runner/test_plan.c agent/runner/plan.c
