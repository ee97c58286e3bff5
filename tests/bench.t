#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braid-bench from outside: its JSON adds up, a workload file is taken as it
# is written, and what can't be measured ends at once. How fast anything is
# does not matter here.

cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
. tests/tap.sh
braidd=
trap 'kill $braidd 2>/dev/null; wait; rm -rf "$tmp"' EXIT

bench() {
	"$O/braid-bench" -q -s "$tmp/q" --control "$tmp/c" "$@"
}

# measures PERL ARGUMENTS...: succeeds, and PERL holds for its JSON in $r, the
# first run of which is $run.
measures() {
	holds=$1
	shift
	bench --warmup 0.1 -t 0.5 -j - "$@" >"$tmp/out" 2>"$tmp/err" &&
		perl -MJSON::PP -0777 -ne "\$r = decode_json(\$_); \$run = \$r->{runs}[0];
			exit(!($holds))" "$tmp/out"
}

# refuses STATUS WORDS ARGUMENTS...: ends with that status and these words,
# however long the run should have been.
refuses() {
	want=$1 words=$2
	shift 2
	timeout 50 "$O/braid-bench" -q -s "$tmp/q" --control "$tmp/c" -t 3600 "$@" \
		>"$tmp/out" 2>"$tmp/err"
	[ $? -eq "$want" ] && [ ! -s "$tmp/out" ] && grep -q -e "$words" "$tmp/err"
}

# load TEXT: a workload file of it.
load() {
	printf '%b' "$1" >"$tmp/load"
}

mkdir "$tmp/models"
"$O/braid-zoo" tiny_mlp -o "$tmp/models/tiny_mlp.onnx" || exit 1
printf '[braidd]\ntransport=socket\nsocket = %s\ncontrol = %s\ngroup =\nmodel_dir = %s\n' \
	"$tmp/q" "$tmp/c" "$tmp/models" >"$tmp/conf"
check "without a braidd: words, at once" refuses 1 'q: ' -l tiny_mlp:2
"$O/braidd" --config "$tmp/conf" 2>"$tmp/log" &
braidd=$!
for _ in $(seq 1000); do
	"$O/braidctl" --socket "$tmp/c" models 2>/dev/null | grep -q tiny_mlp && break
	sleep 0.01
done

# shellcheck disable=SC2016
{
	check "no deadline, no goodput" measures '$run->{done} > 0 && !$run->{failed} &&
		!exists $run->{goodput_per_second} && @{$run->{tenants}} == 2' -l tiny_mlp:2
	check "with a deadline that all meet, goodput is throughput" measures \
		'$run->{goodput_per_second} == $run->{requests_per_second} && !$run->{late}' \
		-l tiny_mlp:2 --deadline-ms 100000
	check "with one that none meets, it is nothing" measures \
		'$run->{goodput_per_second} == 0 && $run->{late} == $run->{in_time}' \
		-l tiny_mlp:2:4 --deadline-ms 0.000001
	load '[tiny_mlp]\n\t; indented\n  tenants = 3\n  outstanding = 2\n[tiny_mlp]\n[tiny_mlp:b]\npriority = 3\n'
	check "a section is a load of its own, one tenant unless told" measures \
		'@{$run->{tenants}} == 6 && $r->{mode} eq "closed"' -l tiny_mlp:1 -w "$tmp/load"
	load '[tiny_mlp]\ntenants = 2\nrate = 20\n'
	check "rates make an open loop" measures \
		'@{$run->{tenants}} == 2 && $r->{mode} eq "open" && $run->{done} > 0' -w "$tmp/load"
}

