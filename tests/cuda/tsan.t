#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Models loaded by several threads, with the loader, the CUDA backend and what lowers
# programs built for ThreadSanitizer; the driver is the stand-in.

cd "$(dirname "$0")/../.." || exit 1
O=${O:-build}
dir=$O/tsan-cuda
. tests/tsan.sh
flags="$flags -I$O/gen -Wno-tsan"
if [ ! -e "$O/standin/libcuda.so.1" ]; then
	echo "1..0 # SKIP $O/standin is not built"
	exit 0
fi

log=$dir/log
sources="$(find agent/cuda agent/lower -name '*.c' ! -name generic_image.c)
	$O/gen/kernel_headers.c $O/gen/tiles_text.c"
# shellcheck disable=SC2086
if $cc $flags -o "$dir/test_loading" tests/cuda/test_loading.c agent/runner/load.c $sources \
	agent/backend/memory.c "$O/agent/cuda/generic_image.o" "$O/libprogram.a" "$O/libcpu.a" "$O/libonnxpb.a" \
	"$O/libprogram.a" "$O/libcpu.a" -lprotobuf-c -lnettle -ljansson -lm >"$log" 2>&1 &&
	TSAN_OPTIONS='halt_on_error=0 exitcode=66' O=$O "$dir/test_loading" >"$log" 2>&1; then
	echo "ok 1 - models loaded at once: no data race"
else
	echo "not ok 1 - models loaded at once: no data race"
	grep -v '^ok' "$log" | head -80 | sed 's/^/# /'
fi
echo "1..1"
