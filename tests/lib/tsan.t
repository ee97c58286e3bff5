#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The tests of libbraid once more with the library and the test built for
# ThreadSanitizer; braidd is this tree's own. By hand: tests/lib/tsan.t

cd "$(dirname "$0")/../.." || exit 1
O=${O:-build}
dir=$O/tsan
. tests/tsan.sh
mkdir -p "$dir/tests" || exit 1
for p in braidd braid-zoo; do
	ln -sf "../$p" "$dir/$p"
done

n=0
for t in tests/lib/test_*.c; do
	n=$((n + 1))
	name=$(basename "$t" .c)
	log=$dir/$name.log
	# shellcheck disable=SC2086
	if $cc $flags -o "$dir/tests/$name" "$t" tests/lib/work.c tests/lib/fake.c \
		tests/transport/daemon.c lib/*.c -ljansson -lm >"$log" 2>&1 &&
		TSAN_OPTIONS='halt_on_error=0 exitcode=66' "$dir/tests/$name" >"$log" 2>&1; then
		echo "ok $n - $name: no data race"
	else
		echo "not ok $n - $name: no data race"
		grep -v '^ok' "$log" | head -60 | sed 's/^/# /'
	fi
done
echo "1..$n"
