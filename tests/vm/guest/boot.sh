#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The machine itself: what the other tests need of it.
. /tests/tap.sh

check "proc is mounted" test -r /proc/self/status
# The inner shell expands it.
# shellcheck disable=SC2016
check "a user that is not root can be had" su -s /bin/sh nobody -c 'test "$(id -u)" -ne 0'
plan
