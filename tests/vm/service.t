#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braidd over the kernel module, in a machine of its own on Debian's stock
# kernel. It needs QEMU, and the network once for the kernel.

. tests/vm/suite.sh

why=$(no_machines)
if [ -n "$why" ]; then
	echo "1..0 # SKIP $why"
	exit 0
fi
service 6.1 -t 300
