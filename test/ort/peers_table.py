#!/usr/bin/env python3
"""The table of docs/performance.md: Lapidary beside ONNX Runtime, OpenVINO and LiteRT, in turn in one run.

usage: peers_table.py LAPIDARY ASSETS OUT [--resnets FOLDER] [--tflite-dir FOLDER] [--only NAME,...]
                      [--precisions INT8,FP32,BF16,FP16,S8] [--threads 1,2] [--batches 1,8,32] [--seconds 1]

Every model of models.py is quantized by Lapidary (OUT/int8/NAME.onnx, made once); that same file goes to every
engine that reads ONNX. FP32 and BF16 are the float file in either arithmetic, FP16 is the file with FP16 weights
(OUT/fp16/NAME.onnx), S8 the quantized one with int8 activations (OUT/s8/NAME.onnx). LiteRT runs FOLDER/NAME.int8.tflite and NAME.f32.tflite where they are (to_tflite.py), at
batch 1. OUT/peers.json holds all that was ever measured into it, so models may be run one at a time; OUT/peers.md
is written from it, unless its rows are of several machines or versions. The engines are the Python packages of $LAPIDARY_PYTHON or of this Python.
"""
import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import models

ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "openvino-f32": "OpenVINO f32",
           "openvino-bf16": "OpenVINO bf16", "litert": "LiteRT", "lapidary": "Lapidary FP32"}


@dataclass
class Precision:
    """A table: what is measured, beside what."""
    title: str
    peers: list
    make: list = None     # the command that makes the file; None: the float file itself
    options: list = ()    # of `bench`
    litert: str = None    # kind of LiteRT's file
    own: str = None       # Lapidary's own other file: "fp32" or another precision's name


PRECISIONS = {
    "INT8": Precision("INT8", ["onnxruntime", "openvino"], ["quantize", "--no-bench"], litert="int8", own="fp32"),
    "FP32": Precision("FP32", ["onnxruntime", "openvino-f32", "openvino-bf16"], litert="f32"),
    "BF16": Precision("BF16 (ONNX Runtime: FP32)", ["onnxruntime", "openvino-bf16"], options=["--bf16"], own="fp32"),
    "FP16": Precision("FP16 weights", ["onnxruntime"], ["fp16"], own="fp32"),
    "S8": Precision("INT8 with int8 activations", ["onnxruntime", "openvino"],
                    ["quantize", "--no-bench", "--activation-type", "int8"], own="INT8"),
}


class Bench:
    def __init__(self, args):
        self.args = args
        self.environment = dict(os.environ)
        self.environment.setdefault("LAPIDARY_PYTHON", sys.executable)

    def lapidary(self, *command):
        return subprocess.run([self.args.lapidary, *map(str, command)], capture_output=True, text=True,
                              env=self.environment)

    def file(self, name, model, precision):
        make = PRECISIONS[precision].make
        if make is None:
            return model.file
        file = self.args.out / precision.lower() / f"{name}.onnx"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            calib = ["--calib", model.calib] if make[0] == "quantize" else []
            done = self.lapidary(make[0], model.file, "-o", file, *calib, *make[1:])
            if done.returncode:
                raise RuntimeError(f"{name} is not made: {done.stderr.strip()[-300:]}")
        return file

    def versus(self, file, batch, peers, options):
        """(rows of `bench --json`, why engines were left out)"""
        left_out = {}
        while True:
            command = ["bench", file, "--json", "-q", "--threads", self.args.threads, "--seconds",
                       self.args.seconds, *options]
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

    def peers(self, name, model, precision, batch):
        what = PRECISIONS[precision]
        out = list(what.peers)
        tflite = Path(self.args.tflite_dir or "/nonexistent") / f"{name}.{what.litert}.tflite"
        if batch == 1 and tflite.exists():
            out.append(f"litert={tflite}")
        if what.own:  # is the file worth its name?
            out.append(f"lapidary={model.file if what.own == 'fp32' else self.file(name, model, what.own)}")
        return out


