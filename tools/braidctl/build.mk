# SPDX-License-Identifier: MIT
progs += braidctl
install-bin += braidctl
braidctl-src := $(addprefix tools/braidctl/,ask.c main.c policy.c tables.c)
braidctl-ldlibs := -ljansson
