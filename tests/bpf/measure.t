#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braidctl stalls, trace and doctor beside a braidd under load and a process that
# uses a libcuda. The trace is checked against what Perfetto and chrome://tracing
# expect of one (tests/bpf/check-trace).

cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
O=${O:-build}
pids=
end() {
	for pid in $pids; do
		kill "$pid" 2>/dev/null
	done
	wait
	rm -rf "$tmp"
}
trap end EXIT

ctl() {
	"$O/braidctl" --socket "$tmp/c" "$@"
}

check "doctor has a line for everything" ctl doctor
grep -q '^kernel ' "$tmp/said" && grep -q '^privilege ' "$tmp/said" &&
	grep -q '^braidd  *no  *nobody answers' "$tmp/said"
report "kernel, privilege, braidd" $?
ctl --json doctor >"$tmp/said" 2>&1 &&
	perl -MJSON::PP -0777 -ne '$l = decode_json($_); exit !(@$l > 8 && !grep {
		$_->{verdict} !~ /^(yes|no|-)$/ || !length $_->{why} } @$l)' "$tmp/said"
report "and as JSON" $?

# draws_nothing WORDS TRACE [OUT]: one line that names the file, and no picture.
draws_nothing() {
	tools/braidctl/trace-picture "$2" "${3-$tmp/none.svg}" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 1 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && [ ! -e "$tmp/none.svg" ] &&
		grep -q "^${3-$2}: $1" "$tmp/err"
}

# event LENGTH: a trace with one group in it.
event() {
	printf '{"traceEvents":[{"ph":"X","pid":1,"tid":1,"ts":1,"dur":%s,"name":"m","args":{%s}}]}' \
		"$1" '"window":1,"merge_degree":2'
}

if command -v python3 >/dev/null; then
	check "trace-picture: no such file" draws_nothing 'No such file' "$tmp/nothing"
	check "trace-picture: a folder" draws_nothing 'Is a directory' "$tmp"
	echo '{"traceEvents": [' >"$tmp/cut"
	check "trace-picture: no JSON" draws_nothing 'not JSON' "$tmp/cut"
	printf '\377\376' >"$tmp/bytes"
	check "trace-picture: no text" draws_nothing 'not JSON' "$tmp/bytes"
	for text in '[1]' '{}' '{"traceEvents":[{"ph":"X"}]}' \
		'{"traceEvents":[{"ph":"e","pid":1,"tid":1,"ts":1,"cat":"a","id":1}]}' \
		"$(event '"1"')"; do
		echo "$text" >"$tmp/other"
		check "trace-picture: JSON that is no trace" draws_nothing "not a trace" "$tmp/other"
	done
	echo '{"traceEvents":[]}' >"$tmp/other"
	check "trace-picture: nothing in it" draws_nothing 'no window in it' "$tmp/other"
	event 5 >"$tmp/other"
	check "trace-picture: nowhere to" draws_nothing 'No such file' "$tmp/other" "$tmp/none/x"
fi

if [ ! -x "$O/braid-probe" ]; then
	ctl stalls >"$tmp/said" 2>&1
	test $? -eq 1 && grep -q 'left out of this build' "$tmp/said"
	report "without probes stalls says so" $?
	echo "1..$n"
	exit 0
fi
cp "$O/braidd" "$tmp/braidd"
if ! "$O/braid-probe" check --only queue_latency --braidd "$tmp/braidd" >"$tmp/why" 2>&1; then
	skip "stalls and trace" "$(head -n 1 "$tmp/why")"
	echo "1..$n"
	exit 0
fi

mkdir "$tmp/models"
"$O/braid-zoo" tiny_mlp -o "$tmp/models/mlp.onnx" &&
	"$O/braid-zoo" tiny_cnn -o "$tmp/models/cnn.onnx" || exit 1
printf '[braidd]\ntransport=socket\nsocket=%s\ncontrol=%s\ngroup=\nmodel_dir=%s\nlog_level=error\n[queue]\nwindow_policy=fixed\nwindow_timeout_us=2000\nfusion_policy=merge+fuse\n[probes]\nhost_stall=%s\n' \
	"$tmp/q" "$tmp/c" "$tmp/models" "$tmp/stalls" >"$tmp/conf"
"$tmp/braidd" --config "$tmp/conf" 2>"$tmp/log" &
pids=$!
for _ in $(seq 1000); do
	ctl models 2>/dev/null | grep -q mlp && break
	sleep 0.01
done
"$O/braid-bench" -q -s "$tmp/q" --control "$tmp/c" -t 60 -l mlp:3:4 -l cnn:2:4 \
	>"$tmp/bench" 2>&1 &
bench=$!
pids="$pids $bench"
mkdir "$tmp/lib"
cp "$O/tests/standin-cuda/libcuda.so.1" "$tmp/lib/libcuda.so.1"
"$O/tests/cuda-script" "$tmp/lib/libcuda.so.1" '*2000kks10p5' >"$tmp/cuda" 2>&1 &
pids="$pids $!"
sleep 0.5

# holds PERL: true of the JSON on standard input, in $o.
holds() {
	perl -MJSON::PP -0777 -e 'our $o = decode_json(<STDIN>); my $ok = eval $ARGV[0];
		print $@ if $@; exit !$ok' "$1"
}

