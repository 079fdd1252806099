#!/usr/bin/env python3
"""Files of Lapidary's binary and ternary ops in ONNX Runtime, which runs their portable functions: the same bits as
Lapidary's own kernels, of the same file. Nets are written here without functions, which Lapidary adds where it saves
them. Their weights take a bit (two bits) each in the file.

usage: packed_test.py LAPIDARY
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import ort

lapidary = sys.argv[1]
rng = np.random.default_rng(3)


class Net:
    def __init__(self, opset):
        self.opset, self.nodes, self.constants, self.packed = opset, [], [], 0

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def op(self, op_type, inputs, domain="", name=None, **attrs):
        out = name or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [out], domain=domain, name=out, **attrs))
        return out

    def own(self, op_type, inputs, **attrs):
        return self.op(op_type, inputs, domain="ai.lapidary", **attrs)

    def bits(self, shape, used):
        """Random bytes, the bits past `used` of the last axis set."""
        array = rng.integers(0, 256, shape, dtype=np.uint8)
        if used % 8:
            array[..., -1] |= 256 - 2 ** (used % 8)
        self.packed += array.size
        return array

    def affine(self, channels, products):
        """Scales of both signs and 0; a bias that is a scale times a whole sum, so that sums around it are seen."""
        scale = rng.standard_normal(channels).astype(np.float32) / np.float32(np.sqrt(products))
        scale[::11] = 0
        whole = np.float32(rng.integers(-4, 5, channels) * 2 + products % 2)
        return [self.constant(scale), self.constant(np.where(rng.random(channels) < 0.5, -scale * whole,
                                                             rng.standard_normal(channels).astype(np.float32)))]

    def conv(self, x, in_c, out_c, kernel=(3, 3), strides=(1, 1), dilations=(1, 1), pads=(1, 1, 1, 1), pad_value=0.0):
        taps, each = kernel[0] * kernel[1], -(-in_c // 8)
        w = self.bits((out_c, taps, each), in_c).reshape(out_c, taps * each)
        return self.own("BinaryConv", [x, self.constant(w), *self.affine(out_c, taps * in_c)], kernel_shape=kernel,
                        strides=strides, dilations=dilations, pads=pads, in_channels=in_c, pad_value=pad_value)

    def matmul(self, x, k, n):
        return self.own("BinaryMatMul", [x, self.constant(self.bits((n, -(-k // 8)), k)), *self.affine(n, k)])

    def save(self, path, x_shape, y):
        graph = helper.make_graph(self.nodes, "net",
                                  [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *x_shape[1:]])],
                                  [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset),
                                                        helper.make_opsetid("ai.lapidary", 1)], ir_version=8)
        onnx.save(model, path)


def convolutions(opset):
    net = Net(opset)
    y = net.conv("x", 37, 70, pad_value=1.0)
    y = net.conv(y, 70, 64, pads=(1, 0, 2, 1), strides=(1, 2))
    left = net.conv(y, 64, 96, kernel=(3, 2), dilations=(2, 1), pads=(2, 1, 2, 0))
    y = net.op("Add", [left, net.conv(y, 64, 96, kernel=(1, 1), pads=(0, 0, 0, 0))])
    y = net.op("PRelu", [y, net.constant(rng.random((96, 1, 1), dtype=np.float32))])
    return net, (2, 37, 9, 8), net.conv(y, 96, 10, pad_value=1.0)


def products(opset):
    net = Net(opset)
    return net, (3, 4, 100), net.matmul(net.matmul("x", 100, 300), 300, 9)


def binary_weights(opset):
    """Float activations and binary weights; products with values of few bits are exact in any order."""
    net = Net(opset)
    w = net.own("UnpackBinary", [net.constant(net.bits((16, -(-20 * 9 // 8)), 20 * 9))], shape=[16, 20, 3, 3])
    return net, (2, 20, 6, 6), net.op("Conv", ["x", w])


def ternary_weights(opset):
    net = Net(opset)
    codes = rng.choice([0, 1, 2], (40, -(-64 * 9 // 4), 4), p=[0.4, 0.3, 0.3])
    w = (codes << (2 * np.arange(4))).sum(-1).astype(np.uint8)
    net.packed += w.size
    scale, zero = net.constant(np.float32(0.05)), net.constant(np.uint8(128))
    q = net.op("DequantizeLinear", [net.op("QuantizeLinear", ["x", scale, zero]), scale, zero])
    unpacked = net.own("UnpackTernary", [net.constant(w)], shape=[40, 64, 3, 3])
    dw = net.op("DequantizeLinear", [unpacked, net.constant(rng.random(40, dtype=np.float32) / 16 + np.float32(0.01)),
                                     net.constant(np.zeros(40, np.int8))], axis=0)
    y = net.op("Conv", [q, dw], pads=[1, 1, 1, 1])
    scale = net.constant(np.float32(0.3))
    return net, (2, 64, 7, 7), net.op("DequantizeLinear", [net.op("QuantizeLinear", [y, scale, zero]), scale, zero])


def inputs(shape):
    x = (rng.integers(-32, 32, shape) / 8).astype(np.float32)
    x.ravel()[::41] = -0.0
    return x


def own_outputs(folder, model, x, *options):
    np.save(folder / "x.npy", x)
    subprocess.run([lapidary, "infer", model, "--input", f"x={folder / 'x.npy'}", "-o", folder / "y.npz", *options],
                   check=True, stdout=subprocess.DEVNULL)
    return next(iter(np.load(folder / "y.npz").values()))


with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    for build in (convolutions, products, binary_weights, ternary_weights):
        for opset in (13, 17, 21):
            net, shape, y = build(opset)
            written, saved, again = (folder / f"{n}.onnx" for n in ("written", "saved", "again"))
            net.save(written, shape, y)
            for before, after in ((written, saved), (saved, again)):
                subprocess.run([lapidary, "optimize", before, "-o", after, "--no-bench", "-q"], check=True,
                               stdout=subprocess.DEVNULL)
            model, twice = onnx.load(saved), onnx.load(again)
            onnx.checker.check_model(model, full_check=True)
            for m in (model, twice):
                m.ClearField("metadata_props")  # which name the file before
            assert model == twice, "saved again it is another model"
            own_nodes = [n for n in model.graph.node if n.domain == "ai.lapidary"]
            assert len(own_nodes) == sum(n.domain == "ai.lapidary" for n in net.nodes)
            assert {f.name for f in model.functions} == {n.op_type for n in own_nodes}
            rest = saved.stat().st_size - net.packed
            assert rest < 16384, rest
            x = inputs(shape)
            if own_nodes[0].op_type.startswith("Binary"):
                x.ravel()[7::43] = np.nan
            found = own_outputs(folder, saved, x)
            for threads in (1, 2):
                expected = ort.session(str(saved), threads).run(None, {"x": x})[0]
                assert found.dtype == expected.dtype and found.shape == expected.shape
                assert np.array_equal(found, expected), np.abs(found - expected).max()
            assert np.unique(found).size > 10
            print(f"{build.__name__}, opset {opset}: {found.size} values equal; {net.packed} bytes of weights in a file "
                  f"of {saved.stat().st_size}")
