#!/usr/bin/env python3
"""What quantizing MobileNetV2 costs: Lapidary beside the quantizers of ONNX Runtime and onnxsim, each a process of
its own.

usage: quantize_cost.py LAPIDARY ASSETS [--pictures 200,400] [--rounds 3] [--threads 2] [--python PYTHON]
Prints a Markdown table of wall seconds / CPU seconds / peak MB: of the rounds, in which the tools take turns, the one
of the least wall time. The pictures are those of data/imagenet_calib200, again from the first where more are asked
for. Lapidary decodes them; the Python quantizers read, one at a time, the arrays that Lapidary made of them, which
leaves decoding out of their time. They run where PYTHON (default: this one) has them: packages onnxruntime and
ml_dtypes; onnx and onnxsim.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cost
import models

# Lapidary's settings: the float ranges that were seen and no more, what it does by default, all that it can do.
SETTINGS = {
    "min-max, no bias correction": ["--calibrator", "minmax", "--bias-correction", "off", "--equalize", "off"],
    "default": [],
    "everything": ["--calibrator", "auto", "--weight-calibrator", "mse"],
}


class Reader:
    """The rows of an array file as batches of one, read one at a time."""

    def __init__(self, name, file):
        import numpy as np
        self.name, self.np = name, np
        self.file = open(file, "rb")
        np.lib.format.read_magic(self.file)
        shape, _, self.dtype = np.lib.format.read_array_header_1_0(self.file)
        self.shape, self.left = shape[1:], shape[0]

    def get_next(self):
        if self.left == 0:
            return None
        self.left -= 1
        row = self.np.fromfile(self.file, self.dtype, int(self.np.prod(self.shape)))
        return {self.name: row.reshape((1, *self.shape))}

    def __iter__(self):
        return iter(self.get_next, None)


def with_onnxruntime(model, out, reader):
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
    from onnxruntime.quantization import quantize_static
    CalibrationDataReader.register(Reader)
    quantize_static(model, out, reader, quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8, per_channel=True, calibrate_method=CalibrationMethod.MinMax)


def with_onnxsim(model, out, reader):
    import onnx
    import onnxsim
    onnx.save(onnxsim.quantize_static(model, list(reader), method="minmax", full_graph=True), out)


# Module -> how its row is called, and what runs it.
PEERS = {"onnxruntime.quantization": ("ONNX Runtime quantize_static, min-max", with_onnxruntime),
         "onnxsim": ("onnxsim quantize_static(full_graph), min-max", with_onnxsim)}


def has(python, module):
    done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True)
    if done.returncode:
        print(f"left out: {module}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    return done.returncode == 0


def gather(folder, count, into):
    """`count` pictures of a folder by name, again from the first where it has fewer."""
    into.mkdir()
    pictures = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    for i in range(count):
        source = pictures[i % len(pictures)]
        shutil.copy(source, into / f"{i:05}{source.suffix.lower()}")


def commands(args, model, count, tmp):
    """Tool -> the command that quantizes the model with so many pictures."""
    folder = tmp / f"pictures_{count}"
    gather(Path(args.assets) / "data/imagenet_calib200", count, folder)
    calib = (f"{{kind: images, path: {folder}, resize: 256, crop: 224, scale: 0.00784313725490196, mean: [1.0], "
             "std: [1.0]}")
    out = tmp / "quantized.onnx"
    found = {f"Lapidary, {name}": [args.lapidary, "quantize", model, "-o", out, "--calib", calib, "--no-bench", "-q",
                                   "--threads", args.threads, *options]
             for name, options in SETTINGS.items()}
    done = subprocess.run([args.lapidary, "inspect", model, "--json"], check=True, capture_output=True, text=True)
    name = json.loads(done.stdout)["inputs"][0].split()[0]
    subprocess.run([args.lapidary, "samples", model, "--data", calib, "-o", tmp / "x.npz", "-q"], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.unpack_archive(tmp / "x.npz", tmp / f"arrays_{count}", "zip")
    (tmp / "x.npz").unlink()
    array = tmp / f"arrays_{count}" / f"{name}.npy"
    for peer, (title, _) in PEERS.items():
        if has(args.python, peer):
            found[title] = [args.python, __file__, "--peer", peer, model, out, name, array]
    return found


def main():
    if sys.argv[1:2] == ["--peer"]:
        peer, model, out, name, array = sys.argv[2:]
        PEERS[peer][1](model, out, Reader(name, array))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lapidary")
    parser.add_argument("assets")
    parser.add_argument("--pictures", default="200,400")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", default="2", help="of Lapidary, and of NumPy's and OpenMP's pools in the others")
    parser.add_argument("--python", default=sys.executable, help="whose packages are the other quantizers")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = args.threads
    model = models.table(args.assets, None)["mobilenet_v2"].file
    counts = [int(count) for count in args.pictures.split(",")]
    best = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            tools = commands(args, model, count, Path(folder))
            for _ in range(args.rounds):
                for tool, command in tools.items():
                    seen = cost.measured(command)
                    kept = best.setdefault(tool, {}).get(count)
                    best[tool][count] = seen if kept is None or seen.wall < kept.wall else kept
    print("| wall s / CPU s / peak MB | " + " | ".join(f"{count} pictures" for count in counts) + " |")
    print("| --- " * (len(counts) + 1) + "|")
    for tool, found in best.items():
        print(f"| {tool} | " + " | ".join(str(found[count]) for count in counts) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
