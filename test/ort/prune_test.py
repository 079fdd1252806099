#!/usr/bin/env python3
"""A pruned file in ONNX Runtime: it loads, passes the ONNX checker, is smaller, and answers as Lapidary does of the
same file; and as the model before does in ONNX Runtime with zeros for the weights that read what was removed. Which
those are is found here, by comparing the weights of the two files.

usage: prune_test.py LAPIDARY MODEL...
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


def matched(before, after):
    """For each entry of `after` along axis 0 its place in `before`, in order."""
    places, start = [], 0
    for entry in after:
        start = next(i for i in range(start, len(before)) if np.array_equal(before[i], entry))
        places.append(start)
        start += 1
    return places


def tells_rows(model, node):
    """A constant with one number for each output channel: the bias, else the mean of the normalization behind."""
    if len(node.input) > 2:
        return node.input[2]
    return next(n.input[3] for n in model.graph.node
                if n.op_type == "BatchNormalization" and n.input[0] == node.output[0])


def masked(before, after):
    """`before` with zeros in weights of Conv and Gemm where they read channels that are gone: the columns that are left
    are found once the rows are."""
    graph = onnx.ModelProto()
    graph.CopyFrom(before)
    old, new = ort.constants(before), ort.constants(after)
    for node in before.graph.node:
        if node.op_type not in ("Conv", "Gemm") or node.input[1] not in old:
            continue
        w, cut = old[node.input[1]], new[node.input[1]]
        if w.shape[1] == cut.shape[1]:
            continue
        of_rows = tells_rows(before, node)
        rows = matched(old[of_rows], new[of_rows])
        columns = matched(w[rows].swapaxes(0, 1), cut.swapaxes(0, 1))
        zeroed = np.zeros_like(w)
        zeroed[:, columns] = w[:, columns]
        for i in graph.graph.initializer:
            if i.name == node.input[1]:
                i.CopyFrom(numpy_helper.from_array(zeroed, i.name))
    return graph


with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    for model in map(Path, models):
        pruned = folder / model.name
        subprocess.run([lapidary, "prune", model, "-o", pruned, "--no-bench", "--target", "{units: 0.75}", "--scope",
                        "local"], check=True, stdout=subprocess.DEVNULL)
        onnx.checker.check_model(str(pruned), full_check=True)
        before, after = onnx.load(model), onnx.load(pruned)
        sizes = [sum(v.size for v in ort.constants(m).values()) for m in (before, after)]
        assert sizes[1] < 0.75 * sizes[0], sizes
        name, x = ort.inputs_of(model)
        y = ort.session(str(pruned)).run(None, {name: x})[0]
        np.save(folder / "x.npy", x)
        subprocess.run([lapidary, "infer", pruned, "--input", f"{name}={folder / 'x.npy'}", "-o", folder / "y.npz"],
                       check=True, stdout=subprocess.DEVNULL)
        own = next(iter(np.load(folder / "y.npz").values()))
        expected = ort.session(masked(before, after)).run(None, {name: x})[0]
        scale = np.abs(expected).max()
        apart = [float(np.abs(a - b).max() / scale) for a, b in ((y, own), (y, expected))]
        print(f"{model.name}: {sizes[0]} to {sizes[1]} elements; of Lapidary {apart[0]:.1e}, of the masked model "
              f"{apart[1]:.1e}")
        assert max(apart) < 1e-4, apart
