#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The kernels' tests once more with the lesser instruction sets: what a machine
# with AVX-512 runs by itself says nothing about those without.

cd "$(dirname "$0")/.." || exit 1
. tests/tap.sh

build=${O:-build}/tests
tests="test_conv test_k_binary test_k_cast test_k_index test_k_move test_k_reduce test_k_unary"
tests="$tests test_nn test_resize test_rnn test_vmath"

for isa in base avx2; do
	for t in $tests; do
		BRAID_CPU_ISA=$isa "$build/$t" >"$tmp/all" 2>&1
		status=$?
		grep -v '^ok' "$tmp/all" >"$tmp/out"
		report "$t with $isa" $status
	done
done
echo "1..$n"
