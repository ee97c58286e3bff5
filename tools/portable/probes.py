#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What sharing a GPU costs, by every source at once; and what the sources cost.

    probes.py FOLDER [--seconds 1.2] [--tenants 1,2,4,8] [--model resnet50]

For each number of tenants, as processes that are time-sliced, as processes
under MPS, and as tenants of Braid: context switches by the driver's records
(FECS) with and without a witness kernel, sync wait by uprobes. Then the ratio
of throughput with each probe to that without, alternating within one run, and
a trace of merged and fused work. In two and a half minutes, if kernels are
compiled already.

Root. Writes FOLDER/probes.json with all that was read; a step that fails is in
it with its words, and the others go on. With --backend cpu it is rehearsed on a
machine without a GPU.
"""
import argparse
import contextlib
import ctypes
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ENTRIES = ("cuLaunchKernel", "cuLaunchKernel_ptsz", "cuGraphLaunch", "cuGraphLaunch_ptsz",
           "cuStreamSynchronize", "cuStreamSynchronize_ptsz", "cuCtxSynchronize",
           "cuEventSynchronize", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoH_v2")


def say(*words):
    print(time.strftime("%T"), *words, flush=True)


def text_of(path):
    with contextlib.suppress(OSError), open(path, errors="replace") as f:
        return f.read()
    return ""


def last_json(text):
    """The last line that is JSON, or all of it."""
    for part in [text] + text.strip().splitlines()[::-1]:
        with contextlib.suppress(ValueError):
            return json.loads(part)
    return None


class Tool:
    """A program of ours in the background; what it says comes with result()."""

    def __init__(self, *cmd, env=None):
        self.cmd = [str(c) for c in cmd]
        self.out = tempfile.TemporaryFile("w+")
        self.err = tempfile.TemporaryFile("w+")
        self.began = time.monotonic()
        self.proc = subprocess.Popen(self.cmd, stdout=self.out, stderr=self.err, env=env)

    def words(self):
        self.err.seek(0)
        return self.err.read().strip()

    def wait_for(self, word, seconds=10):
        """Until it has said @word on standard error."""
        until = time.monotonic() + seconds
        while word not in self.words():
            if self.proc.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True

    def stop(self, sig=signal.SIGINT):
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.proc.wait(20)
            return
        self.proc.kill()
        self.proc.wait()

    def result(self, timeout=60):
        try:
            self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop()
        self.out.seek(0)
        found = last_json(self.out.read())
        if found is None or self.proc.returncode:
            return {"command": " ".join(self.cmd[:4]), "status": self.proc.returncode,
                    "error": self.words()[-600:]}
        return found


class Load:
    """braid-bench in the background: when it runs, and how much it has done when."""

    def __init__(self, args, extra, seconds, env=None):
        self.dir = tempfile.mkdtemp(dir=args.tmp)
        self.file = os.path.join(self.dir, "progress")
        self.tool = Tool("braid-bench", "-q", "-t", seconds, "--warmup", 0.2, "--progress",
                         self.file, "-j", os.path.join(self.dir, "result"), *extra, env=env)

    def wait_begun(self, seconds=120):
        until = time.monotonic() + seconds
        while not text_of(self.file):
            if self.tool.proc.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the load did not begin: " + self.tool.words()[-600:])
            time.sleep(0.02)
        time.sleep(0.3)

    def lines(self):
        return [json.loads(line) for line in text_of(self.file).splitlines()]

    def end(self):
        self.tool.stop()


def rate(lines, begin, end):
    """Requests a second between two times, to the lines' 50 ms."""
    inside = [x for x in lines if begin <= x["ts_ns"] / 1e9 <= end]
    if len(inside) < 2:
        return None
    first, last = inside[0], inside[-1]
    return (last["requests"] - first["requests"]) / ((last["ts_ns"] - first["ts_ns"]) / 1e9)


