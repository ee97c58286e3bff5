# SPDX-License-Identifier: MIT
libs += ctl
ctl-src := $(addprefix tools/braidctl/,control.c netlink.c netlink_event.c netlink_queue.c source.c \
	sysfs.c)
ctl-nl := $(shell $(PKG_CONFIG) --cflags libnl-genl-3.0)
netlink-cflags := $(ctl-nl)
netlink_event-cflags := $(ctl-nl)
netlink_queue-cflags := $(ctl-nl)
# What links ctl links these: knobs have one list.
ctl-libs := agent core
ctl-ldlibs := -ljansson -lnl-genl-3 -lnl-3

progs += braidctl
install-bin += braidctl
install-files += tools/braidctl/braidctl.1:$(mandir)/man1
braidctl-src := $(addprefix tools/braidctl/,doctor.c helper.c main.c measure.c monitor.c owners.c \
	policy.c stalls.c tables.c text.c trace.c trace_write.c)
braidctl-libs := ctl $(ctl-libs)
braidctl-ldlibs := $(ctl-ldlibs)
