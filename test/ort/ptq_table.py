#!/usr/bin/env python3
"""The table of docs/quantization.md: the example's classifier and every labelled one of an assets folder, FP32 and
INT8, in Lapidary and in ONNX Runtime on the same files and samples.

usage: ptq_table.py LAPIDARY ASSETS [--models NAME,...] [--option=--calibrator=entropy]...
Prints a Markdown table: top-1 of FP32 and INT8 in both engines, agreement and SQNR against FP32, the number of
differing values in the last integer tensor, file sizes, and what the quantization took: wall seconds, CPU seconds,
peak MB.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

import cost
import models
import ort


def sqnr(y, yq):
    y, yq = (a.reshape(len(a), -1).astype(np.float64) for a in (y, yq))
    noise = ((y - yq) ** 2).sum(1)
    with np.errstate(divide="ignore"):
        return float(np.minimum(150, 10 * np.log10((y ** 2).sum(1) / noise)).mean())


def row(lapidary, model, calib, evaluation, options, tmp):
    def run(*command):
        done = subprocess.run([lapidary, *map(str, command)], check=True, capture_output=True, text=True)
        return done.stdout

    quantized = tmp / "q.onnx"
    took = cost.measured([lapidary, "quantize", model, "-o", quantized, "--calib", calib, "--no-bench", *options])
    seen = {}
    for name, file in (("fp32", model), ("int8", quantized)):
        report = json.loads(run("eval", file, "--data", evaluation, "--outputs", tmp / f"{name}.npy", "--json"))
        seen[name] = (report["metrics"].get("top1", float("nan")), np.load(tmp / f"{name}.npy"))
    run("samples", model, "--data", evaluation, "-o", tmp / "x.npz")
    arrays = dict(np.load(tmp / "x.npz"))
    labels = arrays.pop("labels")
    outputs, last = {}, None
    exposed, names = ort.expose_integers(onnx.load(quantized))
    for name, file in (("fp32", str(model)), ("int8", exposed)):
        session = ort.session(file)
        inputs = {i.name: arrays[i.name] for i in session.get_inputs()}
        fixed = session.get_inputs()[0].shape[0]
        outputs[name] = ort.run(session, inputs, fixed if isinstance(fixed, int) else 32)
        outputs[name + "_first"] = outputs[name][session.get_outputs()[0].name]
    # the last integer tensor, recovered exactly from Lapidary's own run of the exposed file on some samples
    count = min(64, len(labels))
    onnx.save(exposed, tmp / "exposed.onnx")
    command = []
    for name, array in arrays.items():
        np.save(tmp / f"in_{name}.npy", array[:count])
        command += ["--input", f"{name}={tmp / f'in_{name}.npy'}"]
    run("infer", tmp / "exposed.onnx", *command, "-o", tmp / "y.npz")
    mine = np.load(tmp / "y.npz")
    differ = {n: int((mine[n] != outputs["int8"][n][:count]).sum()) for n in names}
    top1 = {n: float((outputs[n + "_first"].reshape(len(labels), -1).argmax(1) == labels).mean())
            for n in ("fp32", "int8")}

    def agreement(a, b):
        return 100 * float((a.reshape(len(a), -1).argmax(1) == b.reshape(len(b), -1).argmax(1)).mean())

    return [f"{100 * seen['fp32'][0]:.2f} / {100 * top1['fp32']:.2f}",
            f"{100 * seen['int8'][0]:.2f} / {100 * top1['int8']:.2f}",
            f"{agreement(seen['fp32'][1], seen['int8'][1]):.1f} / {sqnr(seen['fp32'][1], seen['int8'][1]):.1f}",
            f"{agreement(outputs['fp32_first'], outputs['int8_first']):.1f} / "
            f"{sqnr(outputs['fp32_first'], outputs['int8_first']):.1f}",
            f"{differ[names[-1]] if names else '-'} ({sum(differ.values())} in all {len(names)})",
            f"{model.stat().st_size / 1e3:.0f} / {quantized.stat().st_size / 1e3:.0f}",
            str(took)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lapidary")
    parser.add_argument("assets")
    parser.add_argument("--models", default="", help="names as models.py has them; default: all that have labels")
    parser.add_argument("--option", action="append", default=[], help="passed to lapidary quantize")
    args = parser.parse_args()
    wanted = [m for m in args.models.split(",") if m]
    table = models.table(args.assets, None)
    if unknown := set(wanted) - set(table):
        parser.error(f"no model is called {', '.join(sorted(unknown))}; there are {', '.join(table)}")
    print("| model | FP32 top-1 Lapidary / ORT | INT8 top-1 Lapidary / ORT | Lapidary agreement % / SQNR dB | "
          "ORT agreement % / SQNR dB | differing integers in the last tensor | kB FP32 / INT8 | wall s / CPU s / peak MB |")
    print("| --- " * 8 + "|", flush=True)
    for key, model in table.items():
        name = model.file.stem
        if wanted and key not in wanted or not model.evaluation:
            continue
        with tempfile.TemporaryDirectory() as folder:
            cells = row(args.lapidary, model.file, model.calib, model.evaluation, args.option, Path(folder))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
