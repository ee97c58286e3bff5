# SPDX-License-Identifier: MIT
#
# Part of ./gpu: peers of Braid that run in Python. Each is started once, says that it is
# ready and then runs a round when it is told to, through a pipe; `peers_running` names
# those that do.

# What is said of a stage is of ./gpu's variables.
# shellcheck shell=sh disable=SC2154

# Peers in Python stay from round to round: to start them takes longer than a round.
peer_start() { # NAME FILE COMMAND...
	peer=$1 peer_file=$2
	shift 2
	mkfifo "$sock/peer-$peer" || return 1
	# One that was started before keeps its rounds.
	[ ! -e "$out/$peer_file.json" ] || mv "$out/$peer_file.json" "$out/$peer_file-$began.json"
	# Opened to write as well: the end of a round is not that of its input.
	timeout -k 5 500 "$@" -t "$secs" --warmup "$warm" --follow -j "$out/$peer_file.json" \
		<>"$sock/peer-$peer" >"$out/peer-$peer.log" 2>&1 &
	echo $! >"$sock/peer-$peer.pid"
	peers_running="$peers_running $peer"
	for _ in $(seq "${PEER_LIMIT:-1500}"); do
		grep -q "^ready" "$out/peer-$peer.log" && return 0
		peer_lives "$peer" || break
		sleep 0.1
	done
	tail -n 20 "$out/peer-$peer.log"
	peer_kill "$peer"
	return 1
}

pytorch_start() { # MIX HOW
	start_mps || return 1
	# Not in_mps: of a function in the background only the shell would be ended.
	# shellcheck disable=SC2046,SC2086
	peer_start "pytorch-$2" "capacity-$1-pytorch-$2-mps" env $mps_env \
		python3 "$here/peers/run.py" $(load "$1") --how "$2"
}

batcher_start() { # MIX HOW-INSTANCESxBATCH
	batcher=${2#*-}
	# shellcheck disable=SC2046
	peer_start "batcher-$2" "capacity-$1-batcher-$2" \
		python3 "$here/peers/batcher.py" $(load "$1") --how "${2%%-*}" \
		--instances "${batcher%x*}" --max-batch "${batcher#*x}"
}

peer_lives() { # NAME
	kill -0 "$(cat "$sock/peer-$1.pid")" 2>/dev/null
}

# Opened to read as well, so that nobody waits for one who has ended.
peer_tell() { # NAME WORD
	echo "$2" 1<>"$sock/peer-$1"
}

# Rounds are left: it is to be started.
peer_wanted() { # MIX-NAME
	for round in $(seq "$repeat"); do
		[ -e "$out/capacity-$1-r$round.done" ] || return 0
	done
	return 1
}

# One that does not answer would answer in the middle of somebody else's round.
peer_round() { # NAME
	rounds=$(grep -c req/s "$out/peer-$1.log")
	peer_tell "$1" round
	for _ in $(seq 300); do
		[ "$(grep -c req/s "$out/peer-$1.log")" -gt "$rounds" ] && return 0
		peer_lives "$1" || break
		sleep 0.1
	done
	tail -n 5 "$out/peer-$1.log"
	peer_kill "$1"
	return 1
}

peer_stop() { # NAME
	peer_tell "$1" end
	for _ in $(seq 100); do
		peer_lives "$1" || break
		sleep 0.1
	done
	peer_kill "$1"
}

peer_kill() { # NAME
	kill "$(cat "$sock/peer-$1.pid")" 2>/dev/null
	wait "$(cat "$sock/peer-$1.pid")" 2>/dev/null
	rm -f "$sock/peer-$1" "$sock/peer-$1.pid"
	left=
	for peer in $peers_running; do
		[ "$peer" = "$1" ] || left="$left $peer"
	done
	peers_running=$left
}

peers_stop() {
	for peer in $peers_running; do
		peer_stop "$peer"
	done
}

# They take turns with the others, so without them nothing begins. One that was
# started has to be again the next time.
start_peers() { # MIX
	names=
	! has "$1" "$peers_of" || for how in $peers; do names="$names pytorch-$how"; done
	! has "$1" "$batchers_of" || for how in $batchers; do names="$names batcher-$how"; done
	for starts in $names; do
		peer_wanted "$1-$starts" || continue
		if [ $(($(date +%s) - began + 150)) -gt "$limit" ]; then
			say "capacity-$1: no time is left for peers to start"
			touch "$out/.failed"
			return 1
		fi
		step "capacity-$1-$starts-start" "${starts%%-*}_start" "$1" "${starts#*-}"
		rm -f "$out/capacity-$1-$starts-start.done"
	done
}
