#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The dynamic batcher that Braid is measured beside, on a made-up GPU: what it
# batches, that nobody is forgotten, and that its results go into the tables.

cd "$(dirname "$0")/.." || exit 1
. tests/tap.sh
if ! command -v python3 >"$tmp/said"; then
	echo "1..0 # SKIP python3 is not installed"
	exit 0
fi

cat >"$tmp/peer.py" <<'END'
"""batcher.py with a device on which a batch of n takes 2 + n ms, an instance each."""
import sys
import time

sys.path.insert(0, "tools/bench/peers")
sys.dont_write_bytecode = True
import batcher

SIZES = []


class Device:
    def __init__(self, models, how, instances, most):
        self.busy = set()

    def launch(self, model, instance, tenants):
        assert (model, instance) not in self.busy, "an instance runs one batch at a time"
        assert len(set(tenants)) == len(tenants), "a tenant has one request outstanding"
        self.busy.add((model, instance))
        SIZES.append(len(tenants))
        return model, instance, time.monotonic_ns() + (2 + len(tenants)) * 1_000_000

    def ended(self, handle):
        model, instance, at = handle
        if time.monotonic_ns() < at:
            return False
        self.busy.discard((model, instance))
        return True


batcher.Torch = Device
batcher.main()
print("sizes", *sorted(set(SIZES)), "most often", max(set(SIZES), key=SIZES.count))
END

peer() { # OPTION...
	timeout 60 python3 "$tmp/peer.py" -t 0.3 --warmup 0.1 -j "$tmp/out.json" "$@" >"$tmp/said" 2>&1
}

# field PYTHON: of the first run.
field() {
	python3 -c "import json; d = json.load(open('$tmp/out.json')); r = d['runs'][0]; print($1)"
}

check "one instance and eight tenants" peer -l a:8 --instances 1
test "$(field 'r["merge_degree_mean"] > 4')" = True && grep -q "^sizes .*8 most often 8" "$tmp/said"
report "what waits runs as one batch" $?
test "$(field 'min(t["done"] for t in r["tenants"]) > 0 and len(r["tenants"]) == 8')" = True
report "every tenant is served" $?
test "$(field 'r["latency"]["p50_ms"] >= 10')" = True
report "and takes as long as eight" $?

check "models with one tenant each" peer -l a:1 -l b:1 -l c:1
test "$(field 'd["tenants"] == 3 and r["merge_degree_mean"] == 1')" = True
report "have nothing to batch" $?

check "tenants that are not a power of two" peer -l a:3 --instances 1
grep -q "^sizes .*2 most" "$tmp/said"
report "run as powers of two" $?

check "a limit" peer -l a:8 --instances 1 --max-batch 2
grep -q "^sizes .*2 most often 2" "$tmp/said"
report "is the largest batch" $?

check "who waits for company" peer -l a:4 --instances 4 --delay-us 100000
grep -q "^sizes 4 " "$tmp/said"
report "gets it" $?

printf '1\n2\nend\n' >"$tmp/rounds"
# Read by the shell that runs it.
# shellcheck disable=SC2094
peer -l a:2 --follow <"$tmp/rounds" && test "$(field 'len(d["runs"])')" = 2
report "a round for each line of input" $?
tools/bench/summary.py "$tmp/out.json" | grep -q "pytorch compile, dynamic batcher"
report "its results go into the table" $?

echo "1..$n"
