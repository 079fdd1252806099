#!/usr/bin/env python3
"""Every integer tensor of a quantized model: the same bits in Lapidary and in ONNX Runtime.

usage: integer_bits.py LAPIDARY MODEL.onnx CALIB [--samples N] [--quantize-with OPTION]...
Quantizes MODEL on CALIB (a data record), makes every QuantizeLinear output a graph output, runs the file
in both engines on the first samples and counts the values that differ. Behind each island of float nodes
Lapidary goes on from ONNX Runtime's integers, and the island's own floats must be within 1e-5 of their
largest: rounded to integers, floats that differ in their last bits may differ by one. Exit code 77 (skipped)
where this CPU has no VNNI: ONNX Runtime saturates there.
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
    if not ort.has_vnni():
        print("skipped: this CPU has no avx512vnni, and without ONNX Runtime saturates")
        return 77

    def lapidary(*command):
        subprocess.run([args.lapidary, *map(str, command)], check=True, stdout=subprocess.DEVNULL)

    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        lapidary("quantize", args.model, "-o", tmp / "q.onnx", "--calib", args.calib, *args.quantize_with)
        lapidary("samples", args.model, "--data", args.calib, "--count", args.samples, "-o", tmp / "x.npz")
        model = onnx.load(tmp / "q.onnx")
        found = ort.islands(model)
        exposed, names = ort.expose_integers(model, [f for f, _ in found])
        inputs = dict(np.load(tmp / "x.npz"))
        sess = ort.session(exposed)
        feed = {i.name: inputs[i.name] for i in sess.get_inputs()}
        fixed = sess.get_inputs()[0].shape[0]
        batch = fixed if isinstance(fixed, int) else args.samples
        got = {}
        expected = ort.run(sess, feed, batch)
        feed |= {q: expected[q] for _, q in found}
        for begin in range(0, args.samples, batch):
            part = {name: array[begin:begin + batch] for name, array in feed.items()}
            onnx.save(ort.cut(exposed, found, names, part), tmp / "cut.onnx")
            options = []
            for name, array in part.items():
                np.save(tmp / f"{len(options)}.npy", array)
                options += ["--input", f"{name}={tmp / f'{len(options)}.npy'}"]
            lapidary("infer", tmp / "cut.onnx", *options, "-o", tmp / "y.npz")
            made = np.load(tmp / "y.npz")
            for name in made.files:
                got.setdefault(name, []).append(made[name])
    got = {name: np.concatenate(parts) for name, parts in got.items()}
    floats = compare_floats(got, expected, dict.fromkeys(f for f, _ in found))
    compared = [n for n in names if n not in feed]
    wrong = compare_integers(got, expected, compared)
    return 1 if wrong or floats or not compared else 0


def compare_floats(got, expected, names):
    """How many islands' floats are further than 1e-5 of their largest value from ONNX Runtime's."""
    far = 0
    for name in names:
        largest = max(np.abs(expected[name]).max(), np.finfo(np.float32).tiny)
        error = np.abs(got[name] - expected[name]).max() / largest
        if not error <= 1e-5:  # NaN is far too
            print(f"{name}: floats differ by {error:.1e} of the largest")
            far += 1
    print(f"{len(names)} floats of islands, {far} further than 1e-5")
    return far


def compare_integers(got, expected, names):
    wrong = values = 0
    for name in names:
        mine, theirs = got[name], expected[name]
        if mine.dtype != theirs.dtype or mine.shape != theirs.shape:
            print(f"{name}: {mine.dtype}{mine.shape} against {theirs.dtype}{theirs.shape}")
            return 1
        differ = int((mine != theirs).sum())
        if differ:
            print(f"{name}: {differ} of {theirs.size} values differ")
        wrong += differ
        values += theirs.size
    print(f"{len(names)} integer tensors, {values} values, {wrong} differ")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
