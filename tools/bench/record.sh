#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Records what Documentation/performance.md shows: a braidd of its own, the
# null model's round trip, the policies on a mix of models, and the memory of
# braidd with the demo's models. Needs a machine with nothing else to do; the
# round trip alone stands others, since what is compared takes turns.
#
#	tools/bench/record.sh [FOLDER [PART...]]
#
# FOLDER: Documentation/results; PART: roundtrip, policies, memory, else all.

set -eu
cd "$(dirname "$0")/../.."
to=$(realpath "${1:-Documentation/results}")
[ $# -eq 0 ] || shift
parts=${*:-roundtrip policies memory}
b=${O:-build}
dir=$(mktemp -d /tmp/braid-record-XXXXXX)
pid=
trap '[ -z "$pid" ] || kill "$pid"; wait; rm -rf "$dir"' EXIT
export BRAID_PATH="$dir/q" BRAID_CONTROL="$dir/c"

machine() {
	printf '"machine": {"cpu": "%s", "cores": %s, "kernel": "%s", "load": "%s"}, "date": "%s", "commit": "%s"' \
		"$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
		"$(uname -r)" "$(cut -d' ' -f1-3 /proc/loadavg)" "$(date -u +%F)" \
		"$(git rev-parse --short HEAD 2>/dev/null || echo none)"
}

start() { # MODELS PREFIX [LINE]
	printf '[braidd]\ntransport=socket\nsocket=%s\ncontrol=%s\ngroup=\nmodel_dir=%s\n' \
		"$BRAID_PATH" "$BRAID_CONTROL" "$1" >"$dir/conf"
	printf 'log_level=warning\n%s\n' "${3:-}" >>"$dir/conf"
	$2 "$b/braidd" --config "$dir/conf" &
	pid=$!
	until "$b/braidctl" --json status 2>/dev/null | grep -q '"agent_up": true'; do
		sleep 0.1
	done
}

stop() {
	kill "$pid"
	wait "$pid" || true
	pid=
}

# As the scheduler places everybody, with and without spinning, all on one CPU;
# and, where that may be had, the first two with real-time priority, which is as
# if nobody else were there: then each hop to another CPU has to wake it.
trips() { # PREFIX OPTION LINE
	start "$dir/null" "$1" "$3"
	for i in 1 2 3 4 5; do
		[ "$i" -eq 1 ] || echo ,
		# One is words, the other may be none.
		# shellcheck disable=SC2086
		$1 "$b/braid-roundtrip" $2
	done
	stop
}

roundtrip() {
	mkdir "$dir/null"
	"$b/braid-zoo" null -o "$dir/null/null.onnx"
	{
		printf '{"command": "tools/bench/record.sh", %s,\n"as_scheduled": [' "$(machine)"
		trips "" "" ""
		printf '],\n"as_scheduled_without_spinning": ['
		trips "" --sleep "spin_us=0"
		printf '],\n"all_on_one_cpu": ['
		trips "taskset -c 0" "" ""
		if chrt -f 1 true 2>/dev/null; then
			printf '],\n"with_priority": ['
			trips "chrt -f 1" "" ""
			printf '],\n"with_priority_without_spinning": ['
			trips "chrt -f 1" --sleep "spin_us=0"
		fi
		printf ']}\n'
	} >"$to/cpu-roundtrip.json"
}

# Interleaved, three rounds.
bench() {
	printf '{"command": "tools/bench/record.sh", %s,\n"bench": ' "$(machine)"
	"$b/braid-bench" --quiet --policies none,merge,fuse,merge+fuse --repeat 3 --seconds 4 \
		--json - "$@"
	printf '}\n'
}

policies() {
	mkdir "$dir/mix"
	for m in squeezenet1_1 mobilenet_v2 tiny_bert lstm; do
		"$b/braid-zoo" "$m" -o "$dir/mix/$m.onnx"
	done
	start "$dir/mix" ""
	bench -l tiny_bert:4:4 -l lstm:4:4 >"$to/cpu-policies-small.json"
	bench -l squeezenet1_1:4 -l mobilenet_v2:4 >"$to/cpu-policies-cnn.json"
	stop
}

# With the demo's models, bound as the demo binds them, if they are here.
from=$(realpath "${BRAID_DEMO_MODELS:-build/models}" 2>/dev/null || true)
bind() { # NAME FILE SHAPE...
	ln -sf "$from/$2" "$dir/demo/$2.bound"
	name=$1 file=$2
	shift 2
	{
		printf '[model]\nfile = %s.bound\n' "$file"
		printf 'shape.%s\n' "$@"
	} >"$dir/demo/$name.ini"
}

memory() {
	ls "$from"/*.onnx >/dev/null 2>&1 || return 0
	mkdir "$dir/demo"
	bind ocr-det ch_PP-OCRv4_det_infer.onnx x=1x3x320x640
	bind ocr-cls ch_ppocr_mobile_v2.0_cls_infer.onnx x=1x3x48x192
	bind ocr-rec-640 ch_PP-OCRv4_rec_infer.onnx x=1x3x48x640
	bind ocr-rec-1152 ch_PP-OCRv4_rec_infer.onnx x=1x3x48x1152
	bind vad silero_vad_openvino_16k.onnx input=1x576 state=2x1x128
	start "$dir/demo" ""
	"$b/braid-bench" --quiet --seconds 8 -l ocr-det:2 -l ocr-cls:2 -l ocr-rec-640:2 \
		-l ocr-rec-1152:2 -l vad:2 >/dev/null
	runner=$("$b/braidctl" --json runner | awk -F'[:,]' '/"pid"/ { print $2 + 0 }')
	{
		printf '{"command": "tools/bench/record.sh", %s,\n' "$(machine)"
		printf '"after": "8 s of ten tenants",\n'
		printf '"supervisor_kib": %s, "runner_kib": %s, "runner_peak_kib": %s, "runner":\n' \
			"$(awk '/VmRSS/ { print $2 }' "/proc/$pid/status")" \
			"$(awk '/VmRSS/ { print $2 }' "/proc/$runner/status")" \
			"$(awk '/VmHWM/ { print $2 }' "/proc/$runner/status")"
		"$b/braidctl" --json runner
		printf '}\n'
	} >"$to/cpu-memory.json"
	stop
}

for part in $parts; do
	case $part in
	roundtrip | policies | memory) $part ;;
	*)
		echo "record.sh: no part '$part'" >&2
		exit 2
		;;
	esac
done
