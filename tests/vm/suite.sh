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
		"$O/vm/cost" "$O/vm/faults" "$O/vm/pin" "$O/vm/owners" "$O/vm/crowd" "$O/vm/failnth" "$O/vm/storm" \
		"$O/vm/fuzz_ioctl"
}

# service KERNEL [OPTION...]: boots it with braid.ko, for braidd itself: its runner
# with the CPU backend, real models, tenants that link libbraid, and deaths of
# all of them. BRAID_VM_LONG=1: all of these tests, and as many deaths as they
# have outside of a machine. Multiply-adds of wide vectors are what QEMU translates
# worst, twenty times slower than the plainest kernels: hence these.
service() {
	kernel=$1
	shift
	if ! module=$("$vm/module" "$kernel" braid); then
		echo "not ok 1 - $kernel: the module builds"
		echo "1..1"
		return 1
	fi
	if [ "${BRAID_VM_LONG:-0}" = 1 ]; then
		programs="$O/tests/test_lib_infer $O/tests/test_poison $O/tests/test_reload"
		set -- "$@" -e BRAID_TEST_WATCHDOG_MS=5000
	else
		programs=''
		set -- "$@" -e BRAID_TEST_RUNNER_KILLS=8 -e BRAID_TEST_SUPERVISOR_KILLS=2 \
			-e BRAID_TEST_TENANT_KILLS=25
	fi
	# Names of programs, without spaces.
	# shellcheck disable=SC2086
	"$vm/run" -k "$kernel" -m "$module" -M 1024 -p "$O/braidd" -p "$O/braid-zoo" \
		-p "$O/braidctl" -p "$O/braid-bench" -e BRAID_TEST_TRANSPORT=device \
		-e BRAID_CPU_ISA=base -e BRAID_TEST_PROGRAMS=/programs "$@" \
		service.sh "$O/tests/test_lib_async" "$O/tests/test_kill" "$O/tests/test_tenant_kill" $programs
}

# The reason why there are no test machines here, or nothing.
no_machines() {
	missing=$(lacking qemu-system-x86_64 busybox cpio gcc-12 apt-get)
	if [ -n "$missing" ]; then
		echo "test machines need ${missing% }"
	elif ! said=$("$vm/kernel" 6.1 2>&1); then
		echo "no kernel to boot: $(echo "$said" | tail -n 1)"
	fi
}
