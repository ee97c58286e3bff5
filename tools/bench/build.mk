# SPDX-License-Identifier: MIT
progs += braid-bench
install-bin += braid-bench
install-files += tools/bench/braid-bench.1:$(mandir)/man1
braid-bench-src := $(addprefix tools/bench/,arrivals.c hist.c main.c options.c report.c tenant.c)
braid-bench-libs := braid ctl
braid-bench-ldlibs = -linih $(ctl-ldlibs) -lm

progs += braid-roundtrip
braid-roundtrip-src := tools/bench/roundtrip.c
braid-roundtrip-libs := braid
braid-roundtrip-ldlibs := -ljansson
