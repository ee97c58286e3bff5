#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Models loaded by several threads, and launches, alone, merged, many at once and as
# branches of a graph, beside the threads that make graphs and look for ends: with the
# loader, the CUDA backend and what lowers programs built for ThreadSanitizer; the driver
# is the stand-in, which compiles nothing, so there are no kernels side by side.

cd "$(dirname "$0")/../.." || exit 1
O=${O:-build}
dir=$O/tsan-cuda
. tests/tsan.sh
flags="$flags -I$O/gen -Wno-tsan"
if [ ! -e "$O/standin/libcuda.so.1" ]; then
	echo "1..0 # SKIP $O/standin is not built"
	exit 0
fi

libs="$O/libzoo.a $O/libdraw.a $O/libprogram.a $O/libcpu.a $O/libonnxpb.a $O/libprogram.a $O/libcpu.a
	-lprotobuf-c -lnettle -ljansson -lm"
n=0

without_race() { # WORDS PROGRAM SOURCE...
	n=$((n + 1)) words=$1 program=$dir/$2
	shift 2
	# shellcheck disable=SC2086
	if $cc $flags -o "$program" "$@" "$dir"/objects/*.o "$O/agent/cuda/generic_image.o" \
		$libs >"$program.log" 2>&1 &&
		TSAN_OPTIONS='halt_on_error=0 exitcode=66' O=$O "$program" >"$program.log" 2>&1; then
		echo "ok $n - $words: no data race"
	else
		echo "not ok $n - $words: no data race"
		grep -v '^ok' "$program.log" | head -80 | sed 's/^/# /'
	fi
}

# Compiled once for both.
rm -rf "$dir/objects" && mkdir "$dir/objects" || exit 1
for f in $(find agent/cuda agent/lower -name '*.c' ! -name generic_image.c) agent/backend/memory.c \
	"$O/gen/kernel_headers.c" "$O/gen/tiles_text.c"; do
	# shellcheck disable=SC2086
	if ! $cc $flags -c -o "$dir/objects/$(echo "${f%.c}" | tr / -).o" "$f" >"$dir/log" 2>&1; then
		cat "$dir/log"
		exit 1
	fi
done
without_race "models loaded at once" test_loading tests/cuda/test_loading.c agent/runner/load.c
export BRAID_TEST_MODELS=tiny_mlp,lstm BRAID_TEST_BESIDE=tiny_cnn BRAID_TEST_MODES=fp16
without_race "launches" test_models tests/cuda/test_cuda_models.c tests/cuda/spoil.c
n=$((n + 1))
if grep -q "^ok .* as branches" "$dir/test_models.log" &&
	! grep -q "as branches.*SKIP" "$dir/test_models.log"; then
	echo "ok $n - some ran as branches of a graph"
else
	echo "not ok $n - some ran as branches of a graph"
	grep "as branches" "$dir/test_models.log" | sed 's/^/# /'
fi
echo "1..$n"
