# SPDX-License-Identifier: MIT
#
# Part of ./gpu: the stages that judge rather than measure. check, trained, recovery,
# sanitize.

# What is said of a stage is of ./gpu's variables; steps are called by name.
# shellcheck shell=sh disable=SC2154,SC2317

# ---- check ----

check() {
	for m in $zoo $tiny null; do
		step "check-models-$m" tap env BRAID_TEST_GPU=1 BRAID_TEST_CACHE="$cache" \
			BRAID_TEST_MODELS="$m" BRAID_TEST_JSON="$out/check-models-$m.json" \
			timeout 300 test_cuda_models &
	done
	[ ! -d "$here/onnx" ] || step check-nodes tap env BRAID_TEST_GPU=1 BRAID_GPU_NODES=all \
		BRAID_ONNX_TESTDATA="$here/onnx" timeout 300 test_cuda_nodes &
	wait
	# Large ones beside each other: every step of both in one kernel.
	for m in resnet50:efficientnet_b0 mobilenet_v2:squeezenet1_1 bert_6x384:resnet50; do
		step "check-beside-${m%:*}-${m#*:}" tap env BRAID_TEST_GPU=1 BRAID_TEST_CACHE="$cache" \
			BRAID_TEST_MODELS="${m%:*}" BRAID_TEST_BESIDE="${m#*:}" \
			timeout 300 test_cuda_models &
	done
	wait
	step check-faults tap env BRAID_TEST_BACKEND=cuda test_poison
}

# A TAP program: nothing of it may be "not ok".
tap() {
	found=$(mktemp "$sock/tap-XXXXXX")
	"$@" >"$found" 2>&1
	ret=$?
	cat "$found"
	[ "$ret" -eq 0 ] && ! grep -q "^not ok" "$found"
}

# ---- trained ----

trained() {
	[ -d "$here/demo/models" ] || { say "trained: there are no models in $here/demo"; return 1; }
	# Each took up to 248 s on an H100, most of it for compiling what runs side by side, so
	# none begins later than leaves the stage below eight minutes.
	had=$limit
	[ -n "${LIMIT:-}" ] || limit=230
	step trained-fp32 trained_in fp32 1e-4
	step trained-auto trained_in auto 1e-2
	step trained-fp16 trained_in fp16 1e-2
	limit=$had
}

# Real images and speech, every answer beside what ONNX Runtime recorded: as far
# off as allowed at most, and the same classes. Then the page is read. Windows held
# together are asked for till some ran as one: their kernels have to be made first.
trained_in() { # PRECISION TOLERANCE
	stop
	trained_models && start "$sock/trained" "precision = $1" || return 1
	ret=0 header=header
	for policy in none merge adaptive; do
		trained_load "$2" "$policy" $header || ret=1
		header=
	done
	for policy in ${TRAINED_FORMS-branches merge+fuse fuse}; do
		trained_together "$2" "$policy" || ret=1
	done
	BRAID_DEMO_TOLERANCE=$2 braid-demo read "$here/demo/data" "$here/demo/models" "$sock/q" || ret=1
	stop
	return $ret
}

trained_models() {
	[ -d "$here/demo/models" ] && mkdir -p "$sock/trained" &&
		braid-demo models "$here/demo/models" "$sock/trained"
}

trained_load() { # TOLERANCE POLICY [header]
	ctl policy set fusion_policy "$2" >/dev/null
	# shellcheck disable=SC2086
	BRAID_DEMO_TOLERANCE=$1 braid-demo load "$here/demo/data" "$here/demo/models" \
		"$sock/q" 2 "$2" ${3:-}
}

# A load asks for what is made before the next one, so it is repeated till every model's
# groups had company, 1.2 a launch in the mean, or four times; some of all must have had.
trained_together() { # TOLERANCE POLICY
	for round in $(seq "${TRAINED_ROUNDS:-4}"); do
		[ "$round" -eq 1 ] || settle "${TRAINED_COMPOSE:-400}"
		trained_load "$1" "$2" >"$sock/rows" || { cat "$sock/rows"; return 1; }
		! are_together 1.2 "" || break
	done
	cat "$sock/rows"
	are_together 1.01 all && return 0
	echo "$2: hardly two groups ran as one launch"
	return 1
}

