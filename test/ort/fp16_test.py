#!/usr/bin/env python3
"""fp16 of a float model, of its QDQ form and of its integer operators around a float Gemm: ONNX Runtime takes each
file and answers as from the one before.

usage: fp16_test.py LAPIDARY MODEL CALIB
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

import ort

lapidary, model, calib = sys.argv[1:4]


def make(*arguments):
    subprocess.run([lapidary, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def outputs(file):
    session = ort.session(str(file))
    found = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else 8 for d in found.shape]
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    return session.run(None, {found.name: x})[0].astype(np.float64)


def initializer_types(file):
    return {i.data_type for i in onnx.load(file).graph.initializer}


with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    forms = {"float": Path(model)}
    for form in ("qdq", "qoperator"):
        forms[form] = folder / f"{form}.onnx"
        make("quantize", model, "--calib", calib, "--format", form, "--skip", "op:Gemm", "--no-bench",
             "-o", forms[form])
    for form, file in forms.items():
        for options in ([], ["--weights-only"]):
            half = folder / f"{form}_fp16{''.join(options)}.onnx"
            make("fp16", file, *options, "--no-bench", "-o", half)
            assert onnx.TensorProto.FLOAT16 in initializer_types(half), half
            expected, y = outputs(file), outputs(half)
            noise = ((y - expected) ** 2).sum()
            sqnr = np.inf if noise == 0 else 10 * np.log10((expected**2).sum() / noise)
            print(f"{half.name}: {sqnr:.1f} dB")
            # 11 bits are some 66 dB; integers behind rounded floats differ by a step here and there.
            assert sqnr > (50 if form == "float" else 25), half
