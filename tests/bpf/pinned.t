#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What bpftool shows of the pinned probes: figures with the names of their
# fields, programs with theirs, and what they print into the trace.

cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
O=${O:-build}
PATH=$PATH:/usr/sbin:/sbin
lib=$O/tests/standin-cuda/libcuda.so.1
probe=$O/braid-probe
dir=$tmp/bpf

if [ ! -x "$probe" ]; then
	echo "1..0 # SKIP the probes are left out of this build"
	exit 0
fi
mkdir "$dir"
if ! mount -t bpf bpf "$dir" 2>"$tmp/said"; then
	echo "1..0 # SKIP $(head -n 1 "$tmp/said")"
	exit 0
fi
pid=
end() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null
	wait
	umount "$dir"
	rm -rf "$tmp"
}
trap end EXIT

"$probe" run --only host_stall --library "$lib" --pin "$dir/braid" --events \
	--max-entries 2 >"$tmp/json" 2>"$tmp/err" &
pid=$!
tries=0
until grep -q 'host_stall: ' "$tmp/err" || [ $tries -gt 100 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
if ! grep -q attached "$tmp/err"; then
	echo "1..0 # SKIP $(head -n 1 "$tmp/err")"
	exit 0
fi
pins=$dir/braid/host_stall

# A process with a name of its own: three kernels and a wait of 10 ms.
cp "$O/tests/cuda-script" "$tmp/tenant-one"
"$tmp/tenant-one" "$lib" kkks10 >"$tmp/out" 2>&1
report "a process uses the library" $?

bpftool map dump pinned "$pins/processes" >"$tmp/said" 2>&1 &&
	grep -q '"comm": "tenant-one"' "$tmp/said" && grep -q '"kernels": 3' "$tmp/said" &&
	grep -q '"syncs": 1' "$tmp/said"
report "bpftool map dump pinned: figures with names" $?

bpftool map dump pinned "$pins/total" >"$tmp/said" 2>&1 && grep -q '"lost_returns": 0' "$tmp/said"
report "and what was not counted" $?

bpftool prog show pinned "$pins/leave" >"$tmp/said" 2>&1 && grep -q 'name leave' "$tmp/said" &&
	grep -q btf_id "$tmp/said"
report "bpftool prog show pinned: by name, with BTF" $?

bpftool map show pinned "$pins/events" >"$tmp/said" 2>&1 &&
	grep -q 'perf_event_array  name events' "$tmp/said"
report "the events are a map that bpftool map event_pipe reads" $?

timeout 3 bpftool map event_pipe pinned "$pins/events" >"$tmp/events" 2>&1 &
events=$!
[ ! -r /sys/kernel/tracing/trace_pipe ] || timeout 3 bpftool prog tracelog >"$tmp/log" 2>&1 &
log=$!
sleep 0.5
for name in two three; do
	cp "$O/tests/cuda-script" "$tmp/tenant-$name"
	"$tmp/tenant-$name" "$lib" kkks10 >"$tmp/out" 2>&1
done
wait $events $log
cp "$tmp/events" "$tmp/said"
[ "$(grep -c '^== @' "$tmp/events")" -ge 8 ]
report "bpftool map event_pipe: an event a launch and a wait" $?
if [ -r /sys/kernel/tracing/trace_pipe ]; then
	cp "$tmp/log" "$tmp/said"
	grep -q 'host_stall: no room for process' "$tmp/log"
	report "bpftool prog tracelog: a map that is full is said" $?
else
	skip "bpftool prog tracelog" "tracefs is not mounted"
fi

"$probe" show --only host_stall --pin "$dir/braid" >"$tmp/said" 2>&1 &&
	grep -q '"comm":"tenant-one"' "$tmp/said"
report "braid-probe show reads the pins of another" $?

"$probe" run --only host_stall --library "$lib" --pin "$dir/braid" --seconds 0.1 \
	>"$tmp/said" 2>&1
test $? -eq 1 && grep -q 'another braid-probe runs' "$tmp/said" && [ -e "$pins/total" ]
report "a second one does not take the pins over" $?

kill -9 "$pid"
wait "$pid" 2>/dev/null
pid=
[ -e "$pins/total" ] && "$probe" unpin --pin "$dir/braid" >"$tmp/said" 2>&1 &&
	[ ! -e "$dir/braid" ]
report "what one that was killed left can be removed" $?

"$probe" show --pin "$dir/braid" >"$tmp/said" 2>&1
test $? -eq 1 && grep -q 'nothing is pinned' "$tmp/said"
report "then there is nothing to show" $?

"$probe" run --only host_stall --library "$lib" --pin "$dir/braid" --seconds 0.2 \
	>"$tmp/said" 2>&1 && [ ! -e "$dir/braid" ] && grep -q '"total"' "$tmp/said"
report "one that ends leaves nothing" $?

echo "1..$n"