class Braidd:
    def __init__(self, args, models, *lines):
        self.dir = tempfile.mkdtemp(dir=args.tmp)
        # Of these alone: what is not there need not be compiled.
        os.mkdir(os.path.join(self.dir, "models"))
        for m in models:
            shutil.copy(os.path.join(args.models, m + ".onnx"), os.path.join(self.dir, "models"))
        conf = os.path.join(self.dir, "conf")
        with open(conf, "w") as f:
            f.write(f"[braidd]\ntransport = socket\nsocket = {self.dir}/q\n"
                    f"control = {self.dir}/c\ngroup =\nmodel_dir = {self.dir}/models\n"
                    f"[runner]\nbackend = {args.backend}\ncache_dir = {args.cache}\n"
                    f"[probes]\nswitches = {self.dir}/switches\n"
                    f"host_stall = {self.dir}/stalls\n")
            f.write("".join(line + "\n" for line in lines))
        self.tool = Tool("braidd", "--config", conf)
        until = time.monotonic() + 180
        while (self.ctl("runner") or {}).get("settled") is not True:
            if self.tool.proc.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError("braidd does not serve: " + self.tool.words()[-600:])
            time.sleep(0.1)

    def ctl(self, *words):
        p = subprocess.run(["braidctl", "--socket", f"{self.dir}/c", "--json", *words],
                           capture_output=True, text=True, check=False)
        return last_json(p.stdout)

    def load(self):
        return ["-s", f"{self.dir}/q", "--control", f"{self.dir}/c"]

    def stop(self):
        self.tool.stop(signal.SIGTERM)


@contextlib.contextmanager
def mps(args):
    """The daemon, and the environment that leads to it."""
    d = tempfile.mkdtemp(dir=args.tmp)
    env = dict(os.environ, CUDA_MPS_PIPE_DIRECTORY=d, CUDA_MPS_LOG_DIRECTORY=d)
    subprocess.run(["nvidia-cuda-mps-control", "-d"], env=env, check=True)
    try:
        yield env
    finally:
        subprocess.run(["nvidia-cuda-mps-control"], input="quit\n", text=True, env=env,
                       check=False, stdout=subprocess.DEVNULL)


def system_direct(args):
    """Arguments of braid-bench for processes that execute themselves."""
    return ["--as", "processes", "--backend", args.backend, "--models", args.models, "--cache",
            args.cache, "--wait", "driver" if args.backend == "cuda" else "poll"]


@contextlib.contextmanager
def system(args, name, *conf, models=None):
    """A way to run tenants: arguments of braid-bench, environment, braidd."""
    direct = system_direct(args)
    if name == "braid":
        b = Braidd(args, models or [args.model], *conf)
        try:
            yield b.load(), None, b
        finally:
            b.stop()
    elif name == "mps":
        with mps(args) as env:
            yield direct, env, None
    else:
        yield direct, None, None


def watch(args, env, b, witness):
    """All sources over the same time, while a load runs."""
    tools = {}
    before = b.ctl("runner") if b and witness else None
    if witness and not b:
        # It makes its context first: the others begin a little later and end before it.
        tools["witness"] = Tool("braid-switch", "witness", "--json", "-s", args.seconds + 1.2,
                                env=env)
        time.sleep(0.8)
    # The agent is told, too: see [probes] of its configuration.
    tools["fecs"] = Tool("braid-switch", "fecs", "--json", "-s", args.seconds,
                         *(["--write", f"{b.dir}/switches"] if b else []))
    tools["uprobes"] = Tool("braid-probe", "run", "--pin", "none", "--json", "--only",
                            "host_stall", "-s", args.seconds,
                            *(["--write", f"{b.dir}/stalls"] if b else []))
    if b:
        tools["queue"] = Tool("braid-probe", "run", "--pin", "none", "--json", "--only",
                              "queue_latency", "-s", args.seconds)
    found = {name: t.result() for name, t in tools.items()}
    if before:
        after = b.ctl("runner")
        found["witness"] = {"before": (before.get("device") or before).get("witness"),
                            "after": (after.get("device") or after).get("witness")}
    if b:
        found["explain"] = b.ctl("explain")
    return found