# What others do is known to the agent, once somebody with the rights to writes it.
ctl explain >"$tmp/said" 2>&1 && ! grep -q '^outside' "$tmp/said"
report "explain: nothing of others while nobody tells" $?
"$O/braid-probe" run --pin none --only host_stall --library "$tmp/lib/libcuda.so.1" \
	--write "$tmp/stalls" >"$tmp/out" 2>"$tmp/err" &
probe=$!
tries=0
until ctl explain >"$tmp/said" 2>&1 &&
	grep -q '^outside: other processes launched [1-9][0-9]* times a second' "$tmp/said"; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || break
	sleep 0.1
done
[ $tries -lt 100 ]
report "explain: what other processes launch, from braid-probe --write" $?
ctl --json runner >"$tmp/said" 2>&1 && grep -q '"others_launches_per_s"' "$tmp/said"
report "runner: the same" $?
ctl policy set fusion_policy adaptive >"$tmp/out" 2>&1
tries=0
until ctl explain >"$tmp/said" 2>&1 &&
	grep -q '^chosen: .*others use the device a little' "$tmp/said"; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || break
	sleep 0.1
done
[ $tries -lt 100 ]
report "explain: the adaptive policy counts with it" $?
ctl policy set fusion_policy merge+fuse >"$tmp/out" 2>&1
kill -INT $probe
wait $probe
[ ! -e "$tmp/stalls" ]
report "the file is gone with the program" $?

ctl --json stalls 0.5 1 >"$tmp/out" 2>"$tmp/err"
report "stalls: one look" $?
# shellcheck disable=SC2016
{
	holds '@{$o->{tenants}} >= 5 && !grep { $_->{total_ns} < $_->{run_ns} } @{$o->{tenants}}' \
		<"$tmp/out" >"$tmp/said"
	report "stalls: five tenants with their times" $?
	holds 'grep { $_->{model} eq "mlp" && $_->{pid} > 1 && $_->{completed_per_s} > 0 }
		@{$o->{tenants}}' <"$tmp/out" >"$tmp/said"
	report "stalls: by model and pid" $?
	holds 'my ($p) = grep { $_->{comm} eq "cuda-script" } @{$o->{processes}};
		$p && $p->{kernels_per_s} > 20 && $p->{sync_wait_share} > 0.3 &&
		$p->{sync_wait_share} < 0.9' <"$tmp/out" >"$tmp/said"
	report "stalls: the process that uses libcuda, and its sync wait" $?
}
ctl stalls 0.5 1 >"$tmp/said" 2>"$tmp/err" && grep -q '^ tenant ' "$tmp/said" &&
	grep -q 'sync wait' "$tmp/said" && grep -q cuda-script "$tmp/said"
report "stalls: as tables" $?
ctl stalls never >"$tmp/said" 2>&1
test $? -eq 2 && grep -q "'never' can't be an interval" "$tmp/said"
report "stalls: what is no interval is refused" $?

ctl trace "$tmp/trace" 1 >"$tmp/out" 2>"$tmp/err"
report "trace: a second" $?
tests/bpf/check-trace "$tmp/trace" >"$tmp/said" 2>&1
report "trace: what Perfetto expects" $?
grep -q 'tenant ' "$tmp/said" && grep -q 'GPU/lane 0' "$tmp/said" && grep -q 'libcuda, pid' "$tmp/said"
report "trace: a track a tenant, the GPU's, a process's" $?
grep -q 'merged' "$tmp/said" && grep -q 'fused' "$tmp/said"
report "trace: merged and fused groups" $?
if command -v python3 >/dev/null; then
	tools/braidctl/trace-picture "$tmp/trace" "$tmp/picture.svg" >"$tmp/said" 2>&1 &&
		grep -q 'Window [0-9]*: .* merged [0-9]*, fused [0-9]' "$tmp/picture.svg" &&
		grep -q '</svg>' "$tmp/picture.svg"
	report "trace-picture: a window of merged and fused work" $?
	tools/braidctl/trace-picture "$tmp/trace" "$tmp/none.svg" --window 999999 >"$tmp/said" 2>&1
	test $? -eq 1 && grep -q 'window 999999 is not in it' "$tmp/said"
	report "trace-picture: a window that is not there" $?
fi
ctl trace "$tmp/none/trace" 0.2 >"$tmp/said" 2>&1
test $? -eq 1 && grep -q 'No such file' "$tmp/said"
report "trace: a file that can't be written is named" $?

# A tenant by itself, whose requests are handed out in the moment that they come.
kill "$bench" && wait "$bench" 2>/dev/null
ctl policy set window_policy adaptive >"$tmp/out" 2>&1
"$O/braid-bench" -q -s "$tmp/q" -t 60 -l mlp:1 >"$tmp/bench" 2>&1 &
pids="$pids $!"
ctl stalls 0.5 1 >"$tmp/said" 2>"$tmp/err" && grep -q ' mlp ' "$tmp/said" &&
	! grep -Eq ' mlp +[0-9.]+ +[0-9]{1,3} ns ' "$tmp/said"
report "stalls: no time in the queue is told closer than it is known" $?

echo "1..$n"
