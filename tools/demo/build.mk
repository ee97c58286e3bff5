# SPDX-License-Identifier: MIT
#
# The demo's C side. The script tools/demo/demo puts its steps together.

progs += braid-demo
braid-demo-src := $(addprefix tools/demo/,chain.c dict.c golden.c image.c image_read.c \
	live.c load.c main.c models.c ocr_det.c ocr_line.c record.c replay.c scene.c \
	tenant.c vad.c)
braid-demo-libs := braid onnxpb
braid-demo-ldlibs := -lprotobuf-c -lpng -ljpeg -lz -lm