def look(args, res, how, witness):
    """One load, and what all sources say of it."""
    extra, env, b = how
    seconds = 3 * args.seconds + 20
    load = Load(args, ["-l", f"{args.model}:{res['tenants']}"] + extra, seconds, env)
    name = "with_witness" if witness else "plain"
    try:
        load.wait_begun()
        begin = time.monotonic()
        res[name] = watch(args, env, b, witness)
        res[name]["requests_per_second"] = rate(load.lines(), begin, time.monotonic())
        if not b and not witness:
            # The same processes go on, and the witness comes to them.
            begin = time.monotonic()
            res["with_witness"] = watch(args, env, b, True)
            res["with_witness"]["requests_per_second"] = rate(load.lines(), begin,
                                                              time.monotonic())
    finally:
        load.end()


def count(args, name, numbers):
    """Switches and waits of a system with so many tenants, without and with a witness."""
    all_res = [{"system": name, "tenants": n, "model": args.model} for n in numbers]
    for conf in ([], ["[probes]", "witness = on"])[:2 if name == "braid" else 1]:
        with system(args, name, *conf) as how:
            for res in all_res:
                try:
                    look(args, res, how, bool(conf))
                except Exception as e:  # pylint: disable=broad-except
                    res["error"] = str(e)
    return all_res


def beside(args, tenants):
    """Tenants of Braid, and one process beside them that has a context of its own."""
    res = {"system": "braid beside a process", "tenants": tenants, "model": args.model}
    with system(args, "braid", "[probes]", "witness = on") as how:
        other = Load(args, ["-l", f"{args.model}:1"] + system_direct(args), 60)
        try:
            other.wait_begun()
            look(args, res, how, True)
        finally:
            other.end()
    return res


def spin(args):
    """Contexts that never stop: how often the driver switches of its own accord."""
    tool = Tool("braid-switch", "witness", "--json", "-n", 3, "-s", args.seconds + 1.2)
    time.sleep(0.8)
    fecs = Tool("braid-switch", "fecs", "--json", "-s", args.seconds).result()
    return {"witness": tool.result(), "fecs": fecs}


def cupti(args):
    """What the profiling library records, where it does, with two processes beside it."""
    with system(args, "processes") as (extra, env, _):
        load = Load(args, ["-l", f"{args.model}:2"] + extra, 30, env)
        try:
            load.wait_begun()
            tool = Tool("braid-switch", "cupti", "--json", "-s", args.seconds + 0.8)
            time.sleep(0.6)
            fecs = Tool("braid-switch", "fecs", "--json", "-s", args.seconds - 0.2).result()
            found = tool.result()
        finally:
            load.end()
    return {"pid": tool.proc.pid, "cupti": found, "fecs": fecs}


PROBES = {
    "host_stall": (["braid-probe", "run", "--pin", "none", "--json", "--only", "host_stall"],
                   "attached"),
    "queue_latency": (["braid-probe", "run", "--pin", "none", "--json", "--only",
                       "queue_latency"], "attached"),
    "fecs": (["braid-switch", "fecs", "--json", "-s", "60"], None),
}


def with_probe(args, probe, parts):
    """The load runs for a step; @parts gets when."""
    cmd, word = PROBES.get(probe, (None, None))
    tool = Tool(*cmd) if cmd else None
    try:
        if word and not tool.wait_for(word):
            raise RuntimeError(tool.words()[-600:])
        time.sleep(0.1 if cmd else 0)
        begin = time.monotonic()
        time.sleep(args.step)
        parts.append((begin, time.monotonic()))
    finally:
        if tool:
            tool.stop()
    return tool.result() if tool else None


