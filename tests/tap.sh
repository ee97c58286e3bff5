# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What test scripts share; they source it from the top folder. It counts the
# checks and makes the folder $tmp, which goes when the script ends.

n=0
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# report NAME STATUS: one check; it holds when the status is 0. If not, what
# the script left in $tmp/said, $tmp/out and $tmp/err is shown.
report() {
	n=$((n + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		for said in "$tmp/said" "$tmp/out" "$tmp/err"; do
			[ ! -f "$said" ] || head -n 20 "$said" | sed 's/^/# /'
		done
	fi
}

# check NAME COMMAND...: one check; it holds when the command succeeds.
check() {
	name=$1
	shift
	"$@" >"$tmp/said" 2>&1
	report "$name" $?
}

# skip NAME WHY: a check that can't be made here.
skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

# silent COMMAND...: succeeds and says nothing.
silent() {
	"$@" >"$tmp/out" 2>&1 && [ ! -s "$tmp/out" ]
}
