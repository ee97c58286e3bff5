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
dir=$(mktemp -d) || exit 1
pid=
end() {
	[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null
	rm -rf "$dir"
}
trap end EXIT
mkdir -m 700 "$dir/models" "$dir/cache"
for m in tiny_mlp lstm; do
	"$O/braid-zoo" $m -o "$dir/models/$m.onnx" || exit 1
done
cat >"$dir/conf" <<EOF
[braidd]
transport = socket
socket = $dir/q
control = $dir/c
group =
model_dir = $dir/models
[runner]
backend = cuda
cache_dir = $dir/cache
[debug]
fault_gpu_on = tiny_mlp:777
EOF
LD_LIBRARY_PATH=$O/standin "$O/braidd" --config "$dir/conf" 2>"$dir/log" &
pid=$!
for _ in $(seq 600); do
	grep -q "agent ready" "$dir/log" && break
	sleep 0.1
done

n=0
# is WHAT: the last command's status tells.
is() {
	ok=$?
	n=$((n + 1))
	if [ $ok -eq 0 ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		tail -n 20 "$dir/said" "$dir/out" "$dir/log" 2>/dev/null | sed 's/^/# /'
	fi
}

recover() {
	timeout 50 "$O/braid-recover" -s "$dir/q" -c "$dir/c" -n 1 -p 2000 "$@" >"$dir/out" 2>"$dir/said"
}

# The times of the last runner that came, as they follow each other.
in_order() {
	awk -F'[:, ]+' -v want="$1" '
		/gone_ms/ { starts++; last = -1; bad = 0 }
		/"(gone|ended|started|began|opened|ready)_ms"/ { bad += $3 < last; last = $3 }
		END { exit !(starts >= want && !bad && last > 0) }' "$dir/out"
}

recover kill
is "a runner is killed, and all are served again"
in_order 1
is "what it went through is told in order"
grep -q '"plan"' "$dir/out" && grep -q '"driver_ms"' "$dir/out"
is "and where the time of loading went"
recover tiny_mlp:777
is "a request faults on the GPU, and all are served again"
in_order 2
is "two runners were needed, or more"
grep -q '"offender_status": -5' "$dir/out" && ! grep -q '"failed": [1-9]' "$dir/out"
is "it alone ends in EIO"
recover nothing:1
[ $? -eq 1 ] && grep -q nothing "$dir/said"
is "a model that is not there is named"
echo "1..$n"