def overhead(args, name, tenants):
    """Each probe in turn while one load runs, none before and after it: their ratio."""
    probes = [p for p in PROBES if p != "queue_latency" or name == "braid"]
    off, on, found, failed = [], {p: [] for p in probes}, {}, {}
    with system(args, name) as (extra, env, _):
        load = Load(args, ["-l", f"{args.model}:{tenants}"] + extra,
                    args.rounds * len(probes) * 2 * (args.step + 0.6) + 20, env)
        try:
            load.wait_begun()
            for n in range(args.rounds):
                # In another order each time, so that a drift is nobody's.
                for p in probes[n % len(probes):] + probes[:n % len(probes)]:
                    with_probe(args, None, off)
                    if p in failed:
                        continue
                    try:
                        found[p] = with_probe(args, p, on[p])
                    except RuntimeError as e:
                        failed[p] = str(e)
            with_probe(args, None, off)
            lines = load.lines()
        finally:
            load.end()
    plain = [(b, e, rate(lines, b, e)) for b, e in off]
    res = []
    for p in probes:
        ratios = []
        for b, e in on[p]:
            before = max((x for x in plain if x[1] <= b), default=None)
            after = min((x for x in plain if x[0] >= e), default=None)
            r = rate(lines, b, e)
            if before and after and before[2] and after[2] and r:
                ratios.append(2 * r / (before[2] + after[2]))
        res.append({"system": name, "tenants": tenants, "model": args.model, "probe": p,
                    "ratio_median": statistics.median(ratios) if ratios else None,
                    "ratios": ratios, "figures": found.get(p), "error": failed.get(p)})
    noise = [2 * y[2] / (x[2] + z[2]) for x, y, z in zip(plain, plain[1:], plain[2:])
             if x[2] and y[2] and z[2]]
    res.append({"system": name, "tenants": tenants, "model": args.model, "probe": "none",
                "ratio_median": statistics.median(noise) if noise else None, "ratios": noise})
    return res


def pytorch(args, how, tenants, under_mps):
    """Processes that wait in the driver, as CUDA programs mostly do."""
    out = os.path.join(args.tmp, "peers.json")
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(mps(args)) if under_mps else None
        probe = Tool("braid-probe", "run", "--pin", "none", "--json", "--only", "host_stall",
                     "-s", 600)
        peers = Tool(sys.executable, os.path.join(HERE, "peers", "run.py"), "-l",
                     f"{args.model}:{tenants}", "--how", how, "-t", args.seconds, "--json", out,
                     env=env)
        try:
            peers.result(120)
        finally:
            peers.stop()
            probe.stop()
        return {"system": f"pytorch {how}", "mps": under_mps, "tenants": tenants,
                "uprobes": probe.result(), "bench": last_json(text_of(out)),
                "words": peers.words()[-300:]}


def entry_bytes():
    """How the functions that get a probe begin: what a probe there costs depends on it."""
    found = {}
    try:
        lib = ctypes.CDLL("libcuda.so.1")
    except OSError as e:
        return {"error": str(e)}
    for name in ENTRIES:
        with contextlib.suppress(AttributeError):
            at = ctypes.cast(getattr(lib, name), ctypes.c_void_p).value
            found[name] = ctypes.string_at(at, 16).hex(" ")
    return found


def machine():
    smi = shutil.which("nvidia-smi")
    gpu = subprocess.run([smi, "--query-gpu=name,driver_version,clocks.sm,clocks.max.sm",
                          "--format=csv,noheader"], capture_output=True, text=True,
                         check=False).stdout.strip() if smi else ""
    cpu = [line.split(":")[1].strip() for line in text_of("/proc/cpuinfo").splitlines()
           if line.startswith("model name")]
    return {"kernel": platform.release(), "cpus": os.cpu_count(), "cpu": cpu[:1], "gpu": gpu,
            "date": time.strftime("%F %T")}


