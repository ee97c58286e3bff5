# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What runs in the machines; vm.t, check-kernels and check-debug source it from
# the top folder. It says once which tests there are; how long each of them
# takes its time is in the environment that the caller sets.

O=${O:-build}
vm=tests/vm

# need PROGRAM...: prints what is missing of them, on one line.
lacking() {
	for program in "$@"; do
		command -v "$program" >/dev/null || printf '%s ' "$program"
	done
}

# suite KERNEL [OPTION...]: boots the kernel with braid.ko and all tests.
suite() {
	kernel=$1
	shift
	if [ ! -f Kbuild ]; then
		"$vm/run" -k "$kernel" "$@" boot.sh
		return
	fi
	module=$("$vm/module" "$kernel" braid) || {
		echo "not ok 1 - $kernel: the module builds"
		echo "1..1"
		return 1
	}
	"$vm/run" -k "$kernel" -m "$module" -p "$O/braidctl" "$@" boot.sh load.sh braidctl.sh \
		"$O/vm/isolation" "$O/vm/netlink" "$O/vm/faults" "$O/vm/pin" "$O/vm/failnth" \
		"$O/vm/storm"
}
