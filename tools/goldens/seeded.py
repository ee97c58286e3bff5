# SPDX-License-Identifier: MIT
"""Seeded tensors: the Python side of tools/zoo/prng.h and tools/zoo/draw.c.

Every element is a function of (seed, index) alone, so what takes a loop in C
is one vector expression here. The bits are the same.
"""

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)
SIGMA = 37837.22723720648
PATCH = 16


def mix(z):
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def at(seed, i):
    """Numbers i (an integer array) of the stream seed."""
    with np.errstate(over="ignore"):
        return mix(np.uint64(seed) + (i.astype(np.uint64) + np.uint64(1)) * GAMMA)


def stream(seed, name):
    """The seed of the stream called name within seed."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return int(mix(np.array([seed ^ h], dtype=np.uint64))[0])


def normal_int(x):
    low = np.uint64(0xFFFF)
    parts = [(x >> np.uint64(s)) & low for s in (0, 16, 32, 48)]
    return sum(p.astype(np.int64) for p in parts) - 131070


def below(x, bound):
    return ((x >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32)).astype(np.int64)


def tensor(seed, name, shape, kind):
    """Input `name` of the request `seed`; the kinds are told in tools/zoo/draw.h."""
    s = stream(seed, name)
    i = np.arange(int(np.prod(shape)), dtype=np.uint64)
    what, *rest = kind.split()
    if what == "normal":
        return (normal_int(at(s, i)) * (1 / SIGMA)).astype(np.float32).reshape(shape)
    if what == "image":
        h, w = shape[-2:]
        down, across = -(-h // PATCH), -(-w // PATCH)
        y, x = i // np.uint64(w) % np.uint64(h), i % np.uint64(w)
        p = i // np.uint64(h * w)
        cell = (p * np.uint64(down) + y // np.uint64(PATCH)) * np.uint64(across)
        cell = cell + x // np.uint64(PATCH)
        noise, patch = stream(s, "noise"), stream(s, "patch")
        v = 3 * normal_int(at(noise, i)) + 4 * normal_int(at(patch, cell))
        return (v * (0.2 / SIGMA)).astype(np.float32).reshape(shape)
    if what == "below":
        return below(at(s, i), int(rest[0])).reshape(shape)
    if what == "mask":
        t = shape[-1]
        rows = np.arange(int(np.prod(shape)) // t, dtype=np.uint64)
        ones = t // 2 + below(at(s, rows), t - t // 2 + 1)
        return (np.arange(t)[None, :] < ones[:, None]).astype(np.int64).reshape(shape)
    raise ValueError(f"no kind of input is called {what}")


def subset(name, count, total):
    """Which elements of an output are kept when not all are."""
    s = stream(0, name)
    return below(at(s, np.arange(count, dtype=np.uint64)), total)
