#!/usr/bin/env python3
"""A quantized model as x86 CPUs without VNNI compute it: Lapidary's profile onnxruntime-1.31/avx2 beside ONNX Runtime
on this CPU with its VNNI (and AVX512) hidden.

usage: without_vnni.py LAPIDARY MODEL.onnx CALIB EVAL [--samples N] [--hide avx512|vnni] [--quantize-with OPTION]...
Quantizes MODEL on CALIB, runs the file on EVAL (data records; the first N samples) in both engines and counts the values
of the first output that differ; prints top-1 of both, and of Lapidary's exact arithmetic, where EVAL has labels. Exit code
1 where a value differs, 77 (skipped) where CPUID cannot be made to fault, see without_vnni.c.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import ort


def peer(model, inputs, output):
    """Runs in a process that sees the lesser CPU."""
    sess = ort.session(model)
    arrays = np.load(inputs)
    feed = {i.name: arrays[i.name] for i in sess.get_inputs()}
    fixed = sess.get_inputs()[0].shape[0]
    np.save(output, ort.run(sess, feed, fixed if isinstance(fixed, int) else 8)[sess.get_outputs()[0].name])


def run_peer(model, tmp, hide):
    library = tmp / "without_vnni.so"
    source = Path(__file__).with_name("without_vnni.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return subprocess.run([sys.executable, __file__, "--peer", model, tmp / "x.npz", tmp / "peer.npy"],
                          env=os.environ | {"LD_PRELOAD": str(library), "LAPIDARY_HIDE": hide}).returncode


def top1(outputs, labels):
    if labels is None:
        return "no labels"
    return f"{100 * float((outputs.reshape(len(outputs), -1).argmax(1) == labels).mean()):.2f}"


def main():
    if sys.argv[1:2] == ["--peer"]:
        return peer(*sys.argv[2:])
    parser = argparse.ArgumentParser()
    parser.add_argument("lapidary")
    parser.add_argument("model")
    parser.add_argument("calib")
    parser.add_argument("eval")
    parser.add_argument("--samples", type=int, default=0)
    parser.add_argument("--hide", default="avx512", choices=["avx512", "vnni"])
    parser.add_argument("--quantize-with", action="append", default=[])
    args = parser.parse_args()
    data = args.eval.replace("{", f"{{limit: {args.samples}, ", 1) if args.samples else args.eval

    def lapidary(*command):
        return subprocess.run([args.lapidary, *map(str, command)], check=True, capture_output=True, text=True).stdout

    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        lapidary("quantize", args.model, "-o", tmp / "q.onnx", "--calib", args.calib, "--no-bench", *args.quantize_with)
        lapidary("samples", args.model, "--data", data, "-o", tmp / "x.npz")
        code = run_peer(tmp / "q.onnx", tmp, args.hide)
        if code != 0:
            print("skipped: this CPU has no cpuid_fault, or the kernel does not pass it on" if code == 77 else f"ONNX Runtime failed: {code}")
            return code
        made = {}
        for semantics in ("exact", "avx2-saturating"):
            seen = json.loads(lapidary("eval", tmp / "q.onnx", "--data", data, "--isa-semantics", semantics,
                                       "--outputs", tmp / "y.npy", "--json"))
            made[semantics] = np.load(tmp / "y.npy")
        inputs = np.load(tmp / "x.npz")
        labels = inputs["labels"] if "labels" in inputs.files else None
        theirs = np.load(tmp / "peer.npy").reshape(made["exact"].shape)
    mine = made["avx2-saturating"]
    saturating = [layer for layer in seen["saturation"] if layer["saturated"]]
    differ = int((mine != theirs).sum())
    print(f"top-1: exact {top1(made['exact'], labels)}, saturating {top1(mine, labels)}, "
          f"ONNX Runtime without {args.hide} {top1(theirs, labels)}; {int((mine != made['exact']).sum())} of {mine.size} "
          f"values differ from the exact ones, {differ} from ONNX Runtime's; {len(saturating)} of "
          f"{len(seen['saturation'])} layers saturate")
    for layer in sorted(saturating, key=lambda layer: -layer["share"])[:5]:
        print(f"  {layer['share']:.2e} {layer['op']} {layer['node']}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
