#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A peer of Braid: a dynamic batcher, as inference servers have one, in PyTorch.

    batcher.py -l resnet50:8 -l mobilenet_v2:8 --how compile --json out.json

One process, one context. What waits of a model runs as one batch as soon as one of
the model's instances (a stream, with a CUDA graph for each batch size) is free;
--delay-us has it wait for company. Compiled models have sizes of powers of two, and
what is between is padded, as compiling takes long. Inputs come from pinned memory of
each tenant and outputs go back to it. Tenants are a list in the same process: what a
server's clients pay for passing requests on is not in it. What one thread of Python
takes to launch is: launch_share in the JSON tells what part of the time that was.
Rounds and JSON are run.py's.
"""
import argparse
import collections
import time

import run


def sizes_of(most, how):
    """Batch sizes that there is a graph for."""
    if how == "graph":
        return list(range(1, most + 1))
    return [2 ** k for k in range(16) if 2 ** k < most] + [most]


class Torch:
    """Models on the GPU; launch() begins a batch, ended() looks whether it has ended."""

    def __init__(self, models, how, instances, most):
        import torch
        import worker

        self.torch = torch
        self.host_in, self.host_out, self.graphs, self.streams = {}, {}, {}, {}
        self.nets = {}  # a graph does not keep the weights that it reads
        self.sizes = {m: sizes_of(min(most, models.count(m)), how) for m in models}
        with torch.no_grad():
            for name in dict.fromkeys(models):
                self._load(worker, name, how, instances)
            for key in self.graphs:
                self._check(*key)
            for tenant, name in enumerate(models):
                x, y = self.graphs[name, 0, 1][3][0]
                self.host_in[tenant] = x.cpu().pin_memory()
                self.host_out[tenant] = torch.empty_like(y, device="cpu").pin_memory()

    def _load(self, worker, name, how, instances):
        torch = self.torch
        net, one = worker.load(name)
        if how == "compile":
            from torch._dynamo import config as dynamo
            from torch._inductor import config as inductor

            inductor.freezing = True
            dynamo.recompile_limit = 64
            net = torch.compile(net, dynamic=False)
        self.nets[name] = net
        for k in range(instances):
            self.streams[name, k] = torch.cuda.Stream()
            for size in self.sizes[name]:
                x = one.cuda().repeat(size, *[1] * (one.dim() - 1))
                if x.dim() == 4:
                    x = x.contiguous(memory_format=torch.channels_last)
                self.graphs[name, k, size] = self._capture(net, x, self.streams[name, k])

    def _capture(self, net, x, stream):
        torch = self.torch
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            for _ in range(4):
                net(x)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            y = net(x)
        return graph, x, y, [(x[i], y[i]) for i in range(x.shape[0])]

    def _check(self, name, instance, size):
        """What the graph makes is what the model makes."""
        torch, norm = self.torch, self.torch.linalg.vector_norm
        graph, x, y, _ = self.graphs[name, instance, size]
        want = self.nets[name](x).float()
        torch.cuda.synchronize()
        y.zero_()
        graph.replay()
        torch.cuda.synchronize()
        if not norm(y.float() - want) <= 0.02 * norm(want):
            raise SystemExit(f"batcher: {name}, {size} at once: the graph makes something else")

    def launch(self, name, instance, tenants):
        size = next(s for s in self.sizes[name] if s >= len(tenants))
        graph, _, _, rows = self.graphs[name, instance, size]
        with self.torch.cuda.stream(self.streams[name, instance]):
            for (x, _), tenant in zip(rows, tenants):
                x.copy_(self.host_in[tenant], non_blocking=True)
            graph.replay()
            for (_, y), tenant in zip(rows, tenants):
                self.host_out[tenant].copy_(y, non_blocking=True)
            event = self.torch.cuda.Event()
            event.record()
        return event

    def ended(self, event):
        return event.query()


class Batcher:
    """Who waits, and what runs; a tenant whose request ends has the next one at once."""

    def __init__(self, engine, models, instances, most, delay_ns):
        self.engine, self.models, self.delay_ns = engine, models, delay_ns
        self.most = {m: min(most, models.count(m)) for m in models}
        self.free = {m: list(range(instances)) for m in models}
        self.waiting = {m: collections.deque() for m in models}
        self.running = []
        self.launching_ns = 0

    def ask(self, tenant, now):
        self.waiting[self.models[tenant]].append((tenant, now))

    def begin(self, now):
        for model, queue in self.waiting.items():
            while queue and self.free[model]:
                if len(queue) < self.most[model] and now - queue[0][1] < self.delay_ns:
                    break
                size = min(len(queue), self.most[model])
                batch = [queue.popleft() for _ in range(size)]
                instance = self.free[model].pop()
                began = time.monotonic_ns()
                handle = self.engine.launch(model, instance, [t for t, _ in batch])
                self.launching_ns += time.monotonic_ns() - began
                self.running.append((handle, model, instance, batch))

    def take(self):
        """What has ended: (tenant, when it asked, how many ran at once), each."""
        still, ended = [], []
        for entry in self.running:
            handle, model, instance, batch = entry
            if not self.engine.ended(handle):
                still.append(entry)
                continue
            self.free[model].append(instance)
            ended += [(tenant, asked, len(batch)) for tenant, asked in batch]
        self.running = still
        return ended


def one_round(batcher, start, measure, stop):
    """A closed loop till all is answered; a row a tenant, as worker.py has it. Times are ns."""
    rows = [{"model": m, "latencies": [], "in_time": 0, "sizes": 0} for m in batcher.models]
    while time.monotonic_ns() < start:
        pass
    for tenant in range(len(batcher.models)):
        batcher.ask(tenant, time.monotonic_ns())
    batcher.launching_ns = 0
    while batcher.running or any(batcher.waiting.values()):
        batcher.begin(time.monotonic_ns())
        for tenant, asked, size in batcher.take():
            now = time.monotonic_ns()
            if measure <= asked < stop:
                rows[tenant]["latencies"].append(now - asked)
                rows[tenant]["in_time"] += now < stop
                rows[tenant]["sizes"] += size
            if now < stop:
                batcher.ask(tenant, now)
    return rows


def measure(args, batcher):
    start = time.monotonic_ns() + 50_000_000
    begin = start + int(args.warmup * 1e9)
    rows = one_round(batcher, start, begin, begin + int(args.seconds * 1e9))
    took = time.monotonic_ns() - start
    result = run.report(args, rows)
    result["merge_degree_mean"] = sum(r["sizes"] for r in rows) / max(1, result["done"])
    result["launch_share"] = batcher.launching_ns / took
    return result


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("-l", "--load", action="append", required=True, metavar="MODEL:N")
    p.add_argument("--how", choices=("compile", "graph"), default="compile")
    p.add_argument("--instances", type=int, default=2, help="of each model (2)")
    p.add_argument("--max-batch", type=int, default=8)
    p.add_argument("--delay-us", type=float, default=0)
    run.add_rounds(p)
    args = p.parse_args()

    models = list(run.tenants_of(args.load))
    engine = Torch(models, args.how, args.instances, args.max_batch)
    batcher = Batcher(engine, models, args.instances, args.max_batch, args.delay_us * 1e3)
    doc = run.document(args, f"batcher {args.instances}x{args.max_batch}", "closed", models)
    doc["delay_us"] = args.delay_us
    print("ready", flush=True)
    for _ in run.rounds_of(args):
        run.keep_round(args, doc, measure(args, batcher))


if __name__ == "__main__":
    main()
