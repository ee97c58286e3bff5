#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braidctl where the queue is the kernel's and no braidd runs: netlink and sysfs
# as an operator sees them. What the kernel refuses itself is vm/netlink's.
. /tests/tap.sh

# says PATTERN ARGUMENTS...: success, and the words are there.
says() {
	pattern=$1
	shift
	braidctl "$@" >/tmp/out 2>&1
	rc=$?
	cat /tmp/out
	[ $rc -eq 0 ] && grep -Eq -- "$pattern" /tmp/out
}

# fails PATTERN ARGUMENTS...: exit status 1 and these words.
fails() {
	pattern=$1
	shift
	braidctl "$@" >/tmp/out 2>&1
	rc=$?
	cat /tmp/out
	[ $rc -eq 1 ] && grep -Eq -- "$pattern" /tmp/out
}

# tells PATTERN: sooner or later the monitor prints a line with that.
tells() {
	for _ in $(seq 300); do
		grep -Eq -- "$1" /tmp/events && return 0
		sleep 0.1
	done
	cat /tmp/events
	return 1
}

if [ ! -x /programs/braidctl ]; then
	echo "1..0 # SKIP no braidctl in this machine"
	exit 0
fi
braidctl monitor >/tmp/events 2>&1 &
monitor=$!
check "a monitor listens" tells listening
exec 5<>/dev/braid0
exec 6<>/dev/braid0
check "tenants came" tells "tenant-came +id [0-9]+ owner 0 pid $$ device braid0\$"
id=$(braidctl --json tenants | sed -n 's/^ *"id": \([0-9]*\),/\1/p' | head -n 1)
check "status" says "^agent +DOWN" status
check "with the knobs" says "window_policy=adaptive" status
check "tenants" says "^ *$id +$$ +0 " tenants
check "one of them" says "^ *$id +$$ +0 " tenants "$id"
check "models, of which there are none" says "^ *id " models
check "owner" says "^ *0 +100 +1 " owner
check "limits by tenant" says "^ *$id " tenants "$id" weight=7
check "are its owner's" says "^ *0 +7 .*\(set\)" owner 0
check "limits of one who is not there" says "^ *4242 +9 +3 " owner 4242 weight=9 priority_ceiling=3
check "and the defaults again" says "weight" owner 4242 reset
check "and for the other" says "^ *0 +100 " owner 0 reset
check "a weight out of range, in the kernel's words" fails "out of range" owner 0 weight=5000
check "no such tenant" fails "no such tenant" tenants 987654 weight=3
check "a knob" says "^77\$" policy set window_max 77
check "which is an event" tells "knob +knob window_max value 77 device braid0\$"
check "a knob that is none" fails "no knob 'colour'" policy set colour 3
check "a value that can't be" fails "'0' is out of range: 1 to 256" policy set window_max 0
braidctl policy set window_max 32 >/dev/null
exec 5<&-
check "a tenant went" tells "tenant-gone +id [0-9]+ owner 0 pid $$ submitted 0 device braid0\$"
kill $monitor
wait $monitor 2>/dev/null
check "nobody but root sees tenants" \
	sh -c "su mallory -s /bin/sh -c 'braidctl tenants' 2>&1 | grep 'for root'"
check "but the queue's state" sh -c "su mallory -s /bin/sh -c 'braidctl status' | grep '^agent'"
exec 6<&-
rmmod braid
check "without the module: words" fails "is braidd running" tenants
insmod /modules/*-braid.ko
plan
