#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# shellcheck shell=dash
#
# The probes with other rights and on kernels that lack something: each loads and
# attaches, or is refused in one line that says why.

. /tests/tap.sh
lib=/build/tests/standin-cuda/libcuda.so.1

# tries PROBE [OPTION...]
tries() {
	braid-probe check --only "$@" --library $lib
}

# as_bpf PROBE: root in name, and no capability but two.
as_bpf() {
	/programs/setpriv --bounding-set=-all,+bpf,+perfmon --inh-caps=-all,+bpf,+perfmon \
		/programs/braid-probe check --only "$1" --library $lib
}

# refused WORDS COMMAND...: fails, in one line with these words.
refused() {
	words=$1
	shift
	"$@" >/tmp/said 2>&1
	[ $? -eq 1 ] && grep -q "$words" /tmp/said && [ "$(wc -l </tmp/said)" -eq 1 ]
}

for probe in host_stall queue_latency drm_switch nvgpu_ctxsw; do
	check "$probe, as root" tries $probe
done
# Debian's kernels begin with 3.
paranoid=$(cat /proc/sys/kernel/perf_event_paranoid)
[ "$paranoid" -le 2 ] || check "where perf events are for CAP_SYS_ADMIN alone it says so" \
	refused perf_event_paranoid as_bpf drm_switch
echo 2 >/proc/sys/kernel/perf_event_paranoid
check "queue_latency with CAP_BPF and CAP_PERFMON alone" as_bpf queue_latency
check "drm_switch with CAP_BPF and CAP_PERFMON alone" as_bpf drm_switch
check "nvgpu_ctxsw with CAP_BPF and CAP_PERFMON alone" as_bpf nvgpu_ctxsw
case "$(uname -r)" in
6.[0-5].*) check "host_stall with them: before 6.6 it names what it takes" \
	refused CAP_SYS_ADMIN as_bpf host_stall ;;
*) check "host_stall with them" as_bpf host_stall ;;
esac

mkdir -p /tmp/empty
mount --bind /tmp/empty /sys/kernel/btf
for probe in host_stall queue_latency drm_switch nvgpu_ctxsw; do
	check "$probe does not need the kernel's BTF" tries $probe
done
umount /sys/kernel/btf

umount /sys/kernel/debug/tracing 2>/dev/null
umount /sys/kernel/debug
umount /sys/kernel/tracing
check "without tracefs drm_switch says so" refused 'tracefs is not mounted' tries drm_switch
check "without tracefs host_stall works" tries host_stall
mount -t tracefs tracefs /sys/kernel/tracing

mount -t bpf bpf /sys/fs/bpf
: >/tmp/err
braid-probe run --library $lib >/tmp/figures 2>/tmp/err &
probe=$!
i=0
until [ "$(wc -l </tmp/err)" -ge 3 ] || [ $i -ge 600 ]; do
	i=$((i + 1))
	sleep 0.2
done
check "maps and programs are pinned" ls /sys/fs/bpf/braid/host_stall/processes \
	/sys/fs/bpf/braid/queue_latency/requests /sys/fs/bpf/braid/drm_switch/job_run
kill -INT $probe
wait
check "and gone when it ends" test ! -e /sys/fs/bpf/braid
check "figures of all three" grep -q '"host_stall":{.*"queue_latency":{.*"drm_switch":{' /tmp/figures

# From here on there is no way back.
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
if echo confidentiality >/sys/kernel/security/lockdown 2>/dev/null; then
	for probe in queue_latency drm_switch nvgpu_ctxsw; do
		check "in a kernel that is locked down $probe is refused by that name" \
			refused 'locked down' tries $probe
	done
	check "host_stall reads nothing of the kernel and works there" tries host_stall
else
	skip "in a kernel that is locked down" "this one can't be"
fi
plan
