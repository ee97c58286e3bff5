#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Braid's CPU backend beside ONNX Runtime, one thread each: maintainers only.

    VENV/bin/python tools/ort/compare.py --run build/braid-run \\
        --json Documentation/results/cpu.json \\
        resnet50.onnx mobilenet_v2.onnx det.onnx:x=1x3x736x736

Needs numpy and onnxruntime. The two take turns, --rounds of them with --runs
inferences each, so that whatever else the machine does falls on both; medians
over the rounds' medians are compared, and the best of all beside them. Outputs
of one seeded request are compared too: a fast wrong answer is no answer.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime as ort

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench_ort  # noqa: E402


def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def ours(run, path, shapes, runs, output=None):
    command = [run, path, "--json", "--threads", "1", "--repeat", str(runs)]
    for name, dims in shapes.items():
        command += ["--shape", f"{name}={'x'.join(map(str, dims))}"]
    if output:
        command += ["--output", output]
    return json.loads(subprocess.check_output(command))


def distance(run, path, shapes):
    """Relative L2 of our outputs from ONNX Runtime's without graph optimisation."""
    want = bench_ort.Model(path, shapes, optimised=False).run()
    with tempfile.NamedTemporaryFile() as f:
        ours(run, path, shapes, 1, f.name)
        raw = f.read()
    at, worst = 0, 0.0
    for w in want:
        got = np.frombuffer(raw, w.dtype, w.size, at).astype(np.float64)
        at += w.nbytes
        flat = w.reshape(-1).astype(np.float64)
        worst = max(worst, np.linalg.norm(got - flat) / np.linalg.norm(flat))
    if at != len(raw):
        raise SystemExit(f"{path}: outputs are {len(raw)} bytes, expected {at}")
    return worst


def compare(run, path, shapes, rounds, runs):
    theirs = bench_ort.Model(path, shapes)
    for _ in range(2):
        theirs.run()
    a, b, a_min, b_min = [], [], [], []
    for _ in range(rounds):
        r = ours(run, path, shapes, runs)
        a.append(r["median_ns"])
        a_min.append(r["min_ns"])
        ns = [theirs.time() for _ in range(runs)]
        b.append(statistics.median_low(ns))
        b_min.append(min(ns))
    return {
        "model": os.path.basename(path),
        "shapes": {n: d for n, d in shapes.items()},
        "braid_median_ms": statistics.median(a) / 1e6,
        "braid_min_ms": min(a_min) / 1e6,
        "onnxruntime_median_ms": statistics.median(b) / 1e6,
        "onnxruntime_min_ms": min(b_min) / 1e6,
        "ratio_median": statistics.median(a) / statistics.median(b),
        "ratio_min": min(a_min) / min(b_min),
        "relative_l2": distance(run, path, shapes),
        "macs": r["macs"], "arena_bytes": r["arena_bytes"], "const_bytes": r["const_bytes"],
    }


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--run", default="build/braid-run")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--runs", type=int, default=10, help="inferences a round and side")
    p.add_argument("--json", help="write the results here")
    p.add_argument("models", nargs="+", metavar="MODEL[:INPUT=DIMS]...")
    args = p.parse_args()
    rows = []
    load = [os.getloadavg()[0]]
    print(f"{'model':<34} {'braid ms':>10} {'ort ms':>10} {'ratio':>7} {'of min':>7} {'rel L2':>9}")
    for m in args.models:
        path, *dims = m.split(":")
        r = compare(args.run, path, bench_ort.shapes(dims), args.rounds, args.runs)
        rows.append(r)
        print(f"{r['model']:<34} {r['braid_median_ms']:>10.2f} {r['onnxruntime_median_ms']:>10.2f}"
              f" {r['ratio_median']:>7.2f} {r['ratio_min']:>7.2f} {r['relative_l2']:>9.1e}",
              flush=True)
    load.append(os.getloadavg()[0])
    if args.json:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True,
                                text=True).stdout.strip()
        with open(args.json, "w") as f:
            json.dump({
                "what": "CPU backend beside ONNX Runtime, one thread each, taking turns",
                "date": datetime.date.today().isoformat(), "commit": commit,
                "cpu": cpu_name(), "cores": os.cpu_count(),
                "load_average_before_after": load, "kernel": platform.release(),
                "onnxruntime": ort.__version__, "rounds": args.rounds, "runs": args.runs,
                "models": rows,
            }, f, indent=2)
            f.write("\n")


main()
