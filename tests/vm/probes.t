#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The probes in a machine of their own, on Debian's stock kernel.

. tests/vm/suite.sh

if [ ! -x "$O/braid-probe" ]; then
	echo "1..0 # SKIP the probes are left out of this build"
	exit 0
fi
missing=$(lacking qemu-system-x86_64 busybox cpio gcc-12 apt-get)
if [ -n "$missing" ]; then
	echo "1..0 # SKIP test machines need ${missing% }"
	exit 0
fi
if ! said=$("$vm/kernel" 6.1 2>&1 && "$vm/stock-module" 6.1 gpu-sched 2>&1); then
	echo "1..0 # SKIP no kernel to boot: $(echo "$said" | tail -n 1)"
	exit 0
fi
# Few requests here; BRAID_PROBE_REQUESTS=100000 is for check-kernels.
"$vm/probes" 6.1 -e BRAID_PROBE_REQUESTS=1500
