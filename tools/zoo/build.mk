# SPDX-License-Identifier: MIT

libs += zoo
zoo-src := $(addprefix tools/zoo/,graph.c calibrate.c layers.c models.c resnet.c \
	mobilenet.c squeezenet.c efficientnet.c bert.c tiny.c recurrent.c)

# Seeded inputs, for tests and tools.
libs += draw
draw-src := tools/zoo/draw.c

# Model files are reproducible to the bit, also where the machine has fused
# multiply-add: these compute what is written into them.
calibrate-cflags := -O3 -ffp-contract=off
layers-cflags := -ffp-contract=off

progs += braid-zoo
install-bin += braid-zoo
install-files += tools/zoo/braid-zoo.1:$(mandir)/man1
braid-zoo-src := tools/zoo/main.c
braid-zoo-libs := zoo onnxpb
braid-zoo-ldlibs := -lprotobuf-c -lm
