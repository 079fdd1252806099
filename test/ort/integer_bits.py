#!/usr/bin/env python3
"""Every integer tensor of a quantized model: the same bits in Lapidary and in ONNX Runtime.

usage: integer_bits.py LAPIDARY MODEL.onnx CALIB [--samples N] [--quantize-with OPTION]...
Quantizes MODEL on CALIB (a data record), makes every QuantizeLinear output a graph output, runs the file
in both engines on the first samples and counts the values that differ. Exit code 77 (skipped) where this
CPU has no VNNI: ONNX Runtime saturates there.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

import ort


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lapidary")
    parser.add_argument("model")
    parser.add_argument("calib")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--quantize-with", action="append", default=[])
    args = parser.parse_args()
    if not Path(args.model).exists():
        print(f"skipped: {args.model} is not there")
        return 77
    if not ort.has_vnni():
        print("skipped: no VNNI on this CPU, where ONNX Runtime saturates")
        return 77

    def lapidary(*command):
        subprocess.run([args.lapidary, *map(str, command)], check=True, stdout=subprocess.DEVNULL)

    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        lapidary("quantize", args.model, "-o", tmp / "q.onnx", "--calib", args.calib, *args.quantize_with)
        lapidary("samples", args.model, "--data", args.calib, "--count", args.samples, "-o", tmp / "x.npz")
        exposed, names = ort.expose_integers(onnx.load(tmp / "q.onnx"))
        onnx.save(exposed, tmp / "exposed.onnx")
        inputs = dict(np.load(tmp / "x.npz"))
        sess = ort.session(exposed)
        feed = {i.name: inputs[i.name] for i in sess.get_inputs()}
        fixed = sess.get_inputs()[0].shape[0]
        batch = fixed if isinstance(fixed, int) else args.samples
        expected = ort.run(sess, feed, batch)
        got = {name: [] for name in expected}
        for begin in range(0, args.samples, batch):
            options = []
            for name, array in feed.items():
                np.save(tmp / f"{len(options)}.npy", array[begin:begin + batch])
                options += ["--input", f"{name}={tmp / f'{len(options)}.npy'}"]
            lapidary("infer", tmp / "exposed.onnx", *options, "-o", tmp / "y.npz")
            part = np.load(tmp / "y.npz")
            for name in expected:
                got[name].append(part[name])
    wrong = values = 0
    for name in names:
        mine, theirs = np.concatenate(got[name]), expected[name]
        if mine.dtype != theirs.dtype or mine.shape != theirs.shape:
            print(f"{name}: {mine.dtype}{mine.shape} against {theirs.dtype}{theirs.shape}")
            return 1
        differ = int((mine != theirs).sum())
        if differ:
            print(f"{name}: {differ} of {theirs.size} values differ")
        wrong += differ
        values += theirs.size
    print(f"{Path(args.model).name}: {len(names)} integer tensors, {values} values, {wrong} differ")
    return 1 if wrong or not names else 0


if __name__ == "__main__":
    sys.exit(main())
