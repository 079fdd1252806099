#!/usr/bin/env python3
"""The table of docs/quantization.md: every labelled classifier of an assets folder, FP32 and INT8, in Lapidary
and in ONNX Runtime on the same files and samples.

usage: ptq_table.py LAPIDARY ASSETS [--models NAME,...] [--option=--calibrator=entropy]...
Prints a Markdown table: top-1 of FP32 and INT8 in both engines, agreement and SQNR against FP32, the number of
differing values in the last integer tensor, file sizes, and seconds of the quantization.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx

import ort

FASHION = "/usr/share/datasets/fashion-mnist"


def records(assets):
    """Model file -> (calibration record, evaluation record)."""
    cifar = f"{assets}/data/cifar10"
    unit = "scale: 0.00392156862745098"
    cifar_norm = f"{unit}, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]"
    fashion_norm = f"{unit}, mean: [0.286], std: [0.353]"
    half = "scale: 0.00784313725490196, mean: [1.0], std: [1.0]"
    calib200, val500 = f"{assets}/data/imagenet_calib200", f"{assets}/data/imagenet_val500"
    labels = "labels: {}/labels.csv, label_column: class_index"

    def cifar10(norm):
        return (f"{{kind: cifar10, path: {cifar}/data_batch_1.bin, limit: 512, {norm}}}",
                f"{{kind: cifar10, path: {cifar}/test_batch.bin, {norm}}}")

    def imagenet(norm):
        size = "resize: 256, crop: 224"
        return (f"{{kind: images, path: {calib200}, {labels.format(calib200)}, {size}, {norm}}}",
                f"{{kind: images, path: {val500}, {labels.format(val500)}, {size}, {norm}}}")

    fashion = (f"{{kind: idx, path: {FASHION}/train-images-idx3-ubyte.gz, limit: 512, {fashion_norm}}}",
               f"{{kind: idx, path: {FASHION}/t10k-images-idx3-ubyte.gz, "
               f"labels: {FASHION}/t10k-labels-idx1-ubyte.gz, {fashion_norm}}}")
    vww = (f"kind: raw, path: {assets}/data/vww256/images_u8_256x96x96x3.bin, shape: [96, 96, 3], dtype: u8, "
           f"layout: nhwc, labels: {assets}/data/vww256/labels.csv, label_column: person, {unit}")
    return {
        "resnet20_cifar10_fp32": cifar10(cifar_norm),
        "resnet56_cifar10_fp32": cifar10(cifar_norm),
        "resnet8_mlperftiny_cifar10_fp32": cifar10("scale: 1.0"),
        "mobilenet_v2_1.0_224_imagenet_deq_fp32": imagenet(half),
        "mobilenet_v1_0.25_224_imagenet_fp32": imagenet(half),
        "squeezenet_imagenet_fp32": imagenet("channels: bgr, mean: [103.94, 116.78, 123.68]"),
        "tiny_darknet_imagenet_fp32": imagenet(unit),
        "vww_mobilenetv1_025_96_fp32": (f"{{{vww}, limit: 128}}", f"{{{vww}, skip: 128}}"),
        "fmnist_dscnn_fp32": fashion,
        "fmnist_vit_fp32": fashion,
    }


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
    start = time.time()
    run("quantize", model, "-o", quantized, "--calib", calib, *options)
    seconds = time.time() - start
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
            f"{seconds:.1f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lapidary")
    parser.add_argument("assets")
    parser.add_argument("--models", default="")
    parser.add_argument("--option", action="append", default=[], help="passed to lapidary quantize")
    args = parser.parse_args()
    wanted = [m for m in args.models.split(",") if m]
    print("| model | FP32 top-1 Lapidary / ORT | INT8 top-1 Lapidary / ORT | Lapidary agreement % / SQNR dB | "
          "ORT agreement % / SQNR dB | differing integers in the last tensor | kB FP32 / INT8 | s |")
    print("| --- " * 8 + "|", flush=True)
    for name, (calib, evaluation) in records(args.assets).items():
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            model = Path(args.assets) / "models" / f"{name}.onnx"
            cells = row(args.lapidary, model, calib, evaluation, args.option, Path(folder))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
