# SPDX-License-Identifier: GPL-2.0-only
#
# `make module KDIR=...`: braid.ko for one kernel, into a folder of its own
# under $(O)/kmod/, so that kernels do not share objects and the tree stays
# clean. Not part of `make`: user space needs no kernel headers.
#
#   KDIR    headers or build folder of the kernel (default: the running one's)
#   KFLAGS  more for the kernel's make: W=1, C=2, ARCH=arm64 CROSS_COMPILE=...

KDIR ?= /lib/modules/$(shell uname -r)/build
KFLAGS ?=

.PHONY: module
module:
	@test -f $(KDIR)/include/generated/utsrelease.h || { \
		echo "no kernel headers in $(KDIR): KDIR= names them" >&2; exit 1; }
	$(Q)out=$(O)/kmod/$$(cut -d'"' -f2 $(KDIR)/include/generated/utsrelease.h) && \
	mkdir -p $$out/kmod $$out/core $$out/include/uapi/linux && \
	cp -pu Kbuild $$out/ && cp -pu kmod/*.[ch] $$out/kmod/ && \
	cp -pu core/*.[ch] $$out/core/ && \
	cp -pu include/uapi/linux/*.h $$out/include/uapi/linux/ && \
	$(MAKE) --no-print-directory -C $(KDIR) M=$(abspath $(O))/kmod/$$(basename $$out) \
		$(KFLAGS) modules && \
	echo "  MODULE  $$out/braid.ko"
