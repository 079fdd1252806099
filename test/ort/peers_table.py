#!/usr/bin/env python3
"""The table of docs/performance.md: Lapidary beside ONNX Runtime, OpenVINO and LiteRT, in turn in one run.

usage: peers_table.py LAPIDARY ASSETS OUT [--resnets FOLDER] [--tflite-dir FOLDER] [--only NAME,...]
                      [--threads 1,2] [--batches 1,8,32] [--seconds 2]

Every model of models.py is quantized by Lapidary (OUT/int8/NAME.onnx, made once); that same file goes to every
engine that reads ONNX. LiteRT runs FOLDER/NAME.int8.tflite and NAME.f32.tflite where they are (to_tflite.py), at
batch 1. OUT/peers.json holds all that was ever measured into it, so models may be run one at a time; OUT/peers.md
is written from it. The engines are the Python packages of $LAPIDARY_PYTHON or of this Python.
"""
import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import models

ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "openvino-f32": "OpenVINO f32",
           "openvino-bf16": "OpenVINO bf16", "litert": "LiteRT", "lapidary": "Lapidary FP32"}


class Bench:
    def __init__(self, args):
        self.args = args
        self.environment = dict(os.environ)
        self.environment.setdefault("LAPIDARY_PYTHON", sys.executable)

    def lapidary(self, *command):
        return subprocess.run([self.args.lapidary, *map(str, command)], capture_output=True, text=True,
                              env=self.environment)

    def quantized(self, name, model):
        file = self.args.out / "int8" / f"{name}.onnx"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            done = self.lapidary("quantize", model.file, "-o", file, "--calib", model.calib, "--no-bench")
            if done.returncode:
                raise RuntimeError(f"{name} is not quantized: {done.stderr.strip()[-300:]}")
        return file

    def versus(self, file, batch, peers):
        """(rows of `bench --json`, why engines were left out)"""
        left_out = {}
        while True:
            command = ["bench", file, "--json", "-q", "--threads", self.args.threads, "--seconds",
                       self.args.seconds]
            if batch != 1:
                command += ["--batch", batch]
            if peers:
                command += ["--versus", ",".join(peers)]
            done = self.lapidary(*command)
            if done.returncode == 0:
                return json.loads(done.stdout)["latency_ms"], left_out
            refused = re.search(r"([\w-]+) cannot run here: (.*)", done.stderr)
            if done.returncode == 4 and refused:
                gone = [p for p in peers if p.split("=")[0] == refused[1]]
                if gone:
                    left_out[refused[1]] = refused[2][:200]
                    peers = [p for p in peers if p not in gone]
                    continue
            raise RuntimeError(done.stderr.strip()[-300:])

    def peers(self, name, precision, batch, fp32):
        out = ["onnxruntime"]
        out += ["openvino"] if precision == "INT8" else ["openvino-f32", "openvino-bf16"]
        kind = "int8" if precision == "INT8" else "f32"
        tflite = Path(self.args.tflite_dir or "/nonexistent") / f"{name}.{kind}.tflite"
        if batch == 1 and tflite.exists():
            out.append(f"litert={tflite}")
        if precision == "INT8":  # is the integer file the faster one?
            out.append(f"lapidary={fp32}")
        return out


def measured(bench, name, model, precision, batch):
    file = bench.quantized(name, model) if precision == "INT8" else model.file
    rows, left_out = bench.versus(file, batch, bench.peers(name, precision, batch, model.file))
    out = []
    for row in rows:
        engines = {e["engine"]: {"ms": e["median"], "speedup": e["speedup"], "version": e["version"]}
                   for e in row.get("versus", [])}
        out.append({"model": name, "precision": precision, "batch": batch, "threads": row["threads"],
                    "isa": row["isa"], "ms": row["median"],
                    "images_per_second": 1e3 * batch / row["median"], "engines": engines,
                    "left_out": left_out})
    return out


def against_ort(row, engine):
    """How many times faster than ONNX Runtime: a ratio of ratios to Lapidary's time in the same rounds."""
    ort = row["engines"].get("onnxruntime")
    if ort is None:
        return None
    return ort["speedup"] if engine == "own" else ort["speedup"] / row["engines"][engine]["speedup"]