# The same kernels without a queue, with the backend that is always there.
# shellcheck disable=SC2016
for as in processes streams; do
	check "as $as" measures "\$r->{as} eq '$as'"' && $run->{done} > 0 && !$run->{failed} &&
		@{$run->{tenants}} == 3 && $run->{tenants}[2]{done} > 0 &&
		$run->{merge_degree_mean} == 1' \
		--as $as --backend cpu --models "$tmp/models" -l tiny_mlp:2:2 -l tiny_mlp:1
	check "as $as, open loop" measures '$r->{mode} eq "open" && $run->{done} > 5' \
		--as $as --backend cpu --models "$tmp/models" -l tiny_mlp:2 --open 100
done
# shellcheck disable=SC2016
check "three requests as one" measures '$run->{done} > 0 && !$run->{failed} &&
		$run->{done} % 3 == 0 && $run->{merge_degree_mean} == 3' \
	--as streams --degree 3 --backend cpu --models "$tmp/models" -l tiny_mlp:2
check "of braid's tenants it is not to be had" refuses 64 "processes or streams" --degree 3 \
	-l tiny_mlp:1
check "nor more than there are graphs for" refuses 64 "1 to 32" --as streams --degree 33 \
	--models "$tmp/models" -l tiny_mlp:1
# Requests so far only grow, and the last line has all that were done in the measured time.
# shellcheck disable=SC2016
check "--progress" sh -c '"$0" --progress "$1/progress" --warmup 0.1 -t 0.4 -j "$1/p.json" -q \
	--as streams --backend cpu --models "$1/models" -l tiny_mlp:1 >"$1/out" 2>&1 &&
	perl -MJSON::PP -e '\''local $/; open my $j, "<", "$ARGV[0]/p.json"; my $r = decode_json(<$j>);
		local $/ = "\n"; my ($n, $last) = (0, 0); open my $f, "<", "$ARGV[0]/progress";
		while (<$f>) { my $l = decode_json($_); die if $l->{requests} < $last;
			$last = $l->{requests}; $n++; }
		exit !($n >= 5 && $last >= $r->{runs}[0]{in_time} * 0.8 && $last > 0)'\'' "$1"' \
	"$O/braid-bench" "$tmp"
check "a model that is not there" refuses 1 "nobody" --as streams --backend cpu \
	--models "$tmp/models" -l nobody:1
check "waiting in the driver, where there is none" refuses 1 "only a GPU's" --as processes \
	--backend cpu --wait driver --models "$tmp/models" -l tiny_mlp:1
waits_in_driver() {
	(
		# shellcheck disable=SC2030
		export LD_LIBRARY_PATH="$O/standin"
		# shellcheck disable=SC2016
		measures '$run->{done} > 0 && !$run->{failed}' --as processes --wait driver \
			--models "$tmp/models" -l tiny_mlp:2
	)
}
too_many() {
	(
		# shellcheck disable=SC2031
		export LD_LIBRARY_PATH="$O/standin"
		refuses 1 "9 at once" --as streams --degree 9 --models "$tmp/models" -l tiny_mlp:1
	)
}
if [ -e "$O/standin/libcuda.so.1" ]; then
	check "and where there is one, or its stand-in" waits_in_driver
	check "as many at once as there is no graph for" too_many
fi
check "no models" refuses 64 "needs --models" --as processes -l tiny_mlp:1
if command -v python3 >/dev/null; then
	bench --warmup 0.1 -t 0.3 -j "$tmp/b.json" -l tiny_mlp:2 >/dev/null 2>&1
	bench --warmup 0.1 -t 0.3 -j "$tmp/s.json" --as streams --backend cpu \
		--models "$tmp/models" -l tiny_mlp:2 >/dev/null 2>&1
	check "summary.py: one table of both" sh -c "tools/bench/summary.py --base streams \
		--plot '$tmp/plot' '$tmp/b.json' '$tmp/s.json' >'$tmp/table' &&
		grep -q '^| streams .* 1.00 ' '$tmp/table' && grep -q '^| braid, as it is' '$tmp/table' &&
		grep -q '</svg>' '$tmp/plot-throughput.svg' && grep -q 'streams' '$tmp/plot-p99.svg'"
	sed 's/\("requests_per_second"\|"[a-z_]*p99_ms"\): [0-9.e-]*/\1: 0/' "$tmp/s.json" >"$tmp/z.json"
	check "one where nobody was answered is in it too" sh -c "tools/bench/summary.py \
		--plot '$tmp/zero' '$tmp/z.json' >'$tmp/table' && grep -q '^| streams | 0 ' '$tmp/table'"
