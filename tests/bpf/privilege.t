#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braid-probe with all rights, with CAP_BPF and CAP_PERFMON alone, and with
# none: it works, or says in one line why it can't.

cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
O=${O:-build}
probe=$O/braid-probe
lib=$O/tests/standin-cuda/libcuda.so.1

if [ ! -x "$probe" ]; then
	echo "1..0 # SKIP the probes are left out of this build"
	exit 0
fi
for option in --library --braidd; do
	timeout 20 "$probe" run --pin none $option "$tmp/none" >"$tmp/said" 2>&1
	test $? -eq 2 && grep -q -e "$option $tmp/none: No such file" "$tmp/said"
	report "a file for $option that is not there is named" $?
	timeout 20 "$probe" check $option "$tmp" >"$tmp/said" 2>&1
	test $? -eq 2 && grep -q -e "$option $tmp: not a regular file" "$tmp/said"
	report "so is one that is none" $?
done
if ! "$probe" check --only host_stall --library "$lib" >"$tmp/said" 2>&1; then
	skip "rights" "$(head -n 1 "$tmp/said")"
	echo "1..$n"
	exit 0
fi

# The programs must be where others may get at them: a checkout may be private.
chmod 755 "$tmp"
cp "$probe" "$lib" "$tmp"
chmod 755 "$tmp/braid-probe" "$tmp/libcuda.so.1"
check_as() {
	caps=$1
	shift
	setpriv "$@" --inh-caps="$caps" --bounding-set="$caps" \
		"$tmp/braid-probe" check --only host_stall --library "$tmp/libcuda.so.1"
}
nobody="--reuid=65534 --regid=65534 --clear-groups"

if [ "$(id -u)" -ne 0 ] || ! setpriv --bounding-set=-all,+bpf,+perfmon true 2>"$tmp/said"; then
	skip "other rights" "only root can give them up: $(head -n 1 "$tmp/said")"
else
	check "root, all other capabilities dropped" check_as -all,+bpf,+perfmon

	# Words are options.
	# shellcheck disable=SC2086
	setpriv $nobody --inh-caps=-all,+bpf,+perfmon --ambient-caps=-all,+bpf,+perfmon \
		--bounding-set=-all,+bpf,+perfmon \
		"$tmp/braid-probe" check --only host_stall --library "$tmp/libcuda.so.1" \
		>"$tmp/said" 2>&1
	report "somebody else with CAP_BPF and CAP_PERFMON" $?

	check_as -all,+bpf >"$tmp/said" 2>&1
	test $? -eq 1 && grep -q 'CAP_PERFMON' "$tmp/said"
	report "without CAP_PERFMON it is refused, and says what is missing" $?

	# shellcheck disable=SC2086
	setpriv $nobody "$tmp/braid-probe" check --only host_stall \
		--library "$tmp/libcuda.so.1" >"$tmp/said" 2>&1
	test $? -eq 1 && grep -q 'CAP_BPF' "$tmp/said" && [ "$(wc -l <"$tmp/said")" -eq 1 ]
	report "somebody without rights is refused in one line" $?

	# The last line is what others tell: not that a Jetson's driver is missing.
	# shellcheck disable=SC2086
	setpriv $nobody "$tmp/braid-probe" run --pin none --library "$tmp/libcuda.so.1" \
		>"$tmp/said" 2>&1
	test $? -eq 1 && tail -n 1 "$tmp/said" | grep -q 'no probe can be used here.*CAP_BPF'
	report "of all probes the end is what is missing" $?
fi

"$probe" check --only host_stall --library /bin/sh >"$tmp/said" 2>&1
test $? -eq 1 && grep -q 'none of the functions' "$tmp/said"
report "a library without the functions is refused by name" $?

"$probe" run --only host_stall --pin "$tmp/no" --seconds 0.1 >"$tmp/said" 2>&1
test $? -eq 1 && grep -q 'not in a bpf file system' "$tmp/said"
report "pins belong into a bpf file system" $?

"$probe" check --only bogus >"$tmp/said" 2>&1
test $? -eq 2 && grep -q bogus "$tmp/said"
report "an unknown probe is refused" $?

echo "1..$n"
