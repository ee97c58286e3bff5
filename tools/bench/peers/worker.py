#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One tenant of a peer system: a process that runs a PyTorch model by itself.

Batch 1, fp16, channels last; inputs come from pinned host memory and outputs go
back to it in every request, as a tenant of Braid's has them. Ready when it has
said so on standard output. Round by round it waits for the file GO.1, GO.2, ...
which holds the times (CLOCK_MONOTONIC, seconds) of start, measurement and stop,
and prints one JSON object: latencies in nanoseconds, those due in the measured
time. An empty list of times is the end.
"""
import argparse
import itertools
import json
import os
import random
import time

import torch

IMAGE = (1, 3, 224, 224)
TOKENS = 128


def bert():
    from transformers import BertConfig, BertModel

    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel(BertConfig(
                hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
                intermediate_size=1536, _attn_implementation="sdpa"))

        def forward(self, ids):
            return self.bert(ids).last_hidden_state

    return Last(), torch.randint(0, 30000, (1, TOKENS))


def image_model(name):
    import torchvision

    net = getattr(torchvision.models, name)(weights=None)
    net = net.to(memory_format=torch.channels_last)
    x = torch.randn(IMAGE).half().contiguous(memory_format=torch.channels_last)
    return net, x


def load(name):
    """A model in fp16 on the GPU, and one input of it on the host."""
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    net, host = bert() if name.startswith("bert") else image_model(name)
    return net.half().cuda().eval(), host


def step_of(net, x, how):
    """A function that runs the model once on x, and where its output is."""
    if how == "compile":
        from torch._inductor import config

        config.freezing = True
        fast = torch.compile(net, mode="reduce-overhead")
        for _ in range(4):
            fast(x)
        return lambda: fast(x)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            net(x)
    torch.cuda.current_stream().wait_stream(side)
    if how == "eager":
        return lambda: net(x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = net(x)

    def replay():
        graph.replay()
        return y

    return replay


def arrivals(args, until):
    """Poisson arrivals, or none for a closed loop."""
    rng = random.Random(args.seed)
    at = 0.0
    while args.rate > 0:
        at += rng.expovariate(args.rate)
        if at >= until:
            return
        yield at


def serve(request, args, start, measure, stop):
    due = [start + a for a in arrivals(args, stop - start)] if args.rate > 0 else None
    latencies, in_time, i = [], 0, 0
    while True:
        now = time.monotonic()
        if due is None:
            scheduled = now
            if now >= stop:
                break
        else:
            if i == len(due):
                break
            scheduled = due[i]
            i += 1
            if scheduled > now:
                time.sleep(scheduled - now)
        request()
        end = time.monotonic()
        if measure <= scheduled < stop:
            latencies.append(int((end - scheduled) * 1e9))
            in_time += end < stop
    return latencies, in_time


def rounds(go):
    for k in itertools.count(1):
        while not os.path.exists(f"{go}.{k}"):
            time.sleep(0.001)
        with open(f"{go}.{k}") as f:
            times = json.load(f)
        if not times:
            return
        yield times


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("go")
    p.add_argument("--how", choices=("compile", "graph", "eager"), default="compile")
    p.add_argument("--rate", type=float, default=0)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()

    net, host = load(args.model)
    x = host.cuda()
    with torch.no_grad():
        step = step_of(net, x, args.how)
        y = step()
        host_in = host.pin_memory()
        host_out = torch.empty(y.shape, dtype=y.dtype).pin_memory()

        def request():
            x.copy_(host_in, non_blocking=True)
            out = step()
            host_out.copy_(out, non_blocking=True)
            torch.cuda.synchronize()

        for _ in range(20):
            request()
        print("ready", flush=True)
        for times in rounds(args.go):
            start, measure, stop = times
            while time.monotonic() < start:
                pass
            latencies, in_time = serve(request, args, start, measure, stop)
            print(json.dumps({"model": args.model, "latencies": latencies,
                              "in_time": in_time}), flush=True)


if __name__ == "__main__":
    main()
