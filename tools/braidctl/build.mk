# SPDX-License-Identifier: MIT
libs += ctl
ctl-src := $(addprefix tools/braidctl/,control.c source.c sysfs.c)

progs += braidctl
install-bin += braidctl
install-files += tools/braidctl/braidctl.1:$(mandir)/man1
braidctl-src := $(addprefix tools/braidctl/,main.c policy.c tables.c text.c)
braidctl-libs := ctl
braidctl-ldlibs := -ljansson
