# SPDX-License-Identifier: MIT
#
# Plans and kernels without a GPU: the lowering, the kernels as the host's
# compiler has them, and the engine that runs them.

libs += emu
emu-src := $(addprefix tests/cuda/,emu.c emu_entries.c emu_plan.c gpu_check.c)

emu-libs-all := emu emukernels lower program cpu onnxpb

tests += test_gpu_models
test_gpu_models-src := tests/cuda/test_gpu_models.c tests/onnx/case.c
test_gpu_models-libs := $(emu-libs-all)
test_gpu_models-ldlibs := -lprotobuf-c -lm

tests += test_gpu_nodes
test_gpu_nodes-src := tests/cuda/test_gpu_nodes.c tests/onnx/case.c tests/onnx/families.c
test_gpu_nodes-libs := $(emu-libs-all)
test_gpu_nodes-ldlibs := -lprotobuf-c -lm

tests += test_gpu_conv
test_gpu_conv-src := tests/cuda/test_gpu_conv.c tests/program/graph.c
test_gpu_conv-libs := $(emu-libs-all)
test_gpu_conv-ldlibs := -lprotobuf-c -lm
