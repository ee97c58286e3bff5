# SPDX-License-Identifier: MIT
progs += braid-kernels
install-bin += braid-kernels
install-files += tools/kernels/braid-kernels.1:$(mandir)/man1
braid-kernels-src := tools/kernels/main.c
braid-kernels-libs := cuda lower program cpu onnxpb
braid-kernels-ldlibs := -lprotobuf-c -lnettle -ljansson -lm
