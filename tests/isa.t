#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The kernels' tests once more with the lesser instruction sets: what a machine
# with AVX-512 runs by itself says nothing about those without.

build=${BUILD:-build}
tests="test_conv test_k_binary test_k_cast test_k_index test_k_move test_k_reduce test_k_unary"
tests="$tests test_nn test_resize test_rnn test_vmath"
n=0

for isa in base avx2; do
	for t in $tests; do
		n=$((n + 1))
		if BRAID_CPU_ISA=$isa "$build/tests/$t" >"$build/tests/$t.$isa.log" 2>&1; then
			echo "ok $n - $t with $isa"
		else
			echo "not ok $n - $t with $isa"
			grep -v '^ok' "$build/tests/$t.$isa.log" | sed 's/^/# /'
		fi
	done
done
echo "1..$n"
