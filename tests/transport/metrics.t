#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Metrics: over a socket and over a port, right figures, names that Prometheus
# takes, and readers that ask nonsense or nothing at all.

cd "$(dirname "$0")/../.." || exit 1
O=${O:-build}
. tests/tap.sh

if ! ldd "$O/braidd" | grep -q libmicrohttpd; then
	echo "1..0 # SKIP built without libmicrohttpd"
	exit 0
fi

braidd='' holder=''
trap 'kill $braidd $holder 2>/dev/null; wait; rm -rf "$tmp"' EXIT
mkdir "$tmp/models"
"$O/braid-zoo" tiny_mlp -o "$tmp/models/tiny_mlp.onnx"
"$O/braid-zoo" tiny_mlp -o "$tmp/models/$(printf 'odd"\377\\name').onnx"
port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1,
	LocalAddr => "127.0.0.1")->sockport')

# configure WHERE: with metrics there; "": without.
configure() {
	{
		printf '[braidd]\ntransport = socket\nsocket = %s/q\ncontrol = %s/c\ngroup =\n' \
			"$tmp" "$tmp"
		printf 'model_dir = %s/models\n' "$tmp"
		[ -z "$1" ] || printf 'metrics = %s\n' "$1"
		printf '[runner]\nbackend = cpu\nthreads = 1\n'
	} >"$tmp/conf"
}

start() {
	configure "$1"
	"$O/braidd" --config "$tmp/conf" 2>"$tmp/log" &
	braidd=$!
	for _ in $(seq 300); do
		"$O/braidctl" --socket "$tmp/c" status 2>/dev/null | grep -q '^agent *up' && return 0
		sleep 0.05
	done
	cat "$tmp/log"
	return 1
}

stop() {
	kill "$braidd" && wait "$braidd"
}

get() {
	timeout 20 tests/transport/http-get GET "$@"
}

# refuses WORDS WHERE: braidd does not start there, and says why.
refuses() {
	configure "$2"
	! timeout 10 "$O/braidd" --config "$tmp/conf" 2>"$tmp/out" && grep -Fq "$1" "$tmp/out"
}

# answers STATUS METHOD PATH
answers() {
	tests/transport/http-get "$2" "$tmp/m" "$3" >"$tmp/out" && head -n 1 "$tmp/out" |
		grep -q "^HTTP/1.1 $1 "
}

# Each of these figures of status is that metric.
same() {
	"$O/braidctl" --socket "$tmp/c" --json status >"$tmp/status" && get "$tmp/m" /metrics >"$tmp/out" &&
		perl -MJSON::PP -e 'local $/; open my $f, "<", "$ARGV[0]/status";
			my $s = decode_json(<$f>); my $c = $s->{counters};
			open $f, "<", "$ARGV[0]/out"; my $m = <$f>;
			my %is = ("braid_requests_submitted_total" => $c->{submitted},
				"braid_requests_ended_total{how=\"done\"}" => $c->{done},
				"braid_requests_committed_total" => $c->{committed},
				"braid_merge_degree_total" => $c->{merge_sum},
				"braid_windows_total{closed=\"idle\"}" => $c->{window_closes}{idle},
				"braid_models" => $s->{models}, "braid_agent_up" => 1);
			$c->{done} > 50 or die "a load was there\n";
			for (sort keys %is) {
				$m =~ /^\Q$_\E (\S+)$/m or die "no $_\n";
				$1 == $is{$_} or die "$_: $1, not $is{$_}\n";
			}' "$tmp"
}

owner_seen() {
	for _ in $(seq 300); do
		get "$tmp/m" /metrics >"$tmp/out"
		grep -Eq '^braid_owner_requests_ended_total\{owner="[0-9]+"\} [0-9]{2,}$' "$tmp/out" &&
			grep -Eq '^braid_owner_tenants\{owner="[0-9]+"\} 1$' "$tmp/out" && return 0
		sleep 0.02
	done
	return 1
}

