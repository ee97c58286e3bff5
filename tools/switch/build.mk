# SPDX-License-Identifier: MIT

# Decoding context-switch records; needs neither BPF nor a GPU.
libs += ctxsw
ctxsw-src := bpf/ctxsw.c bpf/ctxsw_node.c bpf/figures.c

libs += switch
switch-src := tools/switch/cuda.c tools/switch/cupti.c tools/switch/fecs.c tools/switch/node.c tools/switch/rm.c \
	tools/switch/report.c tools/switch/witness.c

progs += braid-switch
install-bin += braid-switch
install-files += tools/switch/braid-switch.1:$(mandir)/man1
braid-switch-src := tools/switch/main.c
braid-switch-libs := switch ctxsw cuda
braid-switch-ldlibs := -ljansson -ldl
