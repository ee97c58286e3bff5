# SPDX-License-Identifier: MIT
#
# The ONNX message classes, made from the distribution's own onnx.proto
# (libonnx-dev) so that no copy of the format lives here. Generated code is
# compiled without warnings as errors: it is protoc-c's, not ours.
#
# Users: `foo-libs += onnxpb`, `foo-ldlibs += -lprotobuf-c`, and
# #include "onnx.pb-c.h".

ONNX_PROTO_DIR ?= /usr/include/onnx
PROTOC_C ?= protoc-c

libs += onnxpb
onnxpb-src := gen/onnx.pb-c.c

gen += $(O)/gen/onnx.pb-c.h
$(O)/gen/onnx.pb-c.h: $(ONNX_PROTO_DIR)/onnx.proto
	$(call say,PROTOC,$<)
	@mkdir -p $(@D)
	$(Q)$(PROTOC_C) -I$(ONNX_PROTO_DIR) --c_out=$(@D) $<
$(O)/gen/onnx.pb-c.c: $(O)/gen/onnx.pb-c.h ;
