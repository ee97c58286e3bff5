#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records the reference's outputs for the demo: maintainers only.

Needs numpy and onnxruntime, which neither the build nor the demo needs:

    python3 -m venv VENV && VENV/bin/pip install numpy onnxruntime
    VENV/bin/python tools/demo/record.py build/braid-demo build/models

Runs `braid-demo record`, which walks the demo's real input through the same
chain that the tenants use, and answers each of its requests with ONNX
Runtime. Answers are rounded to the coarsest power of two that keeps their
relative L2 error below 1e-5 before the chain goes on with them, so that the
chain over the recorded file takes exactly the same way. The file's format
stands in golden.c.
"""

import gzip
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import onnxruntime as ort

ROUNDING = 1e-5
MIN_KEPT = 4096
HERE = os.path.dirname(os.path.abspath(__file__))


def rounded(a):
    norm = np.linalg.norm(a.astype(np.float64))
    for bits in range(4, 40):
        r = np.ldexp(np.rint(np.ldexp(a.astype(np.float64), bits)), -bits).astype(np.float32)
        if np.linalg.norm(r.astype(np.float64) - a) <= ROUNDING * norm:
            return r
    return a


def columns(a, rng):
    """Which columns of [rows, cols] are kept: all, or the best and some more."""
    rows, cols = a.shape
    if cols < 1024:
        return None
    keep = set(int(c) for c in a.argmax(axis=1))
    for c in rng.permutation(cols):
        if len(keep) * rows >= MIN_KEPT and len(keep) >= 32:
            break
        keep.add(int(c))
    return sorted(keep)


def packed(a, rng):
    a = a.reshape(-1, a.shape[-1])
    keep = columns(a, rng)
    kept = a if keep is None else a[:, keep]
    head = struct.pack("<III", a.shape[0], a.shape[1], kept.shape[1])
    if keep is not None:
        head += struct.pack("<%dI" % len(keep), *keep)
    planes = np.ascontiguousarray(kept, "<f4").view(np.uint8).reshape(-1, 4).T
    return head + np.ascontiguousarray(planes).tobytes()


class Chain:
    def __init__(self, program, models):
        self.child = subprocess.Popen([program, "record", os.path.join(HERE, "data"), models],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, n):
        data = self.child.stdout.read(n)
        if len(data) != n:
            sys.exit("braid-demo stopped in the middle of a request")
        return data

    def requests(self):
        while True:
            line = self.child.stdout.readline()
            if not line:
                break
            name, key, n_in, n_out = line.decode().split()
            inputs, crc = [], 0
            for _ in range(int(n_in)):
                rank, = struct.unpack("=i", self.read(4))
                dims = struct.unpack("=%di" % rank, self.read(4 * rank))
                raw = self.read(4 * int(np.prod(dims)))
                crc = zlib.crc32(raw, crc)
                inputs.append(np.frombuffer(raw, np.float32).reshape(dims))
            sizes = struct.unpack("=%di" % int(n_out), self.read(4 * int(n_out)))
            yield name, key, inputs, crc, sizes

    def answer(self, outputs):
        for a in outputs:
            self.child.stdin.write(np.ascontiguousarray(a).tobytes())
        self.child.stdin.flush()


def braid_name(file, inputs):
    """Braid's name of a file at these shapes, as models.c has it."""
    return {
        "ch_PP-OCRv4_det_infer.onnx": "ocr-det",
        "ch_ppocr_mobile_v2.0_cls_infer.onnx": "ocr-cls",
        "ch_PP-OCRv4_rec_infer.onnx": "ocr-rec-%d" % inputs[0].shape[-1],
        "silero_vad_openvino_16k.onnx": "vad",
    }[file]


def main(program, models):
    rng = np.random.default_rng(20240117)
    sessions, records = {}, []
    chain = Chain(program, models)
    for file, key, inputs, crc, sizes in chain.requests():
        if file not in sessions:
            sessions[file] = ort.InferenceSession(os.path.join(models, file),
                                                  providers=["CPUExecutionProvider"])
        s = sessions[file]
        feed = dict(zip([i.name for i in s.get_inputs()], inputs))
        outputs = [rounded(a) for a in s.run(None, feed)]
        if [a.size for a in outputs] != list(sizes):
            sys.exit("%s %s: output sizes %s, models.c says %s" %
                     (file, key, [a.size for a in outputs], list(sizes)))
        chain.answer(outputs)
        name = braid_name(file, inputs)
        record = struct.pack("<40s40sII", name.encode(), key.encode(), crc, len(outputs))
        records.append(record + b"".join(packed(a, rng) for a in outputs))
        print("%-14s %-14s %s" % (name, key, [a.shape for a in outputs]), file=sys.stderr)
    if chain.child.wait():
        sys.exit("braid-demo record failed")

    path = os.path.join(HERE, "data", "goldens.gz")
    body = b"BRAIDGD1" + struct.pack("<I", len(records)) + b"".join(records)
    with open(path, "wb") as f:
        # No name and no time in it: the same answers make the same file.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=f, mtime=0) as z:
            z.write(body)
    print("%s: %d records, %d bytes" % (path, len(records), os.path.getsize(path)),
          file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
