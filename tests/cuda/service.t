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
LD_LIBRARY_PATH=$O/standin
export BRAID_TEST_BACKEND LD_LIBRARY_PATH

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
echo "1..$n"
