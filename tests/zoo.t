#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braid-zoo from outside: it writes the very files that the goldens were
# recorded with, and says what is wrong with a bad command line.

cd "$(dirname "$0")/.." || exit 1
zoo=${O:-build}/braid-zoo
. tests/tap.sh

# refuses WORDS ARGUMENTS...: exits with an error that has these words.
refuses() {
	words=$1
	shift
	! "$zoo" "$@" >"$tmp/out" 2>"$tmp/err" && grep -q "$words" "$tmp/err"
}

same_bytes() {
	want=$(grep -a -m 1 '^sha256 ' "tests/goldens/$1.golden" | cut -d' ' -f2)
	got=$("$zoo" "$1" -o - | sha256sum | cut -d' ' -f1)
	echo "generated $got, recorded $want" >"$tmp/err"
	[ -n "$want" ] && [ "$got" = "$want" ]
}

full_disk() {
	! "$zoo" tiny_cnn -o - >/dev/full 2>"$tmp/err" && grep -q 'No space left' "$tmp/err"
}

only_the_models() {
	"$zoo" --all "$tmp/all" --size 64 2>"$tmp/err" || return 1
	"$zoo" --list | cut -d' ' -f1 | sed 's/$/.onnx/' | sort >"$tmp/names"
	find "$tmp/all" -type f -printf '%f\n' | LC_ALL=C sort | cmp - "$tmp/names" 2>>"$tmp/err"
}

# By a link, as /dev/stdout is one: it has to be a link to a pipe afterwards, too.
into_a_pipe() {
	mkfifo "$tmp/fifo" && ln -s fifo "$tmp/link" || return 1
	timeout 20 cat "$tmp/fifo" >"$tmp/read" &
	timeout 20 "$zoo" tiny_cnn -o "$tmp/link" 2>"$tmp/err" || return 1
	[ -p "$tmp/fifo" ] && [ -L "$tmp/link" ] || return 1
	wait $!
	"$zoo" tiny_cnn -o - | cmp - "$tmp/read" 2>"$tmp/err"
}

for model in $("$zoo" --list | cut -d' ' -f1); do
	check "$model is the file that its golden was recorded with" same_bytes "$model"
done
check "--all writes every model and nothing else" only_the_models
check "an unknown model is named" refuses 'no model is called "alexnet"' alexnet
check "no model is a mistake" refuses 'usage:'
check "two models are a mistake" refuses 'usage:' null gru
check "a batch of zero is refused" refuses 'batch 0' null --batch 0
check "a negative seed is refused" refuses 'seed -1' null --seed -1
check "an opset before 13 is refused" refuses 'opset 9' null --opset 9
check "a folder that is not there is named" refuses "$tmp/none/x.onnx: No such file" \
	null -o "$tmp/none/x.onnx"
check "a full disk is said" full_disk
check "a pipe is written to and stays one" into_a_pipe

echo "1..$n"
