#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What every file of the tree must keep to. Looks at the files that git knows,
# or, in a tree without git, at all that is not built. A check's failures are
# the lines that break it.

cd "$(dirname "$0")/.." || exit 1

tab=$(printf '\t')
list=$(mktemp) || exit 1
text=$(mktemp) || exit 1
code=$(mktemp) || exit 1
trap 'rm -f "$list" "$text" "$code"' EXIT

if command -v git >/dev/null && git -c safe.directory='*' rev-parse >/dev/null 2>&1; then
	git -c safe.directory='*' ls-files
else
	find . -type f -not -path './.git/*' -not -path './build*/*' | sed 's|^\./||'
fi | while read -r f; do
	[ -f "$f" ] && echo "$f"
done >"$list"

# Text is what has no NUL byte and is ours to format; code is text that people
# write here.
xargs -r -d '\n' grep -lI '' <"$list" |
	grep -vE '^(LICENSES|tests/goldens|tests/data|tools/demo/data)/' >"$text"
grep -E '(\.(c|h|py|sh|t|mk|cu|map)|(^|/)Makefile|(^|/)run)$' "$text" >"$code"
xargs -r -d '\n' grep -l '^#!' <"$text" >>"$code"
sort -u -o "$code" "$code"

n=0
# report NAME FAILURES: one check; it holds when there are no failures.
report() {
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "$2" | head -n 20 | sed 's/^/# /'
	fi
}

# over LIST COMMAND...: the command with the list's files as last arguments.
over() {
	files=$1
	shift
	xargs -r -d '\n' "$@" /dev/null <"$files"
}

report "there are files to look at" \
	"$([ "$(wc -l <"$code")" -ge 10 ] || echo "only $(wc -l <"$code") files of code found")"

report "code opens with an SPDX line" "$(
	while read -r f; do
		head -n 2 "$f" | grep -q 'SPDX-License-Identifier: ' || echo "$f"
	done <"$code"
)"

report "core may go into the kernel: GPL-2.0-only OR MIT" "$(
	grep -E '^core/.*\.[ch]$' "$code" | while read -r f; do
		head -n 1 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-only OR MIT' || echo "$f"
	done
)"

report "uapi headers carry the syscall note" "$(
	grep -E '^include/uapi/.*\.h$' "$code" | while read -r f; do
		head -n 1 "$f" | grep -q 'GPL-2.0 WITH Linux-syscall-note' || echo "$f"
	done
)"

report "every licence named has its text" "$(
	over "$code" grep -h -m 1 -o 'SPDX-License-Identifier: [^*]*' |
		sed 's/^SPDX-License-Identifier: //; s/ *$//; s/ WITH / /; s/ OR /\n/g; s/ AND /\n/g' |
		tr ' ' '\n' | sed 's/^GPL-2.0$/GPL-2.0-only/' | sort -u |
		while read -r id; do
			[ -z "$id" ] || [ -f "LICENSES/$id.txt" ] || echo "LICENSES/$id.txt is missing"
		done
)"

report "no code file is over 1000 lines" "$(
	over "$code" awk 'FNR == 1001 { print FILENAME }'
)"

report "no trailing white space" "$(
	over "$text" grep -nE "[ $tab]+\$"
)"

report "text ends with a newline" "$(
	while read -r f; do
		[ ! -s "$f" ] || [ -z "$(tail -c 1 "$f")" ] || echo "$f"
	done <"$text"
)"

report "C is indented with tabs" "$(
	grep -E '\.[ch]$' "$code" | xargs -r -d '\n' grep -nE '^ {8,}[^ *]' /dev/null
)"

# The pattern is spelled so that this file does not match itself.
report "no notes to self left behind" "$(
	over "$code" grep -nwE '(TO)DO|(FIX)ME|(XX)X'
)"

report "no path of somebody's own machine" "$(
	over "$text" grep -nE '(^|[^[:alnum:]_.])/(wor)k/|/(hom)e/[a-z]'
)"

report "scripts are executable" "$(
	over "$text" awk 'FNR == 1 && /^#!/ { print FILENAME }' | while read -r f; do
		[ -x "$f" ] || echo "$f"
	done
)"

if command -v shellcheck >/dev/null; then
	report "shellcheck finds nothing" "$(
		over "$text" awk 'FNR == 1 && /^#!.*[\/ ](ba)?sh$/ { print FILENAME }' |
			xargs -r -d '\n' shellcheck -x -f gcc 2>&1
	)"
else
	n=$((n + 1))
	echo "ok $n - shellcheck finds nothing # SKIP no shellcheck here"
fi

echo "1..$n"
