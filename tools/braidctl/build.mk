# SPDX-License-Identifier: MIT
progs += braidctl
install-bin += braidctl
install-files += tools/braidctl/braidctl.1:$(mandir)/man1
braidctl-src := $(addprefix tools/braidctl/,ask.c main.c policy.c tables.c)
braidctl-ldlibs := -ljansson
