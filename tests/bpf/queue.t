#!/bin/sh
# SPDX-License-Identifier: MIT
#
# queue_latency beside the queue's own counters, over the socket transport: what
# the probe has summed must be what the queue has counted, to the last request,
# also when runners are killed on the way.
#
# BRAID_PROBE_REQUESTS: how many requests, 20000 unless told.

cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
O=${O:-build}
want=${BRAID_PROBE_REQUESTS:-20000}
probe=
braidd=
end() {
	for pid in $probe $braidd; do
		kill "$pid" 2>/dev/null
	done
	wait
	rm -rf "$tmp"
}
trap end EXIT

if [ ! -x "$O/braid-probe" ]; then
	echo "1..0 # SKIP the probes are left out of this build"
	exit 0
fi
# A probe sees a file, in every process: other tests run a braidd, too.
cp "$O/braidd" "$tmp/braidd"
if ! "$O/braid-probe" check --only queue_latency --braidd "$tmp/braidd" >"$tmp/said" 2>&1; then
	echo "1..0 # SKIP $(head -n 1 "$tmp/said")"
	exit 0
fi

ctl() {
	"$O/braidctl" --socket "$tmp/c" "$@" 2>/dev/null
}

# count FIELD: of the queue's counters.
count() {
	ctl --json status | perl -MJSON::PP -0777 -ne "print decode_json(\$_)->{counters}{$1}"
}

# holds PERL: true of the probe's figures $q, the queue's counters $c.
holds() {
	perl -MJSON::PP -e '
		local $/;
		open(my $f, "<", "$ARGV[0]/figures"); our $q = decode_json(<$f>)->{queue_latency};
		open($f, "<", "$ARGV[0]/status"); our $c = decode_json(<$f>)->{counters};
		our $t = $q->{total};
		sub sum { my $k = shift; my $s = 0; $s += $_->{$k} for @{$q->{requests}}; $s }
		my $ok = eval $ARGV[1];
		print $@ if $@;
		print "probe: ", join(" ", map { "$_=$t->{$_}" } grep { !ref $t->{$_} } sort keys %$t),
			"\nqueue: ", join(" ", map { "$_=$c->{$_}" } grep { !ref $c->{$_} } sort keys %$c),
			"\n" unless $ok;
		exit !$ok' "$tmp" "$1" >"$tmp/said" 2>&1
}

mkdir "$tmp/models"
"$O/braid-zoo" tiny_mlp -o "$tmp/models/a.onnx" || exit 1
cp "$tmp/models/a.onnx" "$tmp/models/b.onnx"
printf '[braidd]\ntransport=socket\nsocket=%s\ncontrol=%s\ngroup=\nmodel_dir=%s\nlog_level=error\n[queue]\nmax_attempts=100\n' \
	"$tmp/q" "$tmp/c" "$tmp/models" >"$tmp/conf"
"$O/braid-probe" run --pin none --only queue_latency --braidd "$tmp/braidd" >"$tmp/figures" \
	2>"$tmp/err" &
probe=$!
until grep -q 'queue_latency: ' "$tmp/err"; do
	sleep 0.05
done
"$tmp/braidd" --config "$tmp/conf" 2>"$tmp/log" &
braidd=$!
for _ in $(seq 1000); do
	ctl models | grep -q ' b ' && break
	sleep 0.01
done

kills=0
while [ "$(count submitted)" -lt "$want" ]; do
	"$O/braid-bench" -q -s "$tmp/q" --control "$tmp/c" --warmup 0 -t 1 -l a:3:8 -l b:2:4 \
		-j "$tmp/bench" >"$tmp/out" 2>&1 &
	bench=$!
	if [ $kills -lt 2 ]; then
		sleep 0.3
		kills=$((kills + 1))
		kill -9 "$(ctl --json status | perl -MJSON::PP -0777 -ne \
			'print decode_json($_)->{runner_pid}')"
	fi
	wait $bench || break
done
ctl --json status >"$tmp/status"
kill -INT $probe
wait $probe
probe=

# shellcheck disable=SC2016
{
	holds '$c->{submitted} >= '"$want"' && $c->{requeued} > 0'
	report "there were $want requests, and some came back from killed runners" $?
	holds '$t->{submitted} == $c->{submitted} && $t->{completed} == $c->{completed}'
	report "submitted and completed" $?
	holds '$t->{fetched} == $c->{fetched} && $t->{requeued} == $c->{requeued}'
	report "fetched and taken back" $?
	holds '$q->{windows} == $c->{windows} && $q->{jobs} == $c->{fetched}'
	report "windows and what was in them" $?
	holds 'my $same = 1; $same &&= $q->{closes}{$_} == $c->{window_closes}{$_}
		for keys %{$q->{closes}}; $same'
	report "reasons for which windows closed" $?
	holds '$t->{device_ns} == $c->{device_ns} && $t->{merge_sum} == $c->{merge_sum} &&
		$t->{fuse_sum} == $c->{fuse_sum} && $t->{ran} == $c->{committed}'
	report "device time, merge and fuse degrees" $?
	holds 'my $same = @{$q->{requests}} > 0; $same &&= sum($_) == $t->{$_}
		for grep { !ref $t->{$_} && $_ ne "longest_ns" } keys %$t; $same'
	report "tenants and models add up to the total" $?
	holds '$t->{total_ns} >= $t->{run_ns} && $t->{queued_ns} > 0 && $t->{run_ns} > 0 &&
		$q->{timed_windows} == $q->{windows} && $q->{window_ns} > 0'
	report "times" $?
	holds 'my $n = $q->{not_counted}; !$n->{requests_full} && !$n->{unreadable}'
	report "nothing was left out" $?
}
echo "1..$n"
