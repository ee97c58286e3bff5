#!/bin/sh
# SPDX-License-Identifier: MIT
#
# braidctl against a braidd under load: what it shows, what it sets, why a
# window was merged and fused under each policy, and how it fails.

cd "$(dirname "$0")/../.." || exit 1

O=${O:-build}
dir=$(mktemp -d) || exit 1
braidd='' load=''
trap 'kill $load 2>/dev/null; kill $braidd 2>/dev/null; wait; rm -rf "$dir"' EXIT
n=0

# ok NAME COMMAND...: it holds when the command succeeds.
ok() {
	n=$((n + 1))
	name=$1
	shift
	if "$@" >"$dir/said" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		head -n 20 "$dir/said" | sed 's/^/# /'
	fi
}

ctl() {
	"$O/braidctl" --socket "$dir/c" "$@"
}

# says PATTERN ARGUMENTS...: success, and the words are there.
says() {
	pattern=$1
	shift
	ctl "$@" >"$dir/out" 2>&1 && cat "$dir/out" && grep -Eq -- "$pattern" "$dir/out"
}

# fails STATUS PATTERN ARGUMENTS...: that exit status, words on standard error alone.
fails() {
	want=$1 pattern=$2
	shift 2
	ctl "$@" >"$dir/out" 2>"$dir/err"
	got=$?
	echo "status $got"
	cat "$dir/out" "$dir/err"
	[ $got -eq "$want" ] && [ ! -s "$dir/out" ] && grep -Eq -- "$pattern" "$dir/err"
}

# Under load one window is not like the next: look until one has both words.
explains() {
	ctl policy set fusion_policy "$1" || return 1
	for _ in $(seq 200); do
		ctl explain >"$dir/out" 2>&1 && grep -q "policy $1\$" "$dir/out" &&
			grep -q "^    $2" "$dir/out" && grep -q "^    $3" "$dir/out" && return 0
		sleep 0.01
	done
	cat "$dir/out"
	return 1
}

# closes PATTERN: sooner or later a window closes for that reason.
closes() {
	for _ in $(seq 200); do
		says "^closed: $1" explain && return 0
		sleep 0.01
	done
	return 1
}

json() {
	ctl --json "$@" >"$dir/out" 2>&1 && grep -Eq '^[][{"]' "$dir/out"
}

mkdir "$dir/models"
"$O/braid-zoo" tiny_mlp -o "$dir/models/tiny_mlp.onnx"
"$O/braid-zoo" tiny_cnn -o "$dir/models/tiny_cnn.onnx"
cat >"$dir/conf" <<END
[braidd]
transport = socket
socket = $dir/q
control = $dir/c
group =
model_dir = $dir/models
[runner]
backend = cpu
max_degree = 4
[queue]
window_policy = fixed
window_timeout_us = 5000
END
ok "without a braidd: words, and 1" fails 1 "is braidd running" status
"$O/braidd" --config "$dir/conf" 2>"$dir/log" &
braidd=$!
for _ in $(seq 1000); do
	ctl status 2>/dev/null | grep -q "^agent  *up" && break
	sleep 0.01
done
ok "status" says "agent  *up, generation 1, backend cpu" status
ok "explain before there was a window" fails 1 "not among the windows" explain

"$O/braid-bench" -q -s "$dir/q" -l tiny_mlp:4:4 -l tiny_cnn:4:2 --warmup 0 -t 60 >/dev/null 2>&1 &
load=$!
sleep 0.2
ok "none" explains none "not merged: the policy" "not fused: the policy"
ok "merge" explains merge "merged: the window held several" "not fused: the policy"
ok "fuse" explains fuse "not merged: the policy" "fused: side by side"
ok "merge+fuse" explains merge+fuse "merged: the window held several" "fused: side by side"
ok "branches" explains branches "merged: the window held several" "fused: side by side"
ok "adaptive" explains adaptive ".*merged" ".*fused"
ok "and what was chosen" says "^chosen: .*outstanding" explain
ok "a group that is full" explains merge "merged up to the model's largest degree" "not fused"
ctl explain >"$dir/last"
id=$(sed -n 's/^window \([0-9]*\):.*/\1/p' "$dir/last")
ok "explain of a window by id" says "^window $id:" explain window "$id"
ok "closed by age, as the policy is fixed" closes age
# Of a window that is still remembered: the last ones may have taken a while.
ctl explain >"$dir/last"
who=$(sed -n 's,^    requests: \([0-9]*\)/\([0-9]*\).*,request \2 tenant \1,p' "$dir/last" | head -n 1)
# shellcheck disable=SC2086
ok "explain of a request of a tenant" says "^window [0-9]+:" explain $who
ok "whose request it is, where that was not said" says "^request [0-9]+ of tenant [0-9]+ " \
	explain request "$(echo "$who" | cut -d ' ' -f 2)"
