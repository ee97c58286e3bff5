#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The kernel module in a machine of its own, on Debian's stock kernel. It needs
# QEMU, and the network once for the kernel.

. tests/vm/suite.sh

missing=$(lacking qemu-system-x86_64 busybox cpio gcc-12 apt-get)
if [ -n "$missing" ]; then
	echo "1..0 # SKIP test machines need ${missing% }"
	exit 0
fi
if ! said=$("$vm/kernel" 6.1 2>&1); then
	echo "1..0 # SKIP no kernel to boot: $(echo "$said" | tail -n 1)"
	exit 0
fi
suite 6.1 -t 300
