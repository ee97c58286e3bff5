# SPDX-License-Identifier: MIT
#
# ONNX's own backend test cases (libonnx-testdata), and the table of what of
# them passes: `make docs-onnx` writes it, test_onnx_nodes says when it is old.

tests += test_onnx_nodes
sanitize-tests += test_onnx_nodes
test_onnx_nodes-src := $(addprefix tests/onnx/,test_onnx_nodes.c case.c families.c table.c)
test_onnx_nodes-libs := program cpu onnxpb
test_onnx_nodes-ldlibs := -lprotobuf-c -lnettle -lm

# Small models in the shape of our families, with what ONNX Runtime made of them
# (tests/onnx/families.py).
tests += test_onnx_families
sanitize-tests += test_onnx_families
test_onnx_families-src := tests/onnx/test_onnx_families.c tests/onnx/case.c
test_onnx_families-libs := program cpu onnxpb
test_onnx_families-ldlibs := -lprotobuf-c -lnettle -lm

.PHONY: docs-onnx
docs-onnx: $(O)/tests/test_onnx_nodes
	$(Q)$< --table >Documentation/onnx-operators.md.new && \
		mv Documentation/onnx-operators.md.new Documentation/onnx-operators.md