# The last column but two is how many groups ran as one launch, in the mean.
are_together() { # AT LEAST, WHOSE, "" for each
	awk -v least="$1" -v whose="$2" 'NF > 2 && (whose == "" || $2 == whose) {
			n++
			few += $(NF - 2) + 0 < least
		} END { exit few || !n }' "$sock/rows"
}

# ---- recovery ----

recover() { # FILE ROUNDS HOW
	braid-recover -s "$sock/q" -c "$sock/c" -n "$2" -j "$out/$1.json" "$3"
}

# With one model, and with all; kernels are in the cache.
recovery() {
	mkdir -p "$sock/single"
	ln -sf "$models/resnet50.onnx" "$sock/single/"
	for folder in "$sock/single" "$models"; do
		n=$(find "$folder" -name '*.onnx' | wc -l)
		bad=$([ "$n" = 1 ] && echo resnet50 || echo tiny_mlp)
		for how in fault hang; do
			[ ! -e "$out/recovery-$n-$how.done" ] || continue
			stop
			start "$folder" "lanes = $lanes" "watchdog_ms = 500" "[debug]" \
				"${how}_gpu_on = $bad:777" || return 1
			[ $how = hang ] || step "recovery-$n-kill" recover "recovery-$n-kill" 3 kill
			step "recovery-$n-$how" recover "recovery-$n-$how" \
				"$([ $how = hang ] && echo 1 || echo 3)" "$bad:777"
		done
	done
	stop
	grep -h "runner died\|runner started\|agent ready\|lost\|watchdog" "$out/braidd.log" |
		tail -n 60 >"$out/recovery-braidd.log"
}

# ---- sanitize ----

options_of() {
	[ "$1" != racecheck ] ||
		echo "--force-blocking-launches --racecheck-report all --print-limit 50"
}

# Nothing is left out: a form whose kernels came too late is for the next time.
whole() {
	tap "$@" && ! grep -q "# SKIP" "$found"
}

# racecheck looks at a block's shared memory, initcheck at what a launch reads, so launches
# may as well come through one hardware queue: where a graph's branches run at one time
# both seem to lose launches now and then (gpu-results.md, "Right, and alone"). That steps
# wait for what they read is for test_cuda_models to find.
sanitized() { # NAME TOOL PROGRAM VARIABLES...
	name=$1 tool=$2 program=$3
	shift 3
	case $tool in racecheck | initcheck) set -- CUDA_DEVICE_MAX_CONNECTIONS=1 "$@" ;; esac
	# shellcheck disable=SC2046
	step "sanitize-$tool-$name" whole env BRAID_TEST_GPU=1 "$@" timeout "${SANITIZE_LIMIT:-400}" \
		compute-sanitizer --tool "$tool" $(options_of "$tool") --error-exitcode 9 "$here/tests/$program"
}

# Large models in fp16 alone: plain products take longest here, and small ones have them.
sanitize_by() { # TOOL
	for m in ${SANITIZED:-tiny_cnn tiny_bert lstm gru squeezenet1_1}; do
		modes="fp16 fp32"
		! has "$m" "$zoo" || modes=fp16
		sanitized "$m" "$1" test_cuda_models BRAID_TEST_CACHE="$cache" \
			BRAID_TEST_MODELS="$m" BRAID_TEST_SHORT=1 BRAID_TEST_MODES="$modes" &
	done
	[ ! -d "$here/onnx" ] || sanitized nodes "$1" test_cuda_nodes \
		BRAID_ONNX_TESTDATA="$here/onnx" BRAID_GPU_NODES=some &
	wait
}

# racecheck takes longer than all the others, one after the other.
sanitize() {
	! has racecheck "$sanitizers" || sanitize_by racecheck &
	for tool in $sanitizers; do
		[ "$tool" = racecheck ] || (sanitize_by "$tool")
	done
	wait
}
