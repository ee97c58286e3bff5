# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What test scripts inside a machine share; they source it as /tests/tap.sh.

n=0

# check NAME COMMAND...: one check; it holds when the command succeeds.
check() {
	name=$1
	shift
	n=$((n + 1))
	if "$@" >/tmp/said 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		head -n 30 /tmp/said | sed 's/^/# /'
	fi
}

# skip NAME WHY: a check that can't be made here.
skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

# The plan, at the end.
plan() {
	echo "1..$n"
}
