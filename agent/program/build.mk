# SPDX-License-Identifier: MIT
#
# From an ONNX file to a program: importer, emit functions, builder, passes,
# verifier. Constant folding calls cpu_eval(), so whoever links this links cpu,
# and -lnettle for what names a model.

libs += program
program-src := $(wildcard agent/program/*.c agent/onnx/*.c)
