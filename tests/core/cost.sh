#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Instructions an operation of the queue takes with 10, 1,000 and 100,000
# requests waiting, counted by callgrind: the same on every run and machine
# with the same compiler. Writes JSON to standard output; the result that is
# kept is Documentation/results/core-cost.json.
#
#   tests/core/cost.sh > Documentation/results/core-cost.json

set -eu
cd "$(dirname "$0")/../.."

CC=${CC:-cc}
COUNT=${COUNT:-200}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if ! command -v valgrind >/dev/null; then
	echo "cost.sh: needs valgrind" >&2
	exit 2
fi
$CC -std=gnu11 -O2 -g -fno-strict-aliasing -I. -Iinclude/uapi -o "$tmp/cost" \
	tests/core/cost.c tests/core/world.c core/*.c

# Calls of steady_NAME and their instructions, all that they call included.
count() {
	"$tmp/cost" "$1" "$3" 2 || exit 1
	valgrind --tool=callgrind --callgrind-out-file="$tmp/out" \
		--toggle-collect="steady_$2" "$tmp/cost" "$1" "$3" "$COUNT" >/dev/null 2>&1
	sed -n 's/^\(summary\|totals\): //p' "$tmp/out" | head -n 1
}

per() {
	echo $((($1 + $2 / 2) / $2))
}

printf '{\n  "unit": "instructions",\n  "compiler": "%s",\n' "$($CC --version | head -n 1)"
printf '  "setting": "16 owners, 64 tenants, 8 models, all wanted; a FETCH hands out 32 or all",\n'
printf '  "waiting": {'
comma=
for waiting in 10 1000 100000; do
	printf '%s\n    "%s": {\n' "$comma" $waiting
	comma=,
	jobs=$((waiting < 32 ? waiting : 32))
	printf '      "submit": %s,\n' "$(per "$(count $waiting submit submit)" "$COUNT")"
	printf '      "cancel": %s,\n' "$(per "$(count $waiting cancel cancel)" "$COUNT")"
	printf '      "look": %s,\n' "$(per "$(count $waiting window window)" "$COUNT")"
	printf '      "expire and next event": %s,\n' "$(per "$(count $waiting expire expire)" "$COUNT")"
	printf '      "fetch, each job": %s,\n' "$(per "$(count $waiting fetch fetch)" $((COUNT * jobs)))"
	printf '      "commit": %s\n    }' "$(per "$(count $waiting commit commit)" $((COUNT * jobs)))"
done
printf '\n  }\n}\n'