def trace(args):
    """A trace of a mixed load, merged and fused, for Perfetto."""
    path = os.path.join(args.out, "trace.json")
    models = args.mix.split(",")
    conf = ("[queue]", "fusion_policy = merge+fuse", "window_policy = fixed")
    with system(args, "braid", *conf, models=models) as (extra, env, b):
        load = Load(args, [w for m in models for w in ("-l", f"{m}:2")] + extra, 60, env)
        try:
            load.wait_begun()
            # Kernels of several models are made when they are first wanted.
            until = time.monotonic() + args.fuse_wait
            while "side by side in" not in json.dumps(b.ctl("explain")) and \
                    time.monotonic() < until:
                time.sleep(0.2)
            p = subprocess.run(["braidctl", "--socket", f"{b.dir}/c", "trace", path,
                                str(args.trace_seconds)], capture_output=True, text=True,
                               check=False, timeout=60)
            runner, explain = b.ctl("runner"), b.ctl("explain")
        finally:
            load.end()
    return {"status": p.returncode, "words": (p.stdout + p.stderr)[-600:],
            "bytes": len(text_of(path)), "runner": runner, "explain": explain}


def figure(value, digits=1):
    return "–" if value is None else f"{value:.{digits}f}"


def seen_by_witness(found, key):
    """A witness's share or rate; the agent's is the difference of two readings."""
    w = found.get("witness") or {}
    if "processes" in w:
        w = w["processes"][0]
        return w.get(key)
    a, b = w.get("before") or {}, w.get("after") or {}
    seconds = b.get("seconds", 0) - a.get("seconds", 0)
    if seconds <= 0:
        return None
    of = {"absences_per_s": ("absences", 1), "away_share": ("away_ns", 1e9)}[key]
    return (b[of[0]] - a[of[0]]) / of[1] / seconds


def seen_of_witness(found, key):
    """The same by the driver's records: the context of the witness's process."""
    pids = {w.get("pid") for w in (found.get("witness") or {}).get("processes", [])}
    for c in (found.get("fecs") or {}).get("contexts", []):
        if c["pid"] in pids and c["came"]:
            return c[key]
    return None


def sync_wait(found, seconds):
    """The part of its time that a process of the load spends waiting in libcuda."""
    every = [p for p in (found.get("uprobes") or {}).get("host_stall", {}).get("processes", [])
             if p["comm"] == "braid-bench"]
    return sum(p["sync_wait_ns"] for p in every) / len(every) / 1e9 / seconds if every else None


def ratio(a, b):
    return a / b if a is not None and b else None


def summary(doc):
    rows = ["| system | tenants | req/s | sync wait | FECS switches/s | with a witness "
            "| its absences/s: FECS | itself | ratio | away: FECS | itself | ratio |",
            "|---" * 1 + "|--:" * 11 + "|"]
    for c in doc["count"]:
        plain, w = c.get("plain", {}), c.get("with_witness", {})
        came, saw = seen_of_witness(w, "came_per_s"), seen_by_witness(w, "absences_per_s")
        gone, away = seen_of_witness(w, "away_share"), seen_by_witness(w, "away_share")
        rows.append("| " + " | ".join([
            c["system"], str(c["tenants"]), figure((plain or w).get("requests_per_second"), 0),
            figure(sync_wait(plain, doc["seconds"]), 3),
            figure(plain.get("fecs", {}).get("switches_per_s")),
            figure(w.get("fecs", {}).get("switches_per_s")), figure(came), figure(saw),
            figure(ratio(came, saw), 3), figure(gone, 3), figure(away, 3),
            figure(ratio(gone, away), 3)]) + " |")
    rows += ["", "| probe | system | throughput with it | of | lowest | highest |",
             "|---|---|--:|--:|--:|--:|"]
    for o in doc["overhead"]:
        r = o["ratios"]
        rows.append(f"| {o['probe']} | {o['system']}, {o['tenants']} | "
                    f"{figure(o['ratio_median'], 3)} | {len(r)} | "
                    f"{figure(min(r, default=None), 3)} | {figure(max(r, default=None), 3)} |")
    return "\n".join(rows) + "\n"


