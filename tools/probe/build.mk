# SPDX-License-Identifier: MIT
#
# Only with the probes: bpf/build.mk, which is read before this file.
ifeq ($(probes-missing),)
progs += braid-probe
install-sbin += braid-probe
install-files += tools/probe/braid-probe.8:$(mandir)/man8
braid-probe-src := tools/probe/main.c tools/probe/record.c
braid-probe-libs := probes ctxsw
braid-probe-ldlibs := -lbpf -lelf -ljansson
endif
