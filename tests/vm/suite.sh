# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What runs in the machines; vm.t, check-kernels and check-debug source it from
# the top folder. It says once which tests there are; how long each of them
# takes its time is in the environment that the caller sets.

O=${O:-build}
vm=tests/vm

# lacking PROGRAM...: prints what is missing of them, on one line.
lacking() {
	for program in "$@"; do
		command -v "$program" >/dev/null || printf '%s ' "$program"
	done
}

# The conformance suite, and once more for 32-bit callers where that can be built.
conformance() {
	for program in tests/abi/test_abi_*.c; do
		echo "$O/tests/$(basename "$program" .c)"
	done
	case "$1" in
	*arm64*) ;;
	*)
		if MAKEFLAGS='' make -s abi32 >"$O/abi32.log" 2>&1; then
			echo "$O"/abi32/test_abi32_*
		else
			echo "# no programs for 32-bit callers: see $O/abi32.log" >&2
		fi
		;;
	esac
}

# suite KERNEL [OPTION...]: boots the kernel with braid.ko and all tests.
suite() {
	kernel=$1
	shift
	if ! module=$("$vm/module" "$kernel" braid); then
		echo "not ok 1 - $kernel: the module builds"
		echo "1..1"
		return 1
	fi
	# Names of programs, without spaces.
	# shellcheck disable=SC2046
	"$vm/run" -k "$kernel" -m "$module" -p "$O/braidctl" -e BRAID_TEST_TRANSPORT=device "$@" \
		boot.sh load.sh braidctl.sh "$O/vm/isolation" "$O/vm/netlink" $(conformance "$kernel") \
		"$O/vm/faults" "$O/vm/pin" "$O/vm/crowd" "$O/vm/failnth" "$O/vm/storm" \
		"$O/vm/fuzz_ioctl"
}
