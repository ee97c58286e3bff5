# SPDX-License-Identifier: MIT

demo-test-src := $(addprefix tools/demo/,chain.c dict.c golden.c image.c image_read.c models.c \
	ocr_det.c ocr_line.c replay.c scene.c vad.c)

tests += test_demo_input test_demo_golden
sanitize-tests += test_demo_input test_demo_golden
test_demo_input-src := tests/demo/test_demo_input.c $(demo-test-src)
test_demo_golden-src := tests/demo/test_demo_golden.c $(demo-test-src)
test_demo_input-libs := onnxpb
test_demo_golden-libs := onnxpb
test_demo_input-ldlibs := -lprotobuf-c -lpng -ljpeg -lz -lm
test_demo_golden-ldlibs := -lprotobuf-c -lpng -ljpeg -lz -lm

tests += test_demo_models
sanitize-tests += test_demo_models
test_demo_models-src := tests/demo/test_demo_models.c $(demo-test-src)
test_demo_models-libs := program cpu onnxpb
test_demo_models-ldlibs := -lprotobuf-c -lnettle -lpng -ljpeg -lz -lm