ok "a window that is not there" fails 1 "not among the windows" explain window 999999999
ok "no such word" fails 2 "usage" explain windows 1
ok "no number" fails 2 "usage" explain window x
ok "adaptive" says "^adaptive" policy set window_policy adaptive
ok "then windows close when the agent is idle" closes idle

ok "tenants" says "^ *[0-9]+ +[0-9]+ +$(id -u) " tenants
ok "models" says "tiny_cnn" models
ok "one model with its tensors" says "output .* bytes" models tiny_mlp
ok "no such model" fails 1 "no model 'nobody'" models nobody
ok "runner" says "backend cpu.* requests, 0 results refused" runner
ok "owner" says "^ *$(id -u) +100 " owner
ok "weight and quota" says "^ *$(id -u) +250 .*\(set\)" owner "$(id -u)" weight=250 request_quota=99
ok "of one that is not there" says "^ *54321 +7 " owner 54321 weight=7
ok "and away again" says "weight" owner 54321 reset
ok "a weight out of range" fails 1 "weight 1 to 1024" owner 54322 weight=0
ok "leaves no owner behind" sh -c "! '$O/braidctl' --socket '$dir/c' owner | grep 54322"
ok "not a number" fails 2 "not KEY=NUMBER" owner 1 weight=much
ok "not a key" fails 2 "has no 'colour'" owner 1 colour=3
ok "not a uid" fails 2 "is no uid" owner nobody weight=3
ok "more than a number holds" fails 2 "is no uid" owner 99999999999999999999999 weight=3
ok "nor is that a weight" fails 2 "not KEY=NUMBER" owner 1 weight=99999999999999999999999
ok "less than nothing" fails 2 "is no uid" owner -- -5
ok "not a uid to show" fails 2 "is no uid" owner nobody
ok "buffers of an owner" says " buffers " owner
for what in status runner "models tiny_mlp" "monitor 1"; do
	# shellcheck disable=SC2086
	ok "$what takes no more words" fails 2 "'extra': what is this" $what extra
done
ok "a knob" says "^17\$" policy set window_max 17
ok "a number in JSON" says "^17\$" --json policy get window_max
ok "among the others" says '"window_max": 17[,]?$' --json policy get
ok "a word in JSON" says '^"adaptive"' --json policy get window_policy
ok "types by name in JSON" says '"type": "f32"' --json models tiny_mlp
ok "is kept" says "^17\$" policy get window_max
ok "a knob out of range" fails 1 "window_max: '0' is out of range: 1 to 256" policy set window_max 0
ok "no number" fails 1 "'many' is out of range: 1 to 256" policy set window_max many
ok "a policy of the GPU" says "^branches\$" policy set fusion_policy branches
ok "no such policy" fails 1 "'odd' is none of none, merge" policy set fusion_policy odd
ok "no such knob" fails 1 "no knob 'colour'" policy set colour blue
ok "no such knob to get" fails 1 "no knob 'colour'" policy get colour
ok "no such command" fails 2 "no command 'dance'" dance
ok "no command" fails 2 "usage"
for what in status models tenants owner runner explain "policy get" reload; do
	# shellcheck disable=SC2086
	ok "$what --json" json $what
done
me=$(ctl --json tenants | sed -n 's/^ *"id": \([0-9]*\),/\1/p' | head -n 1)
ok "one tenant" says "^ *$me " tenants "$me"
ok "its owner's weight" says "^ *$(id -u) .* outstanding|^ *$me " tenants set "$me" weight=260
ok "is set" says "^ *$(id -u) +260 " owner "$(id -u)"
ok "set is a word that may be said" says "^ *$(id -u) +261 " owner set "$(id -u)" weight=261
ok "no such tenant" fails 1 "no such tenant" tenants 99999999 weight=3
ok "nor to show" fails 1 "no tenant 99999999" tenants 99999999
ok "not a tenant" fails 2 "is no tenant's number" tenants me
ok "set what" fails 2 "whose, and what" owner set 1
ok "reset with something else" fails 2 "stands alone" owner "$(id -u)" reset weight=3
ctl owner "$(id -u)" weight=250 >/dev/null

