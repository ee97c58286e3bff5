#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Record ONNX Runtime's outputs for seeded requests: maintainers only.

Neither the build nor the tests need Python; they read what this writes.

    python3 -m venv VENV && VENV/bin/pip install numpy onnxruntime
    VENV/bin/python tools/goldens/record.py --zoo build/braid-zoo --out tests/goldens

records every model of the zoo; with --model FILE.onnx one other model. Graph
optimisation is off: it trades exactness for speed (measured on the zoo: up to
6e-5 relative L2 between ONNX Runtime with and without it), and a reference
should not. The file format stands in tests/golden.h.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime as ort

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import seeded  # noqa: E402

REQUESTS = 4
KEPT = 4096
TYPES = {"tensor(float)": "float", "tensor(int64)": "int64"}
VOCABULARY = {"bert_6x384": 30522, "tiny_bert": 100}


def kind_of(model, tensor, kinds):
    if tensor.name in kinds:
        return kinds[tensor.name]
    if TYPES[tensor.type] == "int64":
        if "mask" in tensor.name:
            return "mask"
        if "type" in tensor.name:
            return "below 2"
        return f"below {VOCABULARY[model]}"
    return "image" if len(tensor.shape) == 4 else "normal"


def packed(a):
    """The upper 24 bits of each float, rounded to nearest: sign, exponent, 15 bits."""
    bits = a.astype("<f4").view(np.uint32).astype(np.uint64) + 0x80
    bits = (bits >> 8).astype(np.uint32)
    return np.stack([bits & 255, bits >> 8 & 255, bits >> 16], axis=-1).astype(np.uint8).tobytes()


def record(path, model, seeds, kinds, out):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    with open(path, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    head = [
        "braid-golden 1",
        f"model {model}",
        f"sha256 {digest}",
        f"by onnxruntime {ort.__version__}, one thread, graph optimisation off",
    ]
    inputs = []
    for t in session.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in t.shape]
        kind = kind_of(model, t, kinds)
        inputs.append((t.name, shape, kind))
        dims = " ".join(map(str, [len(shape), *shape]))
        head.append(f"input {t.name} {TYPES[t.type]} {dims} {kind}")
    body, norms = b"", []
    for r, seed in enumerate(seeds):
        feed = {n: seeded.tensor(seed, n, shape, kind) for n, shape, kind in inputs}
        results = session.run(None, feed)
        for t, a in zip(session.get_outputs(), results):
            if a.dtype != np.float32 or not np.isfinite(a).all():
                raise SystemExit(f"{model}: output {t.name} is not of finite floats")
            flat = a.reshape(-1)
            keep = flat.size <= KEPT
            if r == 0:
                dims = " ".join(map(str, [a.ndim, *a.shape]))
                head.append(f"output {t.name} float {dims} {flat.size if keep else KEPT}")
            kept = flat if keep else flat[seeded.subset(t.name, KEPT, flat.size)]
            body += packed(kept)
            norms.append(kept.astype(np.float64))
    head += [f"request {s}" for s in seeds] + ["end", ""]
    with open(out, "wb") as f:
        f.write("\n".join(head).encode() + body)
    n = len(session.get_outputs())
    apart = min(
        np.linalg.norm(norms[i] - norms[j]) / np.linalg.norm(norms[i])
        for i in range(len(norms)) for j in range(len(norms)) if i != j and i % n == j % n)
    print(f"{model}: {len(seeds)} requests, {os.path.getsize(out)} bytes, "
          f"outputs apart by at least {apart:.2g}")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--zoo", help="braid-zoo: record all of its models, or those named")
    p.add_argument("--model", help="record this file instead")
    p.add_argument("--kind", action="append", default=[], metavar="INPUT=KIND",
                   help='how to draw an input: normal, image, mask, "below N"')
    p.add_argument("--out", default=".", help="folder to write to")
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    kinds = dict(k.split("=", 1) for k in args.kind)
    seeds = range(1, REQUESTS + 1)
    os.makedirs(args.out, exist_ok=True)
    if args.model:
        name = os.path.splitext(os.path.basename(args.model))[0]
        record(args.model, name, seeds, kinds, f"{args.out}/{name}.golden")
        return
    if not args.zoo:
        p.error("--zoo or --model")
    names = args.names or [
        line.split()[0]
        for line in subprocess.check_output([args.zoo, "--list"], text=True).splitlines()]
    with tempfile.TemporaryDirectory() as tmp:
        for name in names:
            path = f"{tmp}/{name}.onnx"
            subprocess.run([args.zoo, name, "-o", path], check=True)
            record(path, name, seeds, kinds, f"{args.out}/{name}.golden")
            os.unlink(path)


main()
