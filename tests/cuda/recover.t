#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braid-recover, with the stand-in in the place of a driver: a runner that is
# killed, and a request that faults on the GPU. What it tells must be in order.

cd "$(dirname "$0")/../.." || exit 1
O=${O:-build}

if [ ! -e "$O/standin/libcuda.so.1" ]; then
	echo "1..0 # SKIP $O/standin is not built"
	exit 0
fi
. tests/tap.sh
pid=
end() {
	[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null
	rm -rf "$tmp"
}
trap end EXIT
mkdir -m 700 "$tmp/models" "$tmp/cache"
for m in tiny_mlp lstm; do
	"$O/braid-zoo" $m -o "$tmp/models/$m.onnx" || exit 1
done
cat >"$tmp/conf" <<EOF
[braidd]
transport = socket
socket = $tmp/q
control = $tmp/c
group =
model_dir = $tmp/models
[runner]
backend = cuda
cache_dir = $tmp/cache
[debug]
fault_gpu_on = tiny_mlp:777
EOF
TMPDIR=$tmp LD_LIBRARY_PATH=$O/standin "$O/braidd" --config "$tmp/conf" 2>"$tmp/log" &
pid=$!
for _ in $(seq 600); do
	grep -q "agent ready" "$tmp/log" && break
	sleep 0.1
done

recover() {
	timeout 50 "$O/braid-recover" -s "$tmp/q" -c "$tmp/c" -n 1 -p 2000 "$@" >"$tmp/out" 2>"$tmp/err" && return
	ret=$?
	tail -n 20 "$tmp/log"
	return $ret
}

# The times of the last runner that came, as they follow each other.
in_order() {
	awk -F'[:, ]+' -v want="$1" '
		/gone_ms/ { starts++; last = -1; bad = 0 }
		/"(gone|ended|started|began|opened|ready)_ms"/ { bad += $3 < last; last = $3 }
		END { exit !(starts >= want && !bad && last > 0) }' "$tmp/out"
}

times_told() {
	grep -q '"plan"' "$tmp/out" && grep -q '"driver_ms"' "$tmp/out"
}

alone_in_error() {
	grep -q '"offender_status": -5' "$tmp/out" && ! grep -q '"failed": [1-9]' "$tmp/out"
}

unknown_named() {
	recover nothing:1
	[ $? -eq 1 ] && grep -q nothing "$tmp/err"
}

harmless_told() {
	recover tiny_mlp:5
	[ $? -eq 1 ] && grep -q "answered like any other" "$tmp/err"
}

# A runner that does nothing: nobody is served, and the tool ends by itself.
gives_up() {
	runner=$(sed -n 's/.*"runner started" pid=\([0-9]*\).*/\1/p' "$tmp/log" | tail -n 1)
	kill -STOP "$runner"
	recover -l 1 kill
	ret=$?
	kill -CONT "$runner"
	[ $ret -eq 1 ] && grep -q "the runner does not answer" "$tmp/err" &&
		grep -q "the time is over" "$tmp/err"
}

check "a runner is killed, and all are served again" recover kill
check "what it went through is told in order" in_order 1
check "and where the time of loading went" times_told
check "a request faults on the GPU, and all are served again" recover tiny_mlp:777
check "two runners were needed, or more" in_order 2
check "it alone ends in EIO" alone_in_error
check "a model that is not there is named" unknown_named
check "a request that ends nothing is told" harmless_told
check "nobody is served: that is told too, in time" gives_up
echo "1..$n"
