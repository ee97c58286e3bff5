#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Writes tests/data/families: small models in the shape that exporters give to
# the families we are for (torch's, paddle2onnx's), seeded weights, and what
# ONNX Runtime makes of them, in the layout of ONNX's own backend cases. Run by
# hand when a family is added; needs the Python packages onnx and onnxruntime.
#
#   tests/onnx/families.py tests/data/families

import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph under construction; every method returns the name of a value."""

    def __init__(self, name, opset, constants_as_nodes=False):
        self.name, self.opset = name, opset
        self.rng = np.random.default_rng(sum(name.encode()))
        self.as_nodes = constants_as_nodes
        self.nodes, self.init, self.inputs, self.outputs = [], [], [], []
        self.feeds = {}

    def input(self, name, value, dims=None):
        elem = helper.np_dtype_to_tensor_dtype(value.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, elem, dims or list(value.shape)))
        self.feeds[name] = value
        return name

    def floats(self, *shape):
        return self.rng.standard_normal(shape).astype(np.float32)

    def const(self, value):
        value = np.asarray(value)
        name = "c%d" % (len(self.init) + len(self.nodes))
        tensor = numpy_helper.from_array(value, name)
        if self.as_nodes:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.init.append(tensor)
        return name

    def i64(self, *values):
        return self.const(np.array(values, np.int64))

    def f32(self, value):
        return self.const(np.array(value, np.float32))

    def op(self, kind, *ins, outs=1, **attrs):
        names = ["v%d_%d" % (len(self.nodes), i) for i in range(outs)]
        self.nodes.append(helper.make_node(kind, list(ins), names,
                                           name="%s_%d" % (kind, len(self.nodes)), **attrs))
        return names[0] if outs == 1 else names

    def output(self, *names):
        self.outputs += names

    def weight(self, *shape):
        fan = int(np.prod(shape[1:])) or 1
        return self.const(self.floats(*shape) * np.float32(np.sqrt(2.0 / fan)))

    def conv(self, x, cin, cout, k=3, stride=1, pad=None, group=1, bias=True, **more):
        k = [k, k] if isinstance(k, int) else k
        pad = [(n - 1) // 2 for n in k] if pad is None else pad
        ins = [x, self.weight(cout, cin // group, *k)]
        if bias:
            ins.append(self.const(self.floats(cout) * np.float32(0.1)))
        return self.op("Conv", *ins, kernel_shape=k, strides=[stride] * 2, pads=pad * 2,
                       group=group, dilations=[1, 1], **more)

    def bn(self, x, c):
        return self.op("BatchNormalization", x, self.const(self.floats(c) * np.float32(0.2) + 1),
                       self.const(self.floats(c) * np.float32(0.1)),
                       self.const(self.floats(c) * np.float32(0.1)),
                       self.const(np.abs(self.floats(c)) + np.float32(0.5)), epsilon=1e-5,
                       momentum=0.9)

    def gemm(self, x, cin, cout):
        return self.op("Gemm", x, self.weight(cout, cin), self.const(self.floats(cout)),
                       alpha=1.0, beta=1.0, transB=1)

    def linear(self, x, cin, cout):
        y = self.op("MatMul", x, self.const(self.floats(cin, cout) * np.float32(cin ** -0.5)))
        return self.op("Add", self.const(self.floats(cout) * np.float32(0.1)), y)

    def layer_norm(self, x, c):
        """As torch wrote it before there was an operator."""
        d = self.op("Sub", x, self.op("ReduceMean", x, axes=[-1], keepdims=1))
        var = self.op("ReduceMean", self.op("Pow", d, self.f32(2.0)), axes=[-1], keepdims=1)
        std = self.op("Sqrt", self.op("Add", var, self.f32(1e-5)))
        y = self.op("Mul", self.op("Div", d, std), self.const(self.floats(c) * 0.1 + np.float32(1)))
        return self.op("Add", y, self.const(self.floats(c) * np.float32(0.1)))

    def gelu(self, x):
        e = self.op("Erf", self.op("Div", x, self.f32(np.sqrt(2.0))))
        return self.op("Mul", self.op("Mul", x, self.op("Add", e, self.f32(1.0))), self.f32(0.5))

    def dim(self, x, axis):
        """One extent as exporters ask for it: Shape, Gather, Unsqueeze."""
        n = self.op("Gather", self.op("Shape", x), self.const(np.array(axis, np.int64)), axis=0)
        if self.opset < 13:
            return self.op("Unsqueeze", n, axes=[0])
        return self.op("Unsqueeze", n, self.i64(0))

    def reshape(self, x, *dims):
        """Extents are numbers or names of values of one element."""
        if all(isinstance(d, int) for d in dims):
            return self.op("Reshape", x, self.i64(*dims))
        parts = [self.i64(d) if isinstance(d, int) else d for d in dims]
        return self.op("Reshape", x, self.op("Concat", *parts, axis=0))

    def save(self, folder):
        outs = [onnx.ValueInfoProto(name=n) for n in self.outputs]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, outs, self.init)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)],
                                  ir_version=8, producer_name="braid-families")
        inferred = onnx.shape_inference.infer_shapes(model)
        for a, b in zip(model.graph.output, inferred.graph.output):
            a.CopyFrom(b)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        data = model.SerializeToString()
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        results = session.run(None, self.feeds)
        path = os.path.join(folder, self.name, "test_data_set_0")
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(folder, self.name, "model.onnx"), "wb") as f:
            f.write(data)
        named = [("input", i, n, v) for i, (n, v) in enumerate(self.feeds.items())]
        named += [("output", i, n, v) for i, (n, v) in enumerate(zip(self.outputs, results))]
        for what, i, name, value in named:
            with open(os.path.join(path, "%s_%d.pb" % (what, i)), "wb") as f:
                f.write(numpy_helper.from_array(value, name).SerializeToString())


def vgg():
    n = Net("vgg", 9)
    x = n.input("input", n.floats(2, 3, 16, 16))
    x = n.op("Relu", n.conv(x, 3, 8))
    x = n.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4)
    x = n.op("Relu", n.conv(x, 8, 16))
    x = n.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4)
    x = n.op("Flatten", x, axis=1)
    x = n.op("Dropout", n.op("Relu", n.gemm(x, 256, 32)), ratio=0.5)
    n.output(n.gemm(x, 32, 10))
    return n


def densenet():
    n = Net("densenet", 9)
    x = n.conv(n.input("data", n.floats(1, 3, 24, 24), ["batch", 3, 24, 24]), 3, 8, 7, 2, [3, 3],
               bias=False)
    x = n.op("MaxPool", n.op("Relu", n.bn(x, 8)), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    c = 8
    for _ in range(3):
        y = n.conv(n.op("Relu", n.bn(x, c)), c, 16, 1, bias=False)
        y = n.conv(n.op("Relu", n.bn(y, 16)), 16, 4, bias=False)
        x, c = n.op("Concat", x, y, axis=1), c + 4
    x = n.conv(n.op("Relu", n.bn(x, c)), c, 10, 1, bias=False)
    x = n.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = n.op("GlobalAveragePool", n.op("Relu", n.bn(x, 10)))
    n.output(n.gemm(n.op("Flatten", x), 10, 5))
    return n


def inception():
    n = Net("inception", 11)
    x = n.input("x", n.floats(1, 3, 24, 24))
    planes = []
    for i in range(3):  # torchvision's transform_input
        p = n.op("Gather", x, n.const(np.array(i, np.int64)), axis=1)
        p = n.op("Unsqueeze", p, axes=[1])
        planes.append(n.op("Add", n.op("Mul", p, n.f32(0.45 + i / 50)), n.f32(-0.03)))
    x = n.op("Relu", n.bn(n.conv(n.op("Concat", *planes, axis=1), 3, 8, 3, 2, [0, 0], bias=False), 8))
    x = n.op("LRN", x, size=5, alpha=1e-4, beta=0.75, bias=1.0)
    a = n.op("Relu", n.conv(x, 8, 6, 1))
    b = n.op("Relu", n.conv(n.op("Relu", n.conv(x, 8, 4, 1)), 4, 6, [1, 7]))
    b = n.op("Relu", n.conv(b, 6, 6, [7, 1]))
    c = n.op("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4, count_include_pad=1)
    c = n.op("Relu", n.conv(c, 8, 4, 1))
    d = n.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    x = n.op("Concat", a, b, c, axis=1)
    x = n.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    x = n.op("Concat", x, d, axis=1)
    x = n.op("Dropout", n.op("GlobalAveragePool", x))
    n.output(n.op("Softmax", n.gemm(n.op("Flatten", x), 24, 7), axis=1))
    return n


def shufflenet():
    n = Net("shufflenet", 11)
    x = n.op("Relu", n.conv(n.input("input", n.floats(2, 3, 20, 20), ["n", 3, 20, 20]), 3, 8, 3, 2))

    def shuffle(x, c):
        y = n.reshape(x, n.dim(x, 0), 2, c // 2, n.dim(x, 2), n.dim(x, 3))
        y = n.op("Transpose", y, perm=[0, 2, 1, 3, 4])
        return n.reshape(y, n.dim(x, 0), -1, n.dim(x, 2), n.dim(x, 3))

    for _ in range(2):
        a, b = n.op("Split", x, axis=1, split=[4, 4], outs=2)
        b = n.op("Relu", n.conv(b, 4, 4, 1))
        b = n.op("Relu", n.conv(n.conv(b, 4, 4, group=4), 4, 4, 1))
        x = shuffle(n.op("Concat", a, b, axis=1), 8)
    x = n.op("ReduceMean", n.op("Relu", n.conv(x, 8, 12, 1)), axes=[2, 3], keepdims=0)
    n.output(n.gemm(x, 12, 6))
    return n


def mobilenet_v3():
    n = Net("mobilenet_v3", 13)

    def hard_swish(x):
        return n.op("Mul", x, n.op("HardSigmoid", x, alpha=1.0 / 6))

    x = hard_swish(n.conv(n.input("input", n.floats(1, 3, 24, 24)), 3, 8, 3, 2))
    y = hard_swish(n.conv(x, 8, 16, 1))
    y = hard_swish(n.conv(y, 16, 16, 5, group=16))
    s = n.op("GlobalAveragePool", y)
    s = n.op("HardSigmoid", n.conv(n.op("Relu", n.conv(s, 16, 8, 1)), 8, 16, 1), alpha=1.0 / 6)
    y = n.conv(n.op("Mul", s, y), 16, 8, 1)
    x = n.op("Add", y, x)
    x = n.op("Clip", n.conv(x, 8, 24, 1), n.f32(0.0), n.f32(6.0))
    x = n.op("Flatten", n.op("GlobalAveragePool", x), axis=1)
    n.output(n.gemm(hard_swish(n.gemm(x, 24, 20)), 20, 8))
    return n


def yolo():
    n = Net("yolo", 12)
    x = n.input("images", np.abs(n.floats(1, 3, 32, 32)), ["batch", 3, 32, 32])

    def silu(x):
        return n.op("Mul", x, n.op("Sigmoid", x))

    def cut(x, axis, start):
        return n.op("Slice", x, n.i64(start), n.i64(2 ** 63 - 1), n.i64(axis), n.i64(2))

    focus = [cut(cut(x, 2, i % 2), 3, i // 2) for i in range(4)]
    x = silu(n.conv(n.op("Concat", *focus, axis=1), 12, 8))
    small = silu(n.conv(x, 8, 16, 3, 2))
    p = [silu(n.conv(small, 16, 8, 1))]
    for _ in range(3):
        p.append(n.op("MaxPool", p[-1], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4))
    small = silu(n.conv(n.op("Concat", *p, axis=1), 32, 16, 1))
    up = n.op("Resize", small, n.const(np.zeros(0, np.float32)), n.const(np.array([1, 1, 2, 2], np.float32)), mode="nearest",
              coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    large = silu(n.conv(n.op("Concat", up, x, axis=1), 24, 16))
    heads = []
    for level, (f, size, stride) in enumerate(((large, 16, 2.0), (small, 8, 4.0))):
        y = n.conv(f, 16, 3 * 7, 1)
        y = n.reshape(y, n.dim(y, 0), 3, 7, size, size)
        y = n.op("Sigmoid", n.op("Transpose", y, perm=[0, 1, 3, 4, 2]))
        xy, wh, conf = n.op("Split", y, axis=4, split=[2, 2, 3], outs=3)
        gy, gx = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
        grid = np.stack((gx, gy), 2).reshape(1, 1, size, size, 2).astype(np.float32) - 0.5
        anchors = np.array([[4, 5], [8, 7], [12, 16]], np.float32).reshape(1, 3, 1, 1, 2)
        xy = n.op("Add", n.op("Mul", xy, n.f32(2.0)), n.const(grid.astype(np.float32)))
        xy = n.op("Mul", xy, n.f32(stride))
        wh = n.op("Pow", n.op("Mul", wh, n.f32(2.0)), n.f32(2.0))
        wh = n.op("Mul", wh, n.const(anchors * np.float32(level + 1)))
        y = n.op("Concat", xy, wh, conf, axis=4)
        heads.append(n.reshape(y, n.dim(y, 0), -1, 7))
    n.output(n.op("Concat", *heads, axis=1))
    return n


def ultraface():
    n = Net("ultraface", 9)
    x = n.input("input", n.floats(1, 3, 32, 40))
    x = n.op("Relu", n.bn(n.conv(x, 3, 8, 3, 2, bias=False), 8))
    x = n.op("Relu", n.bn(n.conv(x, 8, 8, 3, group=8, bias=False), 8))
    scores, boxes, total = [], [], 0
    for stride, anchors in ((2, 3), (2, 2)):
        x = n.op("Relu", n.bn(n.conv(x, 8, 8, 3, stride, bias=False), 8))
        for out, width in ((scores, 2), (boxes, 4)):
            y = n.op("Transpose", n.conv(x, 8, anchors * width), perm=[0, 2, 3, 1])
            out.append(n.op("Reshape", y, n.i64(1, -1, width)))
    total = 8 * 10 * 3 + 4 * 5 * 2
    s = n.op("Softmax", n.op("Concat", *scores, axis=1), axis=2)
    b = n.op("Concat", *boxes, axis=1)
    centre = n.const(np.abs(n.floats(1, total, 2)))
    size = n.const(np.abs(n.floats(1, total, 2)) + np.float32(0.1))
    xy = n.op("Slice", b, axes=[2], starts=[0], ends=[2])
    wh = n.op("Slice", b, axes=[2], starts=[2], ends=[4])
    xy = n.op("Add", n.op("Mul", n.op("Mul", xy, n.f32(0.1)), size), centre)
    wh = n.op("Mul", n.op("Exp", n.op("Mul", wh, n.f32(0.2))), size)
    half = n.op("Div", wh, n.f32(2.0))
    n.output(s, n.op("Concat", n.op("Sub", xy, half), n.op("Add", xy, half), axis=2))
    return n


def paddle_det():
    n = Net("paddle_det", 11, constants_as_nodes=True)
    x = n.input("x", n.floats(1, 3, 32, 48), ["d0", 3, "d1", "d2"])

    def hard_swish(x):  # paddle2onnx spells it out
        y = n.op("Clip", n.op("Add", x, n.f32(3.0)), n.f32(0.0), n.f32(6.0))
        return n.op("Div", n.op("Mul", x, y), n.f32(6.0))

    def size_of(x):
        hw = n.op("Slice", n.op("Shape", x), n.i64(2), n.i64(4), n.i64(0))
        return n.op("Cast", n.op("Cast", hw, to=TensorProto.INT32), to=TensorProto.INT64)

    def upsample(x, like):
        nc = n.op("Slice", n.op("Shape", x), n.i64(0), n.i64(2), n.i64(0))
        return n.op("Resize", x, n.const(np.zeros(0, np.float32)), n.const(np.zeros(0, np.float32)),
                    n.op("Concat", nc, size_of(like), axis=0), mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    a = hard_swish(n.bn(n.conv(x, 3, 8, 3, 2, bias=False), 8))
    b = hard_swish(n.bn(n.conv(a, 8, 12, 3, 2, bias=False), 12))
    s = n.conv(n.op("Relu", n.conv(n.op("GlobalAveragePool", b), 12, 4, 1)), 4, 12, 1)
    b = n.op("Mul", b, n.op("HardSigmoid", s, alpha=0.2, beta=0.5))
    c = hard_swish(n.bn(n.conv(b, 12, 12, 3, 2, bias=False), 12))
    b = n.op("Add", n.conv(b, 12, 8, 1, bias=False), upsample(n.conv(c, 12, 8, 1, bias=False), b))
    y = n.op("Concat", n.conv(a, 8, 8, bias=False), upsample(b, a), axis=1)
    y = n.op("Relu", n.bn(n.conv(y, 16, 8, bias=False), 8))
    y = n.op("ConvTranspose", y, n.weight(8, 1, 2, 2), kernel_shape=[2, 2], strides=[2, 2],
             pads=[0] * 4, dilations=[1, 1], group=1)
    n.output(n.op("Sigmoid", n.op("Add", y, n.const(n.floats(1, 1, 1, 1)))))
    return n


def paddle_rec():
    n = Net("paddle_rec", 12, constants_as_nodes=True)
    x = n.input("x", n.floats(1, 3, 12, 32), ["d0", 3, 12, "w"])
    x = n.op("Relu", n.bn(n.conv(x, 3, 8, 3, 2, bias=False), 8))
    x = n.op("AveragePool", x, kernel_shape=[3, 2], strides=[3, 2], pads=[0] * 4, ceil_mode=0)
    x = n.conv(x, 8, 12, [1, 3])
    x = n.op("AveragePool", x, kernel_shape=[2, 1], strides=[2, 1])
    x = n.op("Transpose", n.op("Squeeze", x, axes=[2]), perm=[0, 2, 1])
    h = n.layer_norm(x, 12)
    steps = n.op("Squeeze", n.op("Slice", n.op("Shape", h), n.i64(1), n.i64(2), n.i64(0)), axes=[0])
    steps = n.op("Unsqueeze", steps, axes=[0])
    qkv = n.reshape(n.linear(h, 12, 36), 0, steps, 3, 2, 6)
    qkv = n.op("Transpose", qkv, perm=[2, 0, 3, 1, 4])
    q, k, v = [n.op("Squeeze", n.op("Slice", qkv, n.i64(i), n.i64(i + 1), n.i64(0)), axes=[0])
               for i in range(3)]
    q = n.op("Mul", q, n.f32(6 ** -0.5))
    p = n.op("Softmax", n.op("MatMul", q, n.op("Transpose", k, perm=[0, 1, 3, 2])), axis=3)
    y = n.op("Transpose", n.op("MatMul", p, v), perm=[0, 2, 1, 3])
    x = n.op("Add", x, n.linear(n.reshape(y, 0, steps, 12), 12, 12))
    f = n.linear(n.layer_norm(x, 12), 12, 24)
    x = n.op("Add", x, n.linear(n.op("Mul", f, n.op("Sigmoid", f)), 24, 12))
    n.output(n.op("Softmax", n.linear(x, 12, 30), axis=2))
    return n


def bert():
    n = Net("bert", 12)
    ids = n.input("input_ids", n.rng.integers(0, 50, (2, 9)), ["batch", "sequence"])
    mask = n.input("attention_mask", np.array([[1] * 9, [1] * 5 + [0] * 4]), ["batch", "sequence"])
    kinds = n.input("token_type_ids", n.rng.integers(0, 2, (2, 9)), ["batch", "sequence"])
    m = n.op("Unsqueeze", n.op("Unsqueeze", mask, axes=[1]), axes=[2])
    m = n.op("Sub", n.f32(1.0), n.op("Cast", m, to=TensorProto.FLOAT))
    m = n.op("Mul", m, n.f32(-10000.0))
    positions = n.op("Slice", n.const(np.arange(16).reshape(1, 16)), n.i64(0), n.dim(ids, 1), n.i64(1),
                     n.i64(1))
    x = n.op("Add", n.op("Gather", n.const(n.floats(50, 16)), ids),
             n.op("Gather", n.const(n.floats(2, 16)), kinds))
    x = n.op("Add", x, n.op("Gather", n.const(n.floats(16, 16)), positions))
    x = n.layer_norm(x, 16)
    for _ in range(2):
        def heads(y):
            return n.op("Transpose", n.reshape(y, n.dim(y, 0), n.dim(y, 1), 4, 4), perm=[0, 2, 1, 3])

        q, k, v = [heads(n.linear(x, 16, 16)) for _ in range(3)]
        s = n.op("MatMul", q, n.op("Transpose", k, perm=[0, 1, 3, 2]))
        s = n.op("Softmax", n.op("Add", n.op("Div", s, n.f32(2.0)), m), axis=3)
        y = n.op("Transpose", n.op("MatMul", s, v), perm=[0, 2, 1, 3])
        y = n.reshape(y, n.dim(y, 0), n.dim(y, 1), 16)
        x = n.layer_norm(n.op("Add", n.linear(y, 16, 16), x), 16)
        y = n.linear(n.gelu(n.linear(x, 16, 32)), 32, 16)
        x = n.layer_norm(n.op("Add", y, x), 16)
    wide = n.op("Expand", n.op("Unsqueeze", n.op("Cast", mask, to=TensorProto.FLOAT), axes=[2]),
                n.op("Shape", x))  # mean pooling, as sentence encoders do it
    total = n.op("ReduceSum", n.op("Mul", x, wide), axes=[1], keepdims=0)
    count = n.op("Clip", n.op("ReduceSum", wide, axes=[1], keepdims=0), n.f32(1e-9))
    y = n.op("Div", total, count)
    norm = n.op("Clip", n.op("ReduceL2", y, axes=[1], keepdims=1), n.f32(1e-12))
    y = n.op("Div", y, n.op("Expand", norm, n.op("Shape", y)))
    n.output(x, y)
    return n


def vit():
    n = Net("vit", 17)
    image = n.input("pixel_values", n.floats(2, 3, 16, 16), ["batch", 3, 16, 16])
    x = n.conv(image, 3, 12, 4, 4, [0, 0])
    x = n.op("Transpose", n.reshape(x, n.dim(x, 0), 12, -1), perm=[0, 2, 1])
    # torch's expand: -1 is replaced by 1, all at run time
    want = n.op("Concat", n.dim(image, 0), n.i64(-1), n.i64(-1), axis=0)
    ones = n.op("ConstantOfShape", n.op("Shape", want),
                value=helper.make_tensor("one", TensorProto.INT64, [1], [1]))
    same = n.op("Equal", want, n.op("Mul", ones, n.const(np.array(-1, np.int64))))
    cls = n.op("Expand", n.const(n.floats(1, 1, 12)), n.op("Where", same, ones, want))
    x = n.op("Add", n.op("Concat", cls, x, axis=1), n.const(n.floats(1, 17, 12)))

    def norm(x):
        return n.op("LayerNormalization", x, n.const(n.floats(12) * np.float32(0.1) + 1),
                    n.const(n.floats(12) * np.float32(0.1)), axis=-1, epsilon=1e-6)

    for fused in (True, False):
        y = n.linear(norm(x), 12, 36)
        if fused:  # timm
            y = n.op("Transpose", n.reshape(y, n.dim(y, 0), n.dim(y, 1), 3, 2, 6), perm=[2, 0, 3, 1, 4])
            q, k, v = [n.op("Gather", y, n.const(np.array(i, np.int64)), axis=0) for i in range(3)]
            s = n.op("MatMul", q, n.op("Transpose", k, perm=[0, 1, 3, 2]))
        else:
            parts = n.op("Split", y, n.i64(12, 12, 12), axis=-1, outs=3)
            q, k, v = [n.op("Transpose", n.reshape(p, 0, 0, 2, 6), perm=[0, 2, 1, 3]) for p in parts]
            s = n.op("Einsum", q, k, equation="bhid,bhjd->bhij")
        s = n.op("Softmax", n.op("Mul", s, n.f32(6 ** -0.5)), axis=-1)
        y = n.op("Transpose", n.op("MatMul", s, v), perm=[0, 2, 1, 3])
        x = n.op("Add", x, n.linear(n.reshape(y, 0, 0, -1), 12, 12))
        x = n.op("Add", x, n.linear(n.gelu(n.linear(norm(x), 12, 24)), 24, 12))
    first = n.op("Gather", norm(x), n.const(np.array(0, np.int64)), axis=1)
    n.output(n.gemm(first, 12, 5))
    return n


def vad():
    n = Net("vad", 16)
    x = n.input("input", n.floats(1, 64), [1, 64])
    state = n.input("state", n.floats(2, 1, 8), [2, 1, 8])
    x = n.op("Unsqueeze", n.op("Pad", x, n.i64(0, 0, 0, 8), mode="reflect"), n.i64(1))
    x = n.op("Conv", x, n.weight(18, 1, 16), kernel_shape=[16], strides=[8])
    re, im = n.op("Split", x, n.i64(9, 9), axis=1, outs=2)
    two = n.f32(2.0)
    x = n.op("Sqrt", n.op("Add", n.op("Pow", re, two), n.op("Pow", im, two)))
    x = n.op("Relu", n.op("Conv", x, n.weight(8, 9, 3), n.const(n.floats(8)), kernel_shape=[3],
                          pads=[1, 1], strides=[2]))
    x = n.op("Transpose", x, perm=[2, 0, 1])
    h, c = n.op("Split", state, n.i64(1, 1), axis=0, outs=2)
    w, r = n.const(n.floats(1, 32, 8) * np.float32(0.3)), n.const(n.floats(1, 32, 8) * np.float32(0.3))
    y, hn, cn = n.op("LSTM", x, w, r, n.const(n.floats(1, 64)), "", h, c, hidden_size=8, outs=3)
    y = n.op("Relu", n.op("Transpose", n.op("Squeeze", y, n.i64(1)), perm=[1, 2, 0]))
    y = n.op("Conv", y, n.weight(1, 8, 1), n.const(n.floats(1)), kernel_shape=[1])
    y = n.op("ReduceMean", n.op("Sigmoid", n.op("Squeeze", y, n.i64(1))), axes=[1], keepdims=1)
    n.output(y, n.op("Concat", hn, cn, axis=0))
    return n


def gru():
    n = Net("gru", 14)
    x = n.input("sequence", n.floats(3, 7, 6), ["batch", 7, 6])
    x = n.op("Transpose", x, perm=[1, 0, 2])
    h0 = n.op("ConstantOfShape", n.op("Concat", n.i64(2), n.dim(x, 1), n.i64(5), axis=0),
              value=helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]))
    y, _ = n.op("GRU", x, n.const(n.floats(2, 15, 6) * np.float32(0.4)),
                n.const(n.floats(2, 15, 5) * np.float32(0.4)), n.const(n.floats(2, 30)), "", h0,
                hidden_size=5, direction="bidirectional", linear_before_reset=1, outs=2)
    y = n.reshape(n.op("Transpose", y, perm=[0, 2, 1, 3]), 0, 0, -1)
    y = n.op("Slice", y, n.i64(-1), n.i64(2 ** 63 - 1), n.i64(0))
    n.output(n.op("LogSoftmax", n.gemm(n.op("Squeeze", y, n.i64(0)), 10, 4), axis=1))
    return n


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: families.py FOLDER")
    for make in (vgg, densenet, inception, shufflenet, mobilenet_v3, yolo, ultraface, paddle_det,
                 paddle_rec, bert, vit, vad, gru):
        make().save(sys.argv[1])


if __name__ == "__main__":
    main()
