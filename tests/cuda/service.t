#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braidd with backend = cuda, from the tenants' side: tests of the transport
# once more, with the stand-in in the place of a driver. Requests that fault on
# the GPU or hang it end alone, the others are served; tenants that are killed
# leave nothing behind; models come and go; supervisor and runner stay awake.

cd "$(dirname "$0")/../.." || exit 1
O=${O:-build}

if [ ! -e "$O/standin/libcuda.so.1" ]; then
	echo "1..0 # SKIP $O/standin is not built"
	exit 0
fi
BRAID_TEST_BACKEND=cuda
BRAID_TEST_CACHE=$(mktemp -d) || exit 1
LD_LIBRARY_PATH=$O/standin
export BRAID_TEST_BACKEND BRAID_TEST_CACHE LD_LIBRARY_PATH
trap 'rm -rf "$BRAID_TEST_CACHE"' EXIT

n=0
for test in test_poison test_reload test_tenant_kill test_beside; do
	n=$((n + 1))
	if out=$("$O/tests/$test" 2>&1) && ! echo "$out" | grep -q "^not ok"; then
		echo "ok $n - $test on the CUDA backend"
	else
		echo "not ok $n - $test on the CUDA backend"
		echo "$out" | grep -v "^ok" | head -n 40 | sed 's/^/# /'
	fi
done
# All but the first start had the weights of the one before.
n=$((n + 1))
kept=$(find "$BRAID_TEST_CACHE" -name '*.pack' | wc -l)
[ "$kept" -ge 4 ] && echo "ok $n - packed weights are kept: $kept files" ||
	echo "not ok $n - packed weights are kept: $kept files"
echo "1..$n"
