#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The installed configuration: braidd takes it as it is and with every comment
# sign of a setting removed, and still notices a wrong key in it.

cd "$(dirname "$0")/.." || exit 1
braidd=${O:-build}/braidd
example=agent/systemd/braidd.conf
. tests/tap.sh
mkdir "$tmp/models"

# The example names a folder that this machine may not have.
sed "s|^;\\(model_dir\\) = .*|\\1 = $tmp/models|" "$example" >"$tmp/plain.conf"
"$braidd" --check --config "$tmp/plain.conf" >"$tmp/out" 2>&1
report "the example is accepted" $?

sed "s|^;\\([a-z_]* = \\)|\\1|" "$tmp/plain.conf" >"$tmp/full.conf"
"$braidd" --check --config "$tmp/full.conf" >"$tmp/out" 2>&1
report "every setting that it names is accepted" $?

sed 's|^drain_ms|drain_mss|' "$tmp/full.conf" >"$tmp/wrong.conf"
"$braidd" --check --config "$tmp/wrong.conf" >"$tmp/out" 2>&1
test $? -ne 0 && grep -q "unknown key 'drain_mss'" "$tmp/out"
report "a wrong key in it is named" $?

# What the example does not mention would be found by nobody.
mentioned() {
	while read -r key; do
		grep -q "^;$key = " "$example" || echo "$key is not in $example"
		grep -q "^| .$key. |" Documentation/operating.md ||
			echo "$key is not in operating.md"
		echo "$key" >>"$tmp/seen"
	done >"$tmp/out"
	[ ! -s "$tmp/out" ] && [ -s "$tmp/seen" ]
}

sed -n '/^static int set_\(braidd\|runner\)(/,/^}/s/.*strcmp(name, "\([a-z_]*\)").*/\1/p' \
	agent/config.c | mentioned
report "the example and the manual name every key" $?

rm -f "$tmp/seen"
sed -n 's/.*\[BQ_[A-Z_]*\] = { "\([a-z_]*\)".*/\1/p' agent/supervisor/knob.c | mentioned
report "the example and the manual name every knob" $?

echo "1..$n"