def cell(row, engine):
    if engine != "own" and engine not in row["engines"]:
        return ""
    ms = row["ms"] if engine == "own" else row["engines"][engine]["ms"]
    ratio = against_ort(row, engine)
    text = f"{ms:.3g}" + (f" ({ratio:.2f})" if ratio is not None and engine != "onnxruntime" else "")
    others = [e for e in row["engines"] if e != "lapidary"]
    if engine == "own" and others and all(row["engines"][e]["speedup"] > 1 for e in others):
        text = f"**{text}**"
    return text


def markdown(data):
    machine = data["machine"]
    lines = [f"Measured on {machine['cpu']}, {machine['threads']} threads, {machine['isa']}, {machine['system']}; "
             f"Lapidary {machine['lapidary']}, "
             + ", ".join(f"{ENGINES[e]} {v}" for e, v in sorted(data["versions"].items())) + ".",
             "Median milliseconds of one inference; in brackets how many times faster than ONNX Runtime in the same "
             "rounds. Bold: Lapidary is ahead of every other engine of its row."]
    for precision in ("INT8", "FP32"):
        rows = [r for r in data["rows"] if r["precision"] == precision]
        if not rows:
            continue
        engines = [e for e in ENGINES if any(e in r["engines"] for r in rows)]
        lines += ["", f"### {precision}", "",
                  "| model | batch | threads | Lapidary | " + " | ".join(ENGINES[e] for e in engines) + " |",
                  "| --- | ---: | ---: | " + " | ".join("---:" for _ in range(len(engines) + 1)) + " |"]
        for r in rows:
            cells = [cell(r, e) for e in ["own", *engines]]
            lines.append(f"| {r['model']} | {r['batch']} | {r['threads']} | " + " | ".join(cells) + " |")
        left_out = sorted({f"{r['model']}: {ENGINES.get(e, e)}: {why}" for r in rows
                           for e, why in r["left_out"].items()})
        lines += ["", *[f"- left out: {text}" for text in left_out]] if left_out else []
    if data["refused"]:
        lines += ["", *[f"- not measured: {key}: {why}" for key, why in sorted(data["refused"].items())]]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lapidary")
    parser.add_argument("assets")
    parser.add_argument("out", type=Path)
    parser.add_argument("--resnets", help="folder of resnet18_random_fp32.onnx and resnet50_random_fp32.onnx")
    parser.add_argument("--tflite-dir")
    parser.add_argument("--only", default="")
    parser.add_argument("--precisions", default="INT8,FP32")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batches", default="1,8,32")
    parser.add_argument("--seconds", default="2", help="of each engine on each number of threads")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    store = args.out / "peers.json"
    data = json.loads(store.read_text()) if store.exists() else {}
    data = {"machine": {}, "versions": {}, "rows": [], "refused": {}, **data}
    bench = Bench(args)
    table = models.table(args.assets, args.resnets)
    wanted = args.only.split(",") if args.only else list(table)
    unknown = set(wanted) - set(table)
    if unknown:
        parser.error(f"no model is called {', '.join(sorted(unknown))}; there are {', '.join(table)}")
    data["machine"] = json.loads(bench.lapidary("doctor", "--json").stdout)
    for name in wanted:
        for precision in args.precisions.split(","):
            for batch in map(int, args.batches.split(",")):
                key = f"{name} {precision} batch {batch}"
                data["refused"].pop(key, None)
                try:
                    rows = measured(bench, name, table[name], precision, batch)
                except RuntimeError as error:
                    data["refused"][key] = str(error)
                    print(f"{key}: {error}", file=sys.stderr)
                    rows = []
                same = (name, precision, batch)
                data["rows"] = [r for r in data["rows"]
                                if (r["model"], r["precision"], r["batch"]) != same] + rows
                order = list(table)
                data["rows"].sort(key=lambda r: (order.index(r["model"]) if r["model"] in order else 99,
                                                 r["precision"], r["batch"], r["threads"]))
                for row in rows:
                    data["versions"].update({e: v["version"] for e, v in row["engines"].items()
                                             if e != "lapidary"})
                    print(f"{key}, {row['threads']} threads: {cell(row, 'own')} ms; " + ", ".join(
                        f"{e} {cell(row, e)}" for e in row["engines"]), flush=True)
                store.write_text(json.dumps(data, indent=1) + "\n")
                (args.out / "peers.md").write_text(markdown(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
