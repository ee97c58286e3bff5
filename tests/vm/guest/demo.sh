#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The demo over the device: $DEMO_SECONDS and $DEMO_POLICIES (separated by
# commas) are its options.
. /tests/tap.sh

mkdir -p /demo/build
for program in braidd braidctl braid-demo; do
	ln -s /programs/$program /demo/build/$program
done
export XDG_CACHE_HOME=/cache
# How far it is, and its report as it comes.
while sleep 60; do
	echo "requests so far: $(cat /sys/class/braid/braid0/counters/completed)"
done &
progress=$!
for policy in $(echo "${DEMO_POLICIES:-merge+fuse}" | tr , ' '); do
	set -- "$@" "$policy"
done
# Through a pipe: on a terminal it would draw its progress.
{
	/demo/tools/demo/demo --seconds "${DEMO_SECONDS:-60}" --patience 30 --policy "$*" 2>&1
	echo $? >/tmp/status
} | cat
kill $progress
check "the demo: all answers are right" grep -qx 0 /tmp/status
check "they came through the kernel's queue" grep -q '[1-9]' /sys/class/braid/braid0/counters/completed
plan