fi

# The examples of --help, as a reader would copy them.
for loop in closed open; do
	"$O/braid-bench" --help | awk -v want=$loop '/closed loop, each|Closed loop, each/ { l = "closed" }
		/^ *Open loop, requests/ { l = "open" }
		l == want && /^  / { print }' | sed 's/resnet50/tiny_mlp/' >"$tmp/load"
	check "the $loop loop of --help" measures "\$r->{mode} eq \"$loop\"" -w "$tmp/load"
done

check "no such model: words, at once" refuses 1 'nobody' -l tiny_mlp:1 -l nobody:2
load '[tiny_mlp]\n[none]\ncolour = 3\n'
check "no such key" refuses 2 'load:3: no such key' -w "$tmp/load"
load 'tenants = 3\n'
check "a key before any section" refuses 2 'load:1: a key before' -w "$tmp/load"
load '[tiny_mlp]\ntenants = 1.5\n'
check "half a tenant" refuses 2 'load:2: not a whole number' -w "$tmp/load"
load '[tiny_mlp]\ntenants\n'
check "no value" refuses 2 'load:2: neither' -w "$tmp/load"
load "[tiny_mlp]\ntenants = 1$(printf '%300s' ';')\n"
check "a long line" refuses 2 'load:2: the line is too long' -w "$tmp/load"
check "no such file" refuses 2 'none: No such file' -w "$tmp/none"

check "a policy that is none, before the first one runs" refuses 2 "'typo' is none of none, merge" \
	-l tiny_mlp:1 --policies merge,typo
check "a file for results that can't be written" refuses 2 'none/x: No such file' \
	-l tiny_mlp:1 -j "$tmp/none/x"
check "one that could be is not made" sh -c "! '$O/braid-bench' -j '$tmp/not' -p typo 2>/dev/null &&
	[ ! -e '$tmp/not' ]"

# ends_with SIGNAL WORDS: braidd is sent that in the middle of a run, which ends in words.
ends_with() {
	rm -f "$tmp/progress"
	timeout 50 "$O/braid-bench" -q -s "$tmp/q" --control "$tmp/c" --patience 1.5 --warmup 0 \
		-t 3600 -l tiny_mlp:2 --progress "$tmp/progress" >"$tmp/out" 2>"$tmp/err" &
	run=$!
	for _ in $(seq 1000); do
		grep -qs 'requests":[1-9]' "$tmp/progress" && break
		sleep 0.01
	done
	kill "-$1" "$braidd"
	wait $run
	[ $? -eq 1 ] && [ ! -s "$tmp/out" ] && grep -q "$2" "$tmp/err"
}

check "a braidd that hangs in the middle: told, and over" ends_with STOP \
	"for [0-9.]* s: braidd is gone or hangs"
check "in so many words" grep -q "no answer to any of 2 requests for [0-9.]* s: giving up" "$tmp/err"
kill -CONT "$braidd"
check "one that is gone" ends_with KILL "tenant 0: tiny_mlp: .*/q: the queue went away and did not"

# What make says of the build stays out of a report.
front_door() {
	MAKEFLAGS='' BRAID_NO_INSTALL=1 ./run bench --version-of-nothing >"$tmp/out" 2>"$tmp/err"
	[ ! -s "$tmp/out" ] && grep -q version-of-nothing "$tmp/err"
}
if [ "$O" = build ]; then
	check "./run bench keeps make's words from standard output" front_door
else
	skip "./run bench keeps make's words from standard output" "it builds another tree"
fi

echo "1..$n"
