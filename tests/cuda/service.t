#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braidd with backend = cuda, from the tenants' side: tests of the transport
# once more, with the stand-in in the place of a driver. Requests that fault on
# the GPU or hang it end alone, the others are served; tenants that are killed
# leave nothing behind; models come and go; supervisor and runner stay awake.

cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
O=${O:-build}

if [ ! -e "$O/standin/libcuda.so.1" ]; then
	echo "1..0 # SKIP $O/standin is not built"
	exit 0
fi
BRAID_TEST_BACKEND=cuda
BRAID_TEST_CACHE=$tmp/cache
LD_LIBRARY_PATH=$O/standin
export BRAID_TEST_BACKEND BRAID_TEST_CACHE LD_LIBRARY_PATH
mkdir "$BRAID_TEST_CACHE" "$tmp/models"

# Of a TAP program what is shown is what failed.
passes() {
	"$@" >"$tmp/all" 2>&1 && ! grep -q "^not ok" "$tmp/all"
	status=$?
	grep -v "^ok" "$tmp/all"
	return $status
}

for test in test_poison test_reload test_tenant_kill test_beside; do
	check "$test on the CUDA backend" passes "$O/tests/$test"
done

# Tries a command till it succeeds, for half a minute.
until_it() {
	for _ in $(seq 300); do
		"$@" && return 0
		sleep 0.1
	done
	return 1
}

ready() { # TIMES
	[ "$(grep -c "agent ready" "$tmp/log")" -ge "$1" ]
}

# A part of the GPU, from the command line, and again when a runner has died.
part() {
	printf '[braidd]\ntransport = socket\nsocket = %s/q\ncontrol = %s/c\ngroup =\n' \
		"$tmp" "$tmp" >"$tmp/conf"
	printf 'model_dir = %s/models\n[runner]\nbackend = cuda\nsms = 12\n' "$tmp" >>"$tmp/conf"
	"$O/braidd" --config "$tmp/conf" --sms 5 2>"$tmp/log" &
	braidd=$!
	until_it ready 1 &&
		kill -KILL "$("$O/braidctl" --socket "$tmp/c" --json runner |
			awk -F'[:,]' '/"pid"/ { print $2 + 0; exit }')" &&
		until_it ready 2
	kill $braidd
	wait $braidd
	cat "$tmp/log"
	[ "$(grep -c "GPU .* 8 multiprocessors" "$tmp/log")" -eq 2 ]
}

check "braidd --sms: a part of the GPU, for each runner" part
! "$O/braidd" --sms 12x >"$tmp/said" 2>&1 &&
	grep -q "sms: a number from 0 to 65536, not '12x'" "$tmp/said"
report "what is no number is told" $?

# All but the first start had the weights of the one before.
find "$BRAID_TEST_CACHE" -name '*.pack' >"$tmp/said"
test "$(wc -l <"$tmp/said")" -ge 4
report "packed weights are kept" $?
echo "1..$n"
