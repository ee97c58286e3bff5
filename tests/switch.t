#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braid-switch from outside: a recording with a gap, and that it says what is
# missing where there is no GPU.

cd "$(dirname "$0")/.." || exit 1
. tests/tap.sh
switch=${O:-build}/braid-switch

# record TAG SEQUENCE CONTEXT PID MICROSECONDS: 24 bytes of version 2.
record() {
	perl -e 'print pack("CCvVVvCCQ<", $ARGV[0], 0, $ARGV[1], $ARGV[2], $ARGV[3], 0, 255, 255,
		$ARGV[4] * 1000)' "$@"
}
{
	record 6 0 1 101 1000
	record 7 1 1 101 3000
	record 6 2 2 102 3100
	record 7 3 2 102 5100
	record 6 4 1 101 5200
	record 7 5 1 101 7200
	record 6 9 2 102 9000
} >"$tmp/rec"

"$switch" decode "$tmp/rec" --json >"$tmp/out" 2>"$tmp/err" &&
	grep -q '"switches": 2,' "$tmp/out" && grep -q '"lost": 3,' "$tmp/out" &&
	grep -q '"switch_ns": 200000,' "$tmp/out" && grep -q '"away_ns": 2200000,' "$tmp/out"
report "a recording: switches, times, what is missing" $?

"$switch" decode "$tmp/rec" >"$tmp/out" 2>"$tmp/err" && grep -q '^250.0 switches/s' "$tmp/out" &&
	grep -q '3 lost at 1 places' "$tmp/out" && grep -q 'context 1 away for' "$tmp/out"
report "the same as a table" $?

"$switch" decode "$tmp/rec" --record "$tmp/again" >"$tmp/out" 2>"$tmp/err" &&
	[ "$(wc -c <"$tmp/again")" -eq 168 ]
report "records can be kept" $?

head -c 100 "$tmp/rec" >"$tmp/cut"
"$switch" decode "$tmp/cut" >"$tmp/out" 2>"$tmp/err"
test $? -eq 1 && grep -q 'cut off' "$tmp/err"
report "a record that is cut off is an error" $?

# refuses WORDS ARGUMENTS...: fails with these words, in one line.
refuses() {
	words=$1
	shift
	"$switch" "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
	[ "$status" -gt 0 ] && [ "$status" -lt 3 ] && grep -q -e "$words" "$tmp/err"
}
check "a file that is not there" refuses 'No such file' decode "$tmp/none"
mkfifo "$tmp/fifo"
check "figures into a pipe" refuses 'fifo: is there, and is no regular file' fecs --write "$tmp/fifo"
check "no command" refuses 'fecs, node' bogus
if [ -e /dev/nvidiactl ]; then
	skip "no driver: fecs says so" "there is one here"
	skip "no libcuda: witness says so" "there is one here"
else
	check "no driver: fecs says so" refuses '/dev/nvidiactl: No such file' fecs
	check "no libcuda: witness says so" refuses 'no libcuda' witness
fi
if [ -e /dev/nvgpu ] || [ -e /dev/nvhost-ctxsw-gpu ]; then
	skip "no nvgpu: node says so" "there is one here"
else
	check "no nvgpu: node says so" refuses 'no ctxsw node' node
fi

# A library that has what no driver is needed for: three absences, seen by both.
standin=${O:-build}/tests/standin-switch
LD_LIBRARY_PATH=$standin "$switch" cupti --json -s 0.1 >"$tmp/out" 2>"$tmp/err" &&
	[ "$(grep -c '"absences": 3,' "$tmp/out")" -eq 2 ] &&
	[ "$(grep -c '"away_ns": 7000000,' "$tmp/out")" -eq 2 ] &&
	[ "$(grep -c '"longest_away_ns": 4000000,' "$tmp/out")" -eq 2 ] &&
	grep -q '"lost": 2,' "$tmp/out" && grep -q '"records": 7,' "$tmp/out"
report "cupti: absences by its records and by a witness" $?
LD_LIBRARY_PATH=$standin "$switch" cupti -s 0.1 >"$tmp/out" 2>"$tmp/err" &&
	grep -q 'cupti .* 30.0 .* 7.0%' "$tmp/out" && grep -q 'witness .* 30.0 .* 7.0%' "$tmp/out"
report "cupti: the same as a table" $?
old() {
	LD_LIBRARY_PATH=$standin STANDIN_CUPTI=refuse "$switch" cupti -s 0.1
}
old >"$tmp/out" 2>"$tmp/err"
test $? -eq 1 && grep -q 'version 130001.*21, CUPTI_ERROR_INVALID_KIND' "$tmp/err"
report "cupti: a toolkit without them, with its status" $?
check "cupti: no such library" refuses 'no libcupti' cupti "$tmp/none.so"

echo "1..$n"