# monitors ARGUMENTS...: listen to what comes, into $dir/events.
monitors() {
	"$O/braidctl" --socket "$dir/c" "$@" >"$dir/events" 2>&1 &
	monitor=$!
	for _ in $(seq 500); do
		grep -q listening "$dir/events" && return 0
		sleep 0.01
	done
	return 1
}

# tells PATTERN: sooner or later a line of it has that.
tells() {
	for _ in $(seq 500); do
		grep -Eq -- "$1" "$dir/events" && return 0
		sleep 0.01
	done
	cat "$dir/events"
	return 1
}

ok "a monitor listens" monitors monitor
ctl policy set window_max 18 >/dev/null
ok "a knob changed" tells "^20.*Z  knob +knob window_max value 18\$"
"$O/braid-bench" -q -s "$dir/q" -l tiny_mlp:1:1 --warmup 0 -t 0.1 >/dev/null 2>&1
ok "a tenant came" tells "  tenant-came +id [0-9]+ owner $(id -u) pid [0-9]+\$"
ok "and went" tells "  tenant-gone +id [0-9]+ owner $(id -u) pid [0-9]+ submitted [0-9]+\$"
runner=$(ctl --json status | sed -n 's/^ *"runner_pid": \([0-9]*\),/\1/p')
ok "the runner has its name" grep -qx braid-runner "/proc/$runner/comm"
kill -9 "$runner"
ok "what it had went back" tells "  requeue +generation 1 requeued [0-9]+\$"
ok "an agent went" tells "  agent-down +generation 1\$"
ok "and one came" tells "  agent-up +generation 2 models 2\$"
runner=$(ctl --json status | sed -n 's/^ *"runner_pid": \([0-9]*\),/\1/p')
kill -STOP "$runner"
ok "it stops moving" tells "  stall +generation 2 queued [0-9]+ suspects [0-9]+ fetched [0-9]+\$"
kill -CONT "$runner"
kill "$monitor"
wait "$monitor" 2>/dev/null
ok "another, in JSON" monitors --json monitor 1
ctl policy set window_max 17 >/dev/null
ok "ends after as many as it was told" wait "$monitor"
ok "each line an object" sh -c "perl -MJSON::PP -ne 'decode_json(\$_)' <'$dir/events'"
ok "with the same members" tells '^\{"event":"knob","knob":"window_max","value":"17","time":"20.*Z"\}$'
ok "no number of events" fails 2 "is no number of events" monitor many

ok "reload tells that nothing changed" says "^loaded 0, withdrawn 0, unchanged 2, refused 0" reload
mv "$dir/models/tiny_cnn.onnx" "$dir/models/cnn2.onnx"
echo broken >"$dir/models/bad.onnx"
printf '[model]\ncolour = blue\n' >"$dir/models/odd.ini"
ok "reload fails when a model is refused" \
	sh -c "! '$O/braidctl' --socket '$dir/c' reload >'$dir/out' 2>&1"
ok "it tells what changed" grep -q "^loaded 1, withdrawn 1, unchanged 1, refused 2" "$dir/out"
ok "and why what is refused" grep -q "^refused odd: odd.ini:2: unknown key 'colour'" "$dir/out"
ok "models shows it too" says "^refused bad: " models
printf '[model]\nfile = tiny_mlp.onnx\nconst.input = 1\n' >"$dir/models/odd.ini"
printf '[model]\nfile = tiny_mlp.onnx\nbatch = 4\n' >"$dir/models/idle.ini"
ctl reload >"$dir/out" 2>&1
ok "a model of which no input is left" grep -q "^refused odd: no input is left" "$dir/out"
ok "it is among the refused" says "^refused odd: no input is left" models
ok "and no result of the runner's" says '"results_refused": 0,' --json runner
ok "a batch that has no effect is logged" grep -q "batch has no effect.*model=idle" "$dir/log"
rm "$dir/models/odd.ini" "$dir/models/idle.ini"
ctl models bad >"$dir/out" 2>&1
ok "by name as well" grep -q "^refused bad: " "$dir/out"
ctl reload >/dev/null
ok "the log has it once" [ "$(grep -c 'model refused.*model=bad ' "$dir/log")" -eq 1 ]
kill $load
wait $load 2>/dev/null
load=
kill $braidd
wait $braidd
ok "braidd ended well" [ $? -eq 0 ]
braidd=
echo "1..$n"
