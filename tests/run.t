#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braid-run from outside: what it prints of a model, and that it says what is
# wrong with a command line or a file. Its numbers are not judged here.

cd "$(dirname "$0")/.." || exit 1
zoo=${O:-build}/braid-zoo
run=${O:-build}/braid-run
. tests/tap.sh

# refuses WORDS ARGUMENTS...: exits with an error that has these words.
refuses() {
	words=$1
	shift
	"$run" "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
	[ "$status" -gt 0 ] && [ "$status" -lt 3 ] && grep -q -e "$words" "$tmp/err"
}

# prints WORDS ARGUMENTS...: succeeds and prints a line with these words.
prints() {
	words=$1
	shift
	"$run" "$@" >"$tmp/out" 2>"$tmp/err" && grep -q -e "$words" "$tmp/out"
}

has_keys() {
	"$run" "$tmp/cnn.onnx" --json --profile --repeat 3 >"$tmp/out" 2>"$tmp/err" || return 1
	for key in model import_ns prepare_ns const_bytes arena_bytes peak_kib macs ops kinds \
		threads degree runs min_ns median_ns profile; do
		grep -q "\"$key\":" "$tmp/out" || { echo "no $key" >"$tmp/err"; return 1; }
	done
	perl -MJSON::PP -0777 -ne 'decode_json($_)' "$tmp/out" 2>"$tmp/err"
}

# Ten floats of one request, the same whatever it is merged with.
writes_outputs() {
	"$run" "$tmp/cnn.onnx" -n 1 -o "$tmp/one" >"$tmp/out" 2>"$tmp/err" &&
		"$run" "$tmp/cnn.onnx" -n 1 --seed 7 -o "$tmp/other" >"$tmp/out" 2>"$tmp/err" &&
		[ "$(wc -c <"$tmp/one")" = 40 ] && [ "$(wc -c <"$tmp/other")" = 40 ] &&
		! cmp -s "$tmp/one" "$tmp/other"
}

full_disk() {
	! "$run" "$tmp/cnn.onnx" -n 1 >/dev/full 2>"$tmp/err"
}

"$zoo" tiny_cnn --batch free -o "$tmp/cnn.onnx" || exit 1
"$zoo" gru --batch free -o "$tmp/gru.onnx" || exit 1
head -c 5000 "$tmp/cnn.onnx" >"$tmp/cut.onnx"
head -c 100 /dev/urandom >"$tmp/noise.onnx"

check "inputs are named with their shapes" prints 'input\[1x3x32x32\]' "$tmp/cnn.onnx"
check "a free batch can be bound" prints 'input\[2x3x32x32\]' "$tmp/cnn.onnx" --batch 2
check "an input can be bound by name" prints 'input\[3x3x32x32\]' "$tmp/cnn.onnx" \
	--shape input=3x3x32x32
check "several requests are merged on several threads" prints 'degree 4' "$tmp/cnn.onnx" \
	--degree 4 --threads 2
check "a profile names nodes" prints 'stem' "$tmp/cnn.onnx" --profile
check "a recurrent model runs" prints 'state_out' "$tmp/gru.onnx"
check "JSON has every figure" has_keys
check "outputs are written, and depend on the seed" writes_outputs

check "a missing file is named" refuses 'none.onnx' "$tmp/none.onnx"
check "a truncated model is refused" refuses 'cut.onnx' "$tmp/cut.onnx"
check "noise is refused" refuses 'noise.onnx' "$tmp/noise.onnx"
check "an unknown input is named" refuses 'nobody' "$tmp/cnn.onnx" --shape nobody=1x1
check "a wrong rank is refused" refuses 'input' "$tmp/cnn.onnx" --shape input=1x3
check "an extent that the file fixes is kept" refuses 'input' "$tmp/cnn.onnx" \
	--shape input=1x4x32x32
check "a shape must be numbers" refuses 'expected a number' "$tmp/cnn.onnx" --shape input=1xy
check "a shape must have a name" refuses 'expected NAME=VALUE' "$tmp/cnn.onnx" --shape 1x3
check "a degree of zero is refused" refuses 'degree 0' "$tmp/cnn.onnx" --degree 0
check "no model is a mistake" refuses 'usage:'
check "output that cannot be written is said" full_disk

echo "1..$n"
