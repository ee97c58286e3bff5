#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The module comes and goes: many times, not while somebody has it open, and
# with nothing left behind. How often stands in BRAID_TEST_LOADS.
. /tests/tap.sh

rounds=${BRAID_TEST_LOADS:-20}
module=$(echo /modules/*-braid.ko)

# Nothing of an unloaded module may be left.
gone() {
	[ ! -e /dev/braid0 ] && [ ! -e /dev/braid0-agent ] && [ ! -e /sys/class/braid ] &&
		[ ! -d /sys/module/braid ] && ! grep -q braid /proc/devices
}

there() {
	[ -c /dev/braid0 ] && [ -c /dev/braid0-agent ] && [ -d /sys/class/braid/braid0 ] &&
		grep -q braid /proc/devices
}

again_and_again() {
	i=0
	while [ $i -lt "$rounds" ]; do
		{ rmmod braid && gone && insmod "$module" && there; } || {
			echo "round $i"
			return 1
		}
		i=$((i + 1))
	done
}

# Loading and unloading at the same time; who is late fails, and nothing else.
race() {
	for _ in 1 2 3 4; do
		(for _ in 1 2 3 4 5 6; do insmod "$module" 2>/dev/null; rmmod braid 2>/dev/null; done) &
	done
	wait
	[ -d /sys/module/braid ] || insmod "$module"
	there
}

# Opening while it is unloaded: either it opens or it is gone.
open_race() {
	(for _ in $(seq 60); do dd if=/dev/braid0 of=/dev/null count=0 2>/dev/null; done) &
	for _ in 1 2 3 4 5 6; do
		rmmod braid 2>/dev/null
		insmod "$module" 2>/dev/null
	done
	wait
	[ -d /sys/module/braid ] || insmod "$module"
	there
}

busy() {
	exec 9<>"$1" || return 1
	rmmod braid 2>/tmp/why && return 1
	cat /tmp/why
	grep -qi 'busy\|unavailable' /tmp/why || return 1
	[ -c "$1" ] || return 1
	exec 9>&-
}

bad_parameter() {
	rmmod braid || return 1
	insmod "$module" no_such_parameter=1 2>/dev/null
	[ -d /sys/module/braid ] || insmod "$module"
	there
}

check "it is there" there
check "it can't be unloaded while a tenant has it open" busy /dev/braid0
check "nor while an agent has" busy /dev/braid0-agent
check "unloaded and loaded $rounds times" again_and_again
check "from several sides at once" race
check "while somebody opens it" open_race
check "with a parameter that it does not have" bad_parameter
plan
