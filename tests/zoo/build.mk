# SPDX-License-Identifier: MIT

tests += test_zoo
test_zoo-src := tests/zoo/zoo.c
test_zoo-libs := zoo onnxpb
test_zoo-ldlibs := -lprotobuf-c -lm

tests += test_golden_file
test_golden_file-src := tests/zoo/golden_file.c tests/golden.c
test_golden_file-libs := draw
test_golden_file-ldlibs := -lm
