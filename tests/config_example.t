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

"${O:-build}/braid-zoo" tiny_mlp -o "$tmp/models/good.onnx"
"$braidd" --check --config "$tmp/plain.conf" >"$tmp/out" 2>&1 && grep -q "^good	ok" "$tmp/out"
report "a model that can be served is ok" $?
echo broken >"$tmp/models/bad.onnx"
"${O:-build}/braid-zoo" tiny_mlp --batch free -o "$tmp/models/free.onnx"
printf '[model]\n  colour = blue\n' >"$tmp/models/odd.ini"
printf '[model]\nfile = good.onnx\nshape.nobody = 1x2\n' >"$tmp/models/bound.ini"
"$braidd" --check --config "$tmp/plain.conf" >"$tmp/out" 2>&1
test $? -eq 1
report "one that can not be fails the check" $?
grep -q "^bad	" "$tmp/out" && ! grep -q "^bad	ok" "$tmp/out" && grep -q "^good	ok" "$tmp/out" &&
	grep -q "^bound	.*nobody" "$tmp/out" &&
	grep -q "^odd	odd.ini:2: unknown key 'colour'" "$tmp/out"
report "each is told with its reason" $?
grep -q "^free	.*is free.*(batch = 1 or shape\.[a-z]* = " "$tmp/out"
report "a free extent with what to write where" $?
printf '[model]\nbatch = 1\n' >"$tmp/models/free.ini"
"$braidd" --check --config "$tmp/plain.conf" >"$tmp/out" 2>&1
grep -q "^free	ok" "$tmp/out"
report "which then holds" $?
printf '[model]\nfile = good.onnx\nbatch = 4\n' >"$tmp/models/idle.ini"
printf '[model]\nfile = good.onnx\nconst.input = 1\n' >"$tmp/models/none.ini"
"$braidd" --check --config "$tmp/plain.conf" >"$tmp/out" 2>&1
grep -q "^idle	ok, but batch has no effect" "$tmp/out"
report "a batch that binds nothing is told" $?
grep -q "^none	no input is left" "$tmp/out"
report "a model without an input is none" $?

# What is well written and can't be had here.
printf '%s\n' '[braidd]' 'cpu = 1023' "socket = $tmp/none/q" "control = $tmp/plain.conf/c" \
	"model_dir = $tmp/none" 'transport = device' 'device = none' \
	'[runner]' 'backend = cuda' 'gpu = 255' >"$tmp/here.conf"
here() {
	"$braidd" --check --config "$tmp/here.conf" >"$tmp/out" 2>&1
	[ $? -eq 2 ] || return 1
	sed "s|.*/here.conf:|here:|;s|$tmp|TMP|g" "$tmp/out" >"$tmp/said"
	for line in "$@"; do
		grep -q "^here:$line" "$tmp/said" || { echo "missing: $line" >>"$tmp/out"; return 1; }
	done
}
here '2: cpu = 1023: this machine has CPUs 0 to [0-9]' '4: control = TMP/plain.conf/c: .*no folder' \
	'5: model_dir = TMP/none: No such file' \
	'6: transport = device: /dev/none-agent: not there' '9: backend = cuda: '
report "what this machine has not is told by key, value and line" $?
sed -i 's|^transport = .*|transport = socket|' "$tmp/here.conf"
here '3: socket = TMP/none/q: TMP/none: No such file'
report "so is the folder of a socket that is not there" $?
printf '[braidd]\nmetrics = %s\n' "$tmp/models" >"$tmp/here.conf"
here '2: metrics.*\(is no socket\|without libmicrohttpd\)'
report "so is what lies where metrics should be" $?

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