def keep(args, doc):
    with open(os.path.join(args.out, "probes.json"), "w") as f:
        json.dump(doc, f, indent=1)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("out", metavar="FOLDER")
    p.add_argument("--seconds", type=float, default=1.2, help="of each count")
    p.add_argument("--step", type=float, default=0.4, help="of each part of a round")
    p.add_argument("--rounds", type=int, default=5, help="of the probes' cost")
    p.add_argument("--tenants", default="1,2,4,8")
    p.add_argument("--systems", default="processes,mps,braid")
    p.add_argument("--steps", help="these alone: count,spin,beside,trace,cupti,overhead,pytorch")
    p.add_argument("--model", default="resnet50")
    p.add_argument("--mix", default="resnet50,mobilenet_v2,squeezenet1_1")
    p.add_argument("--trace-seconds", type=float, default=0.1)
    p.add_argument("--fuse-wait", type=float, default=40, help="for fused kernels")
    p.add_argument("--models", help="folder of ONNX files; made with braid-zoo without it")
    p.add_argument("--cache", help="compiled kernels")
    p.add_argument("--backend", default="cuda")
    p.add_argument("--pytorch", default="", help="also PyTorch's processes: how (eager)")
    p.add_argument("--limit", type=float, default=140, help="begin nothing after so many seconds")
    args = p.parse_args()
    began = time.monotonic()

    os.environ["PATH"] = HERE + ":" + os.environ["PATH"]
    os.environ["LD_LIBRARY_PATH"] = ":".join(
        filter(None, [os.path.join(HERE, "lib"), os.environ.get("LD_LIBRARY_PATH")]))
    os.makedirs(args.out, exist_ok=True)
    args.tmp = tempfile.mkdtemp(prefix="braid-probes-")
    args.cache = os.path.abspath(args.cache or os.path.join(args.out, "kernels"))
    args.models = args.models or os.path.join(args.out, "models")
    os.makedirs(args.models, exist_ok=True)
    for m in {args.model, *args.mix.split(",")}:
        path = os.path.join(args.models, m + ".onnx")
        if not os.path.exists(path):
            subprocess.run(["braid-zoo", m, "-o", path], check=True)

    numbers = [int(n) for n in args.tenants.split(",")]
    systems = args.systems.split(",")
    most = min(4, max(numbers))
    doc = {"machine": machine(), "command": " ".join(sys.argv[1:]), "entries": entry_bytes(),
           "seconds": args.seconds,
           "check": subprocess.run(["braid-probe", "check"], capture_output=True, text=True,
                                   check=False).stdout.splitlines(),
           "count": [], "overhead": [], "pytorch": [], "failed": [], "took": {}}
    steps = [("count", count, (s, numbers)) for s in systems]
    steps += [("spin", spin, ())]
    steps += [("beside", beside, (most,))] if "braid" in systems else []
    steps += [("trace", trace, ()), ("cupti", cupti, ())]
    steps += [("overhead", overhead, (s, most)) for s in systems if s != "mps"]
    if args.pytorch:
        steps += [("pytorch", pytorch, (args.pytorch, n, m))
                  for n, m in ((1, False), (most, False), (most, True))]
    if args.steps:
        steps = [s for s in steps if s[0] in args.steps.split(",")]
    for name, step, how in steps:
        title = " ".join([name, *map(str, how)])
        if time.monotonic() - began > args.limit:
            doc["failed"].append({"step": title, "error": "no time was left"})
            continue
        say(title)
        begin = time.monotonic()
        try:
            res = step(args, *how)
            if name in ("trace", "cupti", "spin"):
                doc[name] = res
            else:
                doc["count" if name == "beside" else name] += res if isinstance(res, list) else [res]
        except Exception as e:  # pylint: disable=broad-except
            say(title, "FAILED:", e)
            doc["failed"].append({"step": title, "error": str(e)})
        doc["took"][title] = round(time.monotonic() - begin, 1)
        # What has been read so far is kept, whatever comes.
        keep(args, doc)
    keep(args, doc)
    shutil.rmtree(args.tmp, ignore_errors=True)
    with open(os.path.join(args.out, "probes.md"), "w") as f:
        f.write(summary(doc))
    print(summary(doc))
    bad = len(doc["failed"]) + sum("error" in c for c in doc["count"])
    say("done in", round(time.monotonic() - began), "s,", bad, "failed")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
