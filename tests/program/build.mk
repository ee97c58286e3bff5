# SPDX-License-Identifier: MIT
#
# Every test_*.c here is one test program.

program-tests := $(sort $(basename $(notdir $(wildcard tests/program/test_*.c))))
tests += $(program-tests)
sanitize-tests += $(program-tests)

define program_test
$(1)-src := tests/program/$(1).c tests/program/graph.c
$(1)-libs := program cpu onnxpb zoo
$(1)-ldlibs := -lprotobuf-c -lnettle -lm
endef
$(foreach t,$(program-tests),$(eval $(call program_test,$(t))))

fuzzers += fuzz_onnx
fuzz_onnx-src := tests/program/fuzz_onnx.c
fuzz_onnx-libs := program cpu onnxpb
fuzz_onnx-ldlibs := -lprotobuf-c -lnettle -lm
