#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braidd where the module is loaded, as it is installed: nobody says which
# transport. The tools find the queue by themselves.
. /tests/tap.sh

# says PATTERN COMMAND...: success, and the words are there.
says() {
	pattern=$1
	shift
	"$@" >/tmp/out 2>&1
	rc=$?
	cat /tmp/out
	[ $rc -eq 0 ] && grep -Eq -- "$pattern" /tmp/out
}

# soon PATTERN COMMAND...: sooner or later it is so.
soon() {
	for _ in $(seq 300); do
		says "$@" >/tmp/last && return 0
		sleep 0.1
	done
	cat /tmp/last /tmp/braidd.log
	return 1
}

# ends PID: it does, well.
ends() {
	kill "$1" && wait "$1"
}

mkdir -p /etc/braid/models /run/braid
braid-zoo tiny_mlp -o /etc/braid/models/tiny_mlp.onnx
printf '[braidd]\ngroup =\n[queue]\nwindow_max = 9\n' >/etc/braid/braidd.conf
echo 5000 >/sys/class/braid/braid0/window_timeout_us
braidd >/tmp/braidd.log 2>&1 &
braidd=$!
check "braidd serves the kernel's queue" soon "^agent +up, generation [0-9]+, backend [a-z]+, runner pid [0-9]+" \
	braidctl status
check "it has no socket for tenants" test ! -e /run/braid/braid.sock
check "a knob that its configuration names is set" grep -q '^9$' /sys/class/braid/braid0/window_max
check "one that it does not name stays" grep -q '^5000$' /sys/class/braid/braid0/window_timeout_us
check "the model is there" says "tiny_mlp" braidctl models
check "with its tensors" says "output .* bytes" braidctl models tiny_mlp
check "a load that nobody told where" says "^as it is .* 0\$" braid-bench -q -l tiny_mlp:2:4 --warmup 0 -t 1
check "policies in turn" says "^merge .* 0\$" braid-bench -q -l tiny_mlp:2:4 --warmup 0 -t 1 -p none,merge
check "explain" says "^window [0-9]+: .* policy merge" braidctl explain
check "the runner's figures" says "backend cpu" braidctl runner
check "a policy is set" says "^fuse$" braidctl policy set fusion_policy fuse
check "in the kernel" grep -q '^fuse$' /sys/class/braid/braid0/fusion_policy
braid-zoo tiny_cnn -o /etc/braid/models/tiny_cnn.onnx
check "reload" says "loaded 1, withdrawn 0, unchanged 1, refused 0" braidctl reload
check "the new model is served" says "^as it is .* 0\$" braid-bench -q -l tiny_cnn:1:1 --warmup 0 -t 1
braidd >/tmp/second.log 2>&1
check "a second braidd does not start" test $? -eq 1
sed -i '/^group/i control = /run/braid/other.sock' /etc/braid/braidd.conf
check "nor with a control socket of its own" sh -c \
	'! braidd >/tmp/second.log 2>&1 && grep -q "another agent serves there" /tmp/second.log'
check "SIGTERM" ends "$braidd"
check "then there is no agent" says "^agent +DOWN" braidctl status
braid-bench -q -l tiny_mlp:1:1 --warmup 0 -t 1 >/tmp/bench 2>&1 &
bench=$!
sleep 1
sed -i '/^control/d' /etc/braid/braidd.conf
braidd >/tmp/braidd.log 2>&1 &
braidd=$!
check "a request that was there before braidd is served" wait "$bench"
check "SIGTERM again" ends "$braidd"
# For the tests that follow.
echo 32 >/sys/class/braid/braid0/window_max
echo 1000 >/sys/class/braid/braid0/window_timeout_us
plan
