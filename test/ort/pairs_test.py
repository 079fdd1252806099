#!/usr/bin/env python3
"""Q -> DQ -> a node that changes nothing -> Q -> DQ -> Conv -> Q: the same bytes as ONNX Runtime's, which merges the
two pairs only across nodes that it removes before.

usage: pairs_test.py LAPIDARY      (Python with numpy, onnx, onnxruntime)
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

SHAPE = [1, 3, 9, 8]
NODES = {
    "none": None,
    "identity": ("Identity", [], {}),
    "dropout": ("Dropout", [], {}),
    "times one": ("Mul", ["one"], {}),
    "plus zero": ("Add", ["zero"], {}),
    "average of one": ("AveragePool", [], {"kernel_shape": [1, 1]}),
    "maximum of one": ("MaxPool", [], {"kernel_shape": [1, 1]}),
    "same shape": ("Reshape", ["shape"], {}),
    "same order": ("Transpose", [], {"perm": [0, 1, 2, 3]}),
    "concatenation of one": ("Concat", [], {"axis": 1}),
    "no padding": ("Pad", ["pads"], {}),
    "same size": ("Resize", ["", "scales"], {"mode": "nearest"}),
    "whole slice": ("Slice", ["first", "last", "axis"], {}),
    "leak of one": ("LeakyRelu", [], {"alpha": 1.0}),
}


def model(between, rng):
    constants = {
        "s1": np.float32(0.03), "z1": np.uint8(176), "s2": np.float32(0.04089471), "z2": np.uint8(108),
        "w": rng.integers(-128, 128, (5, 3, 3, 3)).astype(np.int8), "sw": np.float32(0.01), "zw": np.int8(0),
        "sy": np.float32(0.3), "zy": np.uint8(120), "shape": np.array([0, 3, 9, 8]), "one": np.float32(1),
        "zero": np.float32(0), "pads": np.zeros(8, np.int64), "scales": np.ones(4, np.float32),
        "first": np.array([0]), "last": np.array([2**31]), "axis": np.array([2])}
    node = helper.make_node
    nodes = [node("QuantizeLinear", ["x", "s1", "z1"], ["q1"]), node("DequantizeLinear", ["q1", "s1", "z1"], ["d1"])]
    value = "d1"
    if between:
        op, inputs, attributes = between
        nodes.append(node(op, [value, *inputs], ["same"], **attributes))
        value = "same"
    nodes += [node("QuantizeLinear", [value, "s2", "z2"], ["q2"]), node("DequantizeLinear", ["q2", "s2", "z2"], ["d2"]),
              node("DequantizeLinear", ["w", "sw", "zw"], ["dw"]), node("Conv", ["d2", "dw"], ["c"]),
              node("QuantizeLinear", ["c", "sy", "zy"], ["y"])]
    graph = helper.make_graph(nodes, "pairs", [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
                              [helper.make_tensor_value_info("y", TensorProto.UINT8, [1, 5, 7, 6])],
                              [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def main():
    lapidary, wrong = sys.argv[1], 0
    ort.set_default_logger_severity(3)
    x = (np.random.default_rng(1).standard_normal(SHAPE) * 2).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        file, given, made = (Path(folder) / name for name in ("m.onnx", "x.npy", "y.npz"))
        np.save(given, x)
        for name, between in NODES.items():
            onnx.save(model(between, np.random.default_rng(0)), file)
            session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
            expected = session.run(None, {"x": x})[0]
            subprocess.run([lapidary, "infer", file, "--input", f"x={given}", "-o", made, "-q"], check=True,
                           stdout=subprocess.DEVNULL)
            differing = int((np.load(made)["y"] != expected).sum())
            print(f"{name:22} {differing} of {expected.size} bytes differ")
            wrong += differing > 0
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
