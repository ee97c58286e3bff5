#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Peers of Braid: so many PyTorch processes, measured as braid-bench measures.

    run.py -l resnet50:2 -l mobilenet_v2:2 --how compile --json out.json

Time-sliced, or under MPS where its daemon runs (CUDA_MPS_PIPE_DIRECTORY). The
processes stay from round to round; with --follow there is a round for each line
on standard input until one says "end", so that other systems can have theirs in between. The JSON is
braid-bench's, so that tools/bench/summary.py puts both into one table.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def quantile(values, q):
    return values[min(len(values) - 1, int(q * len(values)))] / 1e6 if values else 0.0


def latency(values):
    values = sorted(values)
    return {"p50_ms": quantile(values, 0.5), "p95_ms": quantile(values, 0.95),
            "p99_ms": quantile(values, 0.99), "p999_ms": quantile(values, 0.999),
            "max_ms": values[-1] / 1e6 if values else 0.0,
            "mean_ms": sum(values) / len(values) / 1e6 if values else 0.0}


def tenants_of(loads):
    for load in loads:
        model, n = load.rsplit(":", 1)
        yield from [model] * int(n)


def start(args, models, go):
    procs = []
    for i, model in enumerate(models):
        cmd = [sys.executable, os.path.join(HERE, "worker.py"), model, go, "--how", args.how,
               "--seed", str(args.seed * 7919 + i)]
        if args.open:
            cmd += ["--rate", str(args.open / len(models))]
        procs.append(subprocess.Popen(cmd, stdout=subprocess.PIPE, text=True))
    return procs


def wait_ready(procs):
    for p in procs:
        for line in p.stdout:
            if line.strip() == "ready":
                break
        else:
            sys.exit("peers: a process ended before it was ready")


def tell(go, k, times):
    with open(go + ".new", "w") as f:
        json.dump(times, f)
    os.rename(go + ".new", f"{go}.{k}")


def keep(path, doc):
    # Whole at any time; but a rename would put a file in the place of a device.
    aside = path if os.path.exists(path) and not os.path.isfile(path) else path + ".new"
    with open(aside, "w") as f:
        json.dump(doc, f, indent=1)
    if aside != path:
        os.rename(aside, path)


def one_round(args, procs, go, k):
    t = time.monotonic() + 0.2
    tell(go, k, [t, t + args.warmup, t + args.warmup + args.seconds])
    return [json.loads(p.stdout.readline()) for p in procs]


def report(args, rows):
    every = [v for r in rows for v in r["latencies"]]
    worst = max(range(len(rows)), key=lambda i: latency(rows[i]["latencies"])["p99_ms"])
    in_time = sum(r["in_time"] for r in rows)
    return {"policy": args.how, "seconds": args.seconds,
            "requests_per_second": in_time / args.seconds, "done": len(every),
            "in_time": in_time, "failed": 0,
            "worst_tenant_p99_ms": latency(rows[worst]["latencies"])["p99_ms"],
            "worst_tenant": worst, "latency": latency(every),
            "tenants": [{"model": r["model"], "done": len(r["latencies"]), "failed": 0,
                         "latency": latency(r["latencies"])} for r in rows]}


def show(doc):
    r = doc["runs"][-1]
    print(f"{doc['as']:32s} {doc['tenants']:3d} tenants {r['requests_per_second']:9.1f} req/s  "
          f"p50 {r['latency']['p50_ms']:.3f}  p99 {r['latency']['p99_ms']:.3f}  "
          f"worst p99 {r['worst_tenant_p99_ms']:.3f} ms", flush=True)


def add_rounds(p):
    p.add_argument("-t", "--seconds", type=float, default=5)
    p.add_argument("--warmup", type=float, default=1)
    p.add_argument("--repeat", type=int, default=1)
    p.add_argument("--follow", action="store_true", help="a round for each line of input")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("-j", "--json")


def rounds_of(args):
    """1, 2, ... as many as are to be measured."""
    lines = iter(sys.stdin.readline, "end\n") if args.follow else range(args.repeat)
    for k, line in enumerate(lines, 1):
        if line == "":
            break
        yield k


def document(args, system, mode, models):
    """braid-bench's JSON, before the first round."""
    return {"as": f"pytorch {args.how}, {system}", "mode": mode, "arrivals": "poisson",
            "warmup_s": args.warmup, "tenants": len(models), "seed": args.seed, "runs": []}


def keep_round(args, doc, result):
    doc["runs"].append(result)
    show(doc)
    if args.json:
        keep(args.json, doc)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("-l", "--load", action="append", required=True, metavar="MODEL:N")
    p.add_argument("--how", choices=("compile", "graph", "eager"), default="compile")
    p.add_argument("--open", type=float, default=0, help="requests a second in all, Poisson")
    add_rounds(p)
    args = p.parse_args()

    mps = "mps" if os.environ.get("CUDA_MPS_PIPE_DIRECTORY") else "time-sliced"
    models = list(tenants_of(args.load))
    doc = document(args, mps, "open" if args.open else "closed", models)
    with tempfile.TemporaryDirectory() as d:
        go = os.path.join(d, "go")
        procs = start(args, models, go)
        try:
            wait_ready(procs)
            print("ready", flush=True)
            k = 0
            for k in rounds_of(args):
                keep_round(args, doc, report(args, one_round(args, procs, go, k)))
            tell(go, k + 1, [])
            for proc in procs:
                proc.wait(30)
        finally:
            for proc in procs:
                proc.kill()


if __name__ == "__main__":
    main()
