#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braid-tune's command line, which is looked at before the GPU is.

cd "$(dirname "$0")/.." || exit 1
tune=${O:-build}/braid-tune
. tests/tap.sh

# refuses WORDS ARGUMENTS...: exits with 2 and says these words, and nothing of a driver.
refuses() {
	words=$1
	shift
	"$tune" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? = 2 ] && grep -q -e "$words" "$tmp/err" && ! grep -q driver "$tmp/err"
}

# Where there is no GPU it fails at that, where there is one at the file.
takes() {
	! "$tune" "$@" "$tmp/none.onnx" >"$tmp/out" 2>"$tmp/err" && ! grep -q usage "$tmp/err"
}

bad_degrees() {
	for d in -d -d0 -d65 -d2,1 -d1,x '-d1,' -d1,2,3,4,5,6,7,8,9; do
		refuses "$d: not" sweep "$d" x.onnx || return 1
	done
}

bad_numbers() {
	for f in -f -f1 -f33 -f-2 -f4294967298 -f8x -k4 -k-1 -e0 -e; do
		refuses "$f: not" sweep "$f" x.onnx || return 1
	done
}

others_options() {
	refuses "-s: not" sweep -s x.onnx && refuses "-k1: not" time -k1 x.onnx &&
		refuses "-e8: not" time -f32 -e8 x.onnx &&
		refuses "-d1: not" check -d1 x.onnx && refuses "-f8: not" gemm -f8
}

no_command() {
	refuses usage && refuses usage frob x.onnx && refuses usage sweep && refuses usage gemm x.onnx
}

right() {
	takes sweep -k3 -f32 -e8 -d1,2,4,8 && takes time -s -f2 -d1 && takes check
}

check "no command, no model" no_command
check "degrees that can't be" bad_degrees
check "numbers that can't be" bad_numbers
check "options of another command" others_options
check "launches that would not be two at once" refuses "two at once" sweep -f8 x.onnx
check "what is right" right

echo "1..$n"
