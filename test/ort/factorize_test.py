#!/usr/bin/env python3
"""A model in factors in ONNX Runtime: it loads, passes the ONNX checker, is smaller, and answers as Lapidary does of
the same file; and as the model before does in ONNX Runtime with the products of the factors for weights. The products
are made here, from the two files alone.

usage: factorize_test.py LAPIDARY MODEL...
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import ort

lapidary, models = sys.argv[1], sys.argv[2:]
LAYERS = ("Conv", "Gemm", "MatMul")


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def composed(node, weights):
    """The weight that these, of a chain of nodes alike, make together."""
    if node.op_type != "Conv":
        rows_first = attributes(node).get("transB", 0)
        w = weights[0].T if rows_first else weights[0]
        for other in weights[1:]:
            w = w @ (other.T if rows_first else other)
        return w.T if rows_first else w
    w = weights[0]
    for other in weights[1:]:  # w [r, i, y, 1] or [r, i, 1, 1], then other [o, r, 1, x], or one of any kernel, first 1x1
        w = np.einsum("oryx,riab->oiyaxb", other, w)
        w = w.reshape(*w.shape[:2], w.shape[2] * w.shape[3], w.shape[4] * w.shape[5])
    return w


def with_products(before, after):
    graph = onnx.ModelProto()
    graph.CopyFrom(before)
    old, new = ort.constants(before), ort.constants(after)
    made = {n.output[0]: n for n in after.graph.node}
    last = {n.output[0]: n for n in after.graph.node if n.op_type in LAYERS}
    count = 0
    for node in before.graph.node:
        if node.op_type not in LAYERS or node.input[1] not in old or node.input[1] in new:
            continue
        chain = [last[node.output[0]]]
        assert chain[0].name == node.name and list(chain[0].output) == list(node.output)
        assert list(chain[0].input[2:]) == list(node.input[2:])
        while chain[0].input[0] != node.input[0]:
            chain.insert(0, made[chain[0].input[0]])
        assert 2 <= len(chain) <= 3
        w = composed(node, [new[n.input[1]].astype(np.float64) for n in chain]).astype(np.float32)
        assert w.shape == old[node.input[1]].shape, (w.shape, old[node.input[1]].shape)
        count += 1
        for i in graph.graph.initializer:
            if i.name == node.input[1]:
                i.CopyFrom(numpy_helper.from_array(w, i.name))
    return graph, count


with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    for model in map(Path, models):
        for methods in ("svd", "spatial_svd,svd", "tucker,svd"):
            small = folder / model.name
            subprocess.run([lapidary, "factorize", model, "-o", small, "--no-bench", "--ranks", "{share: 0.3}", "--methods",
                            methods, "--round-to", "4"], check=True, stdout=subprocess.DEVNULL)
            onnx.checker.check_model(str(small), full_check=True)
            before, after = onnx.load(model), onnx.load(small)
            sizes = [sum(v.size for v in ort.constants(m).values()) for m in (before, after)]
            assert sizes[1] < sizes[0], sizes
            name, x = ort.inputs_of(model)
            y = ort.session(str(small)).run(None, {name: x})[0]
            np.save(folder / "x.npy", x)
            subprocess.run([lapidary, "infer", small, "--input", f"{name}={folder / 'x.npy'}", "-o", folder / "y.npz"],
                           check=True, stdout=subprocess.DEVNULL)
            own = next(iter(np.load(folder / "y.npz").values()))
            whole, layers = with_products(before, after)
            assert layers > 0
            expected = ort.session(whole.SerializeToString()).run(None, {name: x})[0]
            scale = np.abs(expected).max()
            apart = [float(np.abs(a - b).max() / scale) for a, b in ((y, own), (y, expected))]
            print(f"{model.name}, {methods}: {layers} layers, {sizes[0]} to {sizes[1]} elements; of Lapidary {apart[0]:.1e}, "
                  f"of the products {apart[1]:.1e}")
            assert max(apart) < 1e-3, apart
