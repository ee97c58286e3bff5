# SPDX-License-Identifier: MIT

# A model on the CPU backend without a queue, for this tool and for tests.
libs += direct
direct-src := tools/run/direct.c

progs += braid-run
install-bin += braid-run
install-files += tools/run/braid-run.1:$(mandir)/man1
braid-run-src := tools/run/main.c tools/run/report.c
braid-run-libs := direct draw program cpu onnxpb
braid-run-ldlibs := -lprotobuf-c -lnettle -ljansson -lm
