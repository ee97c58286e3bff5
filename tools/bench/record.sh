#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Records what Documentation/performance.md shows: a braidd of its own, the
# null model's round trip, the policies on a mix of models, and the memory of
# braidd with the demo's models. Needs a machine with nothing else to do.
#
#	tools/bench/record.sh [FOLDER]		default Documentation/results

set -eu
cd "$(dirname "$0")/../.."
to=$(realpath "${1:-Documentation/results}")
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

start() {
	printf '[braidd]\ntransport=socket\nsocket=%s\ncontrol=%s\ngroup=\nmodel_dir=%s\nlog_level=warning\n' \
		"$BRAID_PATH" "$BRAID_CONTROL" "$1" >"$dir/conf"
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

# The round trip: as the scheduler places everybody, and all on one CPU.
mkdir "$dir/null" "$dir/mix"
"$b/braid-zoo" null -o "$dir/null/null.onnx"
{
	printf '{"command": "tools/bench/record.sh", %s,\n"as_scheduled": [' "$(machine)"
	start "$dir/null" ""
	"$b/braid-roundtrip"; echo ,; "$b/braid-roundtrip"; echo ,; "$b/braid-roundtrip"
	stop
	printf '],\n"all_on_one_cpu": ['
	start "$dir/null" "taskset -c 0"
	taskset -c 0 "$b/braid-roundtrip"; echo ,
	taskset -c 0 "$b/braid-roundtrip"; echo ,
	taskset -c 0 "$b/braid-roundtrip"
	stop
	printf ']}\n'
} >"$to/cpu-roundtrip.json"

# The policies, interleaved, three rounds.
for m in squeezenet1_1 mobilenet_v2 tiny_bert lstm; do
	"$b/braid-zoo" "$m" -o "$dir/mix/$m.onnx"
done
policies() {
	printf '{"command": "tools/bench/record.sh", %s,\n"bench": ' "$(machine)"
	"$b/braid-bench" --quiet --policies none,merge,fuse,merge+fuse --repeat 3 --seconds 4 \
		--json - "$@"
	printf '}\n'
}
start "$dir/mix" ""
policies -l tiny_bert:4:4 -l lstm:4:4 >"$to/cpu-policies-small.json"
policies -l squeezenet1_1:4 -l mobilenet_v2:4 >"$to/cpu-policies-cnn.json"
stop

# Memory with the demo's models, bound as the demo binds them, if they are here.
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
if ls "$from"/*.onnx >/dev/null 2>&1; then
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
fi
