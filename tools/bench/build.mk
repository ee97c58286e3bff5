# SPDX-License-Identifier: MIT
progs += braid-bench
install-bin += braid-bench
install-files += tools/bench/braid-bench.1:$(mandir)/man1
braid-bench-src := $(addprefix tools/bench/,arrivals.c hist.c direct.c main.c options.c report.c tenant.c)
braid-bench-libs = braid ctl $(ctl-libs) cuda lower program cpu onnxpb
braid-bench-ldlibs = -linih -lprotobuf-c -lnettle $(ctl-ldlibs) -lm

progs += braid-roundtrip
braid-roundtrip-src := tools/bench/roundtrip.c
braid-roundtrip-libs := braid
braid-roundtrip-ldlibs := -ljansson

progs += braid-recover
install-bin += braid-recover
install-files += tools/bench/braid-recover.1:$(mandir)/man1
braid-recover-src := tools/bench/recover.c
braid-recover-libs = braid ctl $(ctl-libs)
braid-recover-ldlibs = $(ctl-ldlibs)
