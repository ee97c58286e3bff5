#!/bin/sh
# SPDX-License-Identifier: MIT
#
# core/ in the kernel: KUnit's own report, turned into ours.
. /tests/tap.sh

dmesg -c >/dev/null
check "the module with core/ and its tests loads" insmod /braid_core_kunit.ko
dmesg >/tmp/kunit
sed 's/^.*\] //' /tmp/kunit | grep -E '^ *(not )?ok [0-9]+ |^ *# .*(checks|EXPECTATION|Expected)' >/tmp/lines
while read -r line; do
	case "$line" in
	ok*_case | "not ok "*_case | ok*_case\ * | "not ok "*_case\ *)
		n=$((n + 1))
		echo "$line" | sed -E "s/^(not ok|ok) [0-9]+ (- )?(.*)/\1 $n - \3/"
		;;
	*) echo "# $line" ;;
	esac
done </tmp/lines
grep -Eq 'ok 1 (- )?braid_core' /tmp/kunit || head -n 60 /tmp/kunit
check "all six cases ran" test "$n" -eq 7
check "and goes" rmmod braid_core_kunit
plan