# Where promtool is: Debian has it in a package with a server, of which it alone is taken.
promtool_path() {
	command -v promtool && return
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/braid
	if [ ! -x "$cache/promtool" ]; then
		arch=$(dpkg --print-architecture 2>/dev/null) &&
			tests/vm/fetch bookworm "$arch" "$tmp/prometheus" =prometheus >/dev/null 2>&1 &&
			mkdir -p "$cache" && cp "$tmp/prometheus/usr/bin/promtool" "$cache/promtool.$$" &&
			mv "$cache/promtool.$$" "$cache/promtool" || return 1
	fi
	echo "$cache/promtool"
}

check "off unless asked for" start ""
check "then there is no socket" test ! -e "$tmp/m"
check "and it ends" stop
check "over a socket" start "$tmp/m"
check "which its group may use" sh -c "stat -c %a '$tmp/m' | grep -qx 660"
"$O/braid-bench" -q -s "$tmp/q" -l tiny_mlp:2 --warmup 0 -t 0.5 >"$tmp/out" 2>&1
check "figures are those of braidctl status" same
check "a name that could end its label" grep -Fq 'braid_model_requests_queued{model="odd\"?\\name"} 0' "$tmp/out"
"$O/braid-bench" -q -s "$tmp/q" -l tiny_mlp:1 --warmup 0 -t 20 >"$tmp/bench" 2>&1 &
holder=$!
check "an owner's while it has tenants" owner_seen
kill $holder
wait $holder
check "HEAD" answers 200 HEAD /metrics
check "nothing else is there" answers 404 GET /
check "nor can anything be done" answers 405 POST /metrics
check "a method that there is not" answers 405 BREW /metrics
if promtool=$(promtool_path); then
	check "promtool is content" sh -c "tests/transport/http-get GET '$tmp/m' /metrics |
		sed '1,/^.\$/d' | '$promtool' check metrics"
else
	skip "promtool is content" "no promtool, and none to be had from a mirror"
fi
# More connections than it takes, and none of them asks: it hangs up on them in the end.
tests/transport/http-get hold 40 30 "$tmp/m" >"$tmp/held" &
holder=$!
until [ -s "$tmp/held" ]; do sleep 0.05; done
check "who holds connections holds up no tenant" "$O/braid-bench" -q -s "$tmp/q" -l tiny_mlp:1 \
	--warmup 0 -t 0.2
kill $holder
check "nor the next reader" timeout 20 tests/transport/http-get GET "$tmp/m" /metrics
# The same once more, and this time they are too patient.
tests/transport/http-get hold 40 30 "$tmp/m" >"$tmp/held" &
holder=$!
until [ -s "$tmp/held" ]; do sleep 0.05; done
check "who asks nothing is hung up on" timeout 25 tests/transport/http-get GET "$tmp/m" /metrics
kill $holder
check "SIGTERM" stop
check "the socket is gone" test ! -e "$tmp/m"
check "over a port" start "127.0.0.1:$port"
check "of the loopback interface" sh -c "tests/transport/http-get GET 127.0.0.1:$port /metrics |
	grep -q '^braid_info{version=\"[0-9.]*\",transport=\"socket\",backend=\"cpu\"} 1'"
check "a second braidd there" sh -c "sed 's,/[qc]\$,&2,' '$tmp/conf' >'$tmp/conf2' &&
	! '$O/braidd' --config '$tmp/conf2' 2>'$tmp/out' && grep -q '127.0.0.1:$port: Address already in use' '$tmp/out'"
check "SIGTERM again" stop
check "not for others to reach" refuses "is not of this machine alone" "0.0.0.0:$port"
check "nor over IPv6" refuses "is not of this machine alone" "[::]:$port"
check "no port" refuses "is neither ADDRESS:PORT nor a path" "localhost"
check "a path that can't be" refuses "No such file or directory" "$tmp/none/m"
echo "1..$n"