def measured(bench, name, model, precision, batch, machine):
    rows, left_out = bench.versus(bench.file(name, model, precision), batch,
                                  bench.peers(name, model, precision, batch), PRECISIONS[precision].options)
    out = []
    for row in rows:
        engines = {e["engine"]: {"ms": e["median"], "speedup": e["speedup"], "version": e["version"]}
                   for e in row.get("versus", [])}
        out.append({"model": name, "precision": precision, "batch": batch, "threads": row["threads"],
                    "isa": row["isa"], "ms": row["median"],
                    "images_per_second": 1e3 * batch / row["median"], "engines": engines,
                    "left_out": left_out, "machine": machine})
    return out


class Mixture(RuntimeError):
    """Rows that do not belong into one table."""


def origin(rows):
    """What all rows were measured on and with: the machine's fields, and each engine's version."""
    found = {}
    for row in rows:
        for field, value in row.get("machine", {"cpu": "unknown"}).items():
            found.setdefault(field, set()).add(value)
        for engine, result in row["engines"].items():
            found.setdefault(f"version of {ENGINES[engine]}", set()).add(result["version"])
    several = {field: sorted(values) for field, values in found.items() if len(values) > 1}
    if several:
        raise Mixture("measure the older rows anew: " + "; ".join(
            f"{field} is {' and '.join(values)}" for field, values in several.items()))
    return {field: values.pop() for field, values in found.items()}


def title(engine, what, machine):
    if engine == "lapidary" and what.own == "INT8":
        return "Lapidary, uint8 activations"
    emulated = engine == "openvino-bf16" and not has_bf16(machine)
    return ENGINES[engine] + (" (emulated)" if emulated else "")


def has_bf16(machine):
    return any("bf16" in isa for isa in machine["isa_usable"].split())


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
    machine = origin(data["rows"])
    versions = {e: machine[f"version of {t}"] for e, t in ENGINES.items() if f"version of {t}" in machine}
    lines = [f"Measured on {machine['cpu']}, {machine['threads']} threads, {machine['isa']}, {machine['system']}; "
             f"Lapidary {machine['lapidary']}, "
             + ", ".join(f"{ENGINES[e]} {v}" for e, v in sorted(versions.items()) if e != "lapidary") + ".",
             "Median milliseconds of one inference; in brackets how many times faster than ONNX Runtime, the median of "
             "the ratios in the same rounds. Bold: by these ratios, which may not be those of the medians beside "
             "them, Lapidary is ahead of every other engine of its row."]
    for precision, what in PRECISIONS.items():
        rows = [r for r in data["rows"] if r["precision"] == precision]
        if not rows:
            continue
        engines = [e for e in ENGINES if any(e in r["engines"] for r in rows)]
        titles = [title(e, what, machine) for e in engines]
        emulated = " (emulated)" if "--bf16" in what.options and not has_bf16(machine) else ""
        lines += ["", f"### {what.title}{emulated}", "",
                  "| model | batch | threads | Lapidary | " + " | ".join(titles) + " |",
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
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batches", default="1,8,32")
    parser.add_argument("--seconds", default="1", help="of each engine on each number of threads")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    store = args.out / "peers.json"
    data = json.loads(store.read_text()) if store.exists() else {}
    data = {"rows": [], "refused": {}} | {key: data[key] for key in ("rows", "refused") if key in data}
    bench = Bench(args)
    table = models.table(args.assets, args.resnets)
    wanted = args.only.split(",") if args.only else list(table)
    unknown = set(wanted) - set(table)
    if unknown:
        parser.error(f"no model is called {', '.join(sorted(unknown))}; there are {', '.join(table)}")
    machine = json.loads(bench.lapidary("doctor", "--json").stdout)
    machine = {field: machine[field] for field in ("lapidary", "cpu", "isa", "isa_usable", "threads", "system")}
    for name in wanted:
        for precision in args.precisions.split(","):
            for batch in map(int, args.batches.split(",")):
                key = f"{name} {precision} batch {batch}"
                data["refused"].pop(key, None)
                try:
                    rows = measured(bench, name, table[name], precision, batch, machine)
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
                    print(f"{key}, {row['threads']} threads: {cell(row, 'own')} ms; " + ", ".join(
                        f"{e} {cell(row, e)}" for e in row["engines"]), flush=True)
                store.write_text(json.dumps(data, indent=1) + "\n")
    try:
        (args.out / "peers.md").write_text(markdown(data))
    except Mixture as mixture:
        print(f"peers.md is not written: {mixture}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
