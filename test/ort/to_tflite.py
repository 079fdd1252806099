#!/usr/bin/env python3
"""LiteRT files of the models that peers_table.py times: NAME.f32.tflite and NAME.int8.tflite (full-integer
post-training quantization on the calibration data that Lapidary gets; float inputs and outputs, NHWC).

usage: to_tflite.py LAPIDARY ASSETS OUT [--only NAME,...]
Needs the packages onnx, onnxsim and tensorflow-cpu.
"""
import argparse
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np
import onnx
from onnxsim import simplify, tflite_export

import models


def fixed_batch(path):
    model = onnx.load(path)
    for value in list(model.graph.input) + list(model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims and not dims[0].dim_value:
            dims[0].dim_value = 1
    return simplify(model)[0]


def samples(lapidary, path, calib, count):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.npz"
        subprocess.run([lapidary, "samples", str(path), "--data", calib, "-o", str(file)], check=True,
                       capture_output=True)
        arrays = dict(np.load(file))
    arrays.pop("labels", None)
    (images,) = arrays.values()
    images = images[:count]
    return images.transpose(0, 2, 3, 1) if images.ndim == 4 else images  # NCHW -> NHWC


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lapidary")
    parser.add_argument("assets")
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--samples", type=int, default=64)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name, model in models.table(args.assets, None).items():
        if args.only and name not in args.only.split(","):
            continue
        try:
            ready = fixed_batch(model.file)
            (args.out / f"{name}.f32.tflite").write_bytes(
                tflite_export.convert_to_tflite(ready, io_layout="nhwc"))
            images = samples(args.lapidary, model.file, model.calib, args.samples)

            def batches():
                for image in images:
                    yield [np.ascontiguousarray(image[None], dtype=np.float32)]

            (args.out / f"{name}.int8.tflite").write_bytes(
                tflite_export.convert_to_tflite(ready, io_layout="nhwc", int8_quantize=True,
                                                representative_dataset=batches))
            print(f"{name}: written", flush=True)
        except Exception:  # one model that a converter refuses must not stop the others
            failed += 1
            print(f"{name}: {traceback.format_exc().strip().splitlines()[-1]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
