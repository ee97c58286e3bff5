# SPDX-License-Identifier: MIT

tests += test_zoo_golden
test_zoo_golden-src := tests/models/zoo_golden.c tests/golden.c
test_zoo_golden-libs := direct draw zoo program cpu onnxpb
test_zoo_golden-ldlibs := -lprotobuf-c -lnettle -lm

tests += test_mix
test_mix-src := tests/models/mix.c
test_mix-libs := draw zoo program cpu onnxpb
test_mix-ldlibs := -lprotobuf-c -lnettle -lm
