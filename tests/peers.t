#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What Braid is measured beside, without a GPU: what the dynamic batcher batches, that
# nobody is forgotten, that results go into the tables; and all ways to run a model,
# with words in the place of PyTorch that do nothing.

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
test "$(field 'r["merge_degree_mean"] > 4 and 0 < r["launch_share"] < 1')" = True && grep -q "^sizes .*8 most often 8" "$tmp/said"
report "what waits runs as one batch" $?
test "$(field 'min(t["done"] for t in r["tenants"]) > 0 and len(r["tenants"]) == 8')" = True
report "every tenant is served" $?
test "$(field 'r["latency"]["p50_ms"] >= 10')" = True
report "and takes as long as eight" $?

check "models with one tenant each" peer -l a:1 -l b:1 -l c:1
test "$(field 'd["tenants"] == 3 and r["merge_degree_mean"] == 1')" = True
report "have nothing to batch" $?

check "three tenants" peer -l a:3 --instances 1
grep -q "^sizes .*3 most" "$tmp/said"
report "run as three" $?

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
tools/bench/summary.py "$tmp/out.json" | grep -q "pytorch compile, batcher 2x8"
report "its results go into the table" $?
[ "$(cd tools/bench/peers && python3 -B -c 'from batcher import sizes_of as s
print(s(8, "graph"), s(8, "compile"), s(6, "compile"), s(1, "compile"))')" = \
	"[1, 2, 3, 4, 5, 6, 7, 8] [1, 2, 4, 8] [1, 2, 4, 6] [1]" ]
report "compiled models have few sizes, the largest among them" $?

mkdir -p "$tmp/torch/_inductor"
mkdir "$tmp/torch/_dynamo"
for part in _inductor _dynamo; do
	touch "$tmp/torch/$part/__init__.py" "$tmp/torch/$part/config.py"
done
cat >"$tmp/torch/__init__.py" <<'END'
"""Tensors that are a shape, and a GPU that has always ended."""
import contextlib
import time

channels_last = "channels_last"


class Tensor:
    dtype = "half"

    def __init__(self, shape):
        self.shape = tuple(shape)

    def same(self, *args, **kwargs):
        return self

    half = contiguous = cuda = cpu = pin_memory = float = zero_ = __sub__ = same

    def dim(self):
        return len(self.shape)

    def repeat(self, *times):
        assert len(times) == self.dim()
        return Tensor(a * b for a, b in zip(self.shape, times))

    def __getitem__(self, i):
        assert 0 <= i < self.shape[0]
        return Tensor(self.shape[1:])

    def copy_(self, other, non_blocking=False):
        assert self.shape == other.shape, (self.shape, other.shape)


class Net:
    def same(self, *args, **kwargs):
        return self

    to = half = cuda = eval = same

    def __call__(self, x):
        return Tensor((x.shape[0], 1000))


class Namespace:
    pass


class cuda:
    class Stream:
        def wait_stream(self, other):
            pass

    class CUDAGraph:
        def replay(self):
            time.sleep(0.002)

    class Event:
        def record(self):
            pass

        def query(self):
            return True

    @staticmethod
    def synchronize():
        time.sleep(0.001)

    @staticmethod
    def current_stream():
        return cuda.Stream()

    @staticmethod
    @contextlib.contextmanager
    def stream(stream):
        yield

    @staticmethod
    @contextlib.contextmanager
    def graph(graph, stream=None):
        yield


def randn(shape):
    return Tensor(shape)


def empty(shape, dtype=None):
    return Tensor(shape)


def empty_like(other, device=None):
    return Tensor(other.shape)


def manual_seed(seed):
    pass


@contextlib.contextmanager
def no_grad():
    yield


def compile(net, mode=None, dynamic=None):
    return net


linalg = Namespace()
linalg.vector_norm = lambda tensor: 0.0
backends = Namespace()
backends.cudnn = Namespace()
END
printf 'import torch\n\n\nclass models:\n    resnet50 = staticmethod(lambda weights: torch.Net())\n' \
	>"$tmp/torchvision.py"

# Tenants of tools/bench/peers/FILE with those words.
wordy() { # FILE OPTION...
	file=$1
	shift
	PYTHONPATH=$tmp PYTHONDONTWRITEBYTECODE=1 timeout 60 python3 "tools/bench/peers/$file" \
		-l resnet50:3 -t 0.2 --warmup 0.1 -j "$tmp/out.json" "$@" >"$tmp/said" 2>&1 &&
		[ "$(field 'min(t["done"] for t in r["tenants"]) > 0 and len(r["tenants"]) == 3')" = True ]
}

for how in compile graph eager; do
	check "processes: $how" wordy run.py --how $how
done
check "processes in an open loop" wordy run.py --how graph --open 300
for how in compile graph; do
	check "batcher: $how" wordy batcher.py --how $how
done

echo "1..$n"
