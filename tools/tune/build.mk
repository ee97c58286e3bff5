# SPDX-License-Identifier: MIT
#
# Plans on a GPU without a daemon: right or not, how fast, which tiles.

progs += braid-tune
install-bin += braid-tune
install-files += tools/tune/braid-tune.1:$(mandir)/man1
braid-tune-src := $(addprefix tools/tune/,main.c gpu.c check.c time.c sweep.c gemm.c)
braid-tune-libs := cuda lower program cpu onnxpb
braid-tune-ldlibs := -lprotobuf-c -lnettle -lm
