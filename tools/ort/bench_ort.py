#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Time ONNX Runtime on a model, one thread: maintainers only.

    VENV/bin/python tools/ort/bench_ort.py MODEL.onnx --shape x=1x3x736x736

Needs numpy and onnxruntime. Prints JSON with the same keys as
`braid-run --json`. Inputs are drawn as braid-run draws them.
"""

import argparse
import json
import os
import sys
import time

import numpy as np
import onnxruntime as ort

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens"))
import seeded  # noqa: E402

DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}


class Model:
    """One model in ONNX Runtime with seeded inputs, ready to be timed."""

    def __init__(self, path, shapes=None, threads=1, seed=1, optimised=True):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if not optimised:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        start = time.perf_counter_ns()
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.load_ns = time.perf_counter_ns() - start
        self.feed = {}
        for t in self.session.get_inputs():
            shape = (shapes or {}).get(t.name) or [
                d if isinstance(d, int) else 1 for d in t.shape]
            dtype = DTYPES[t.type]
            if dtype == np.float32:
                kind = "image" if len(shape) == 4 else "normal"
            else:
                kind = "mask" if "mask" in t.name else "below 2"
            self.feed[t.name] = seeded.tensor(seed, t.name, shape, kind).astype(dtype)

    def run(self):
        return self.session.run(None, self.feed)

    def time(self):
        start = time.perf_counter_ns()
        self.session.run(None, self.feed)
        return time.perf_counter_ns() - start


def shapes(arguments):
    """NAME=1x3x224x224 ... as a dictionary."""
    pairs = [a.rsplit("=", 1) for a in arguments]
    return {name: [int(d) for d in dims.split("x")] for name, dims in pairs}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("model")
    p.add_argument("--shape", action="append", default=[], metavar="NAME=DIMS")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--repeat", type=int, default=10)
    p.add_argument("--warm-up", type=int, default=2)
    args = p.parse_args()
    m = Model(args.model, shapes(args.shape), args.threads)
    for _ in range(args.warm_up):
        m.run()
    ns = sorted(m.time() for _ in range(args.repeat))
    print(json.dumps({
        "model": args.model, "runtime": f"onnxruntime {ort.__version__}",
        "import_ns": m.load_ns, "threads": args.threads, "degree": 1, "runs": args.repeat,
        "min_ns": ns[0], "median_ns": ns[(len(ns) - 1) // 2],
    }, indent=2))


if __name__ == "__main__":
    main()
