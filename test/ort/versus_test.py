#!/usr/bin/env python3
"""bench --versus: both engines answer, the ratio is that of their times, and what cannot run says so.

usage: versus_test.py LAPIDARY MODEL
"""
import json
import os
import subprocess
import sys

lapidary, model = sys.argv[1:3]
environment = dict(os.environ, LAPIDARY_PYTHON=sys.executable)


def bench(*arguments):
    return subprocess.run([lapidary, "bench", model, "--seconds", "0.5", "--json", *arguments],
                          capture_output=True, text=True, env=environment)


done = bench("--threads", "1,2", "--versus", f"onnxruntime,lapidary={model}")
assert done.returncode == 0, done.stderr
rows = json.loads(done.stdout)["latency_ms"]
assert [row["threads"] for row in rows] == [1, 2], rows
for row in rows:
    assert row["median"] > 0 and row["runs"] > 0, row
    ort, own = row["versus"]
    assert (ort["engine"], own["engine"]) == ("onnxruntime", "lapidary"), row
    assert ort["version"].count(".") == 2 and ort["runs"] > 0, ort
    assert ort["median"] <= ort["p90"] <= ort["p99"], ort
    assert ort["speedup"] > 0 and own["speedup"] > 0, row
    if not (ort["median"] < row["median"]) == (ort["speedup"] < 1):
        print(f"medians and ratio of rounds disagree, as on a busy machine they may: {row}")

layers = json.loads(bench("--layers").stdout)["layers"]
assert any(layer["kernel"].startswith("conv_f32") and layer["gops"] > 0 for layer in layers), layers

unknown = bench("--versus", "tensorflow")
assert unknown.returncode == 2 and "onnxruntime" in unknown.stderr, unknown
absent = bench("--versus", f"onnxruntime={model}.absent")
assert absent.returncode == 6 and "cannot open" in absent.stderr, absent
foreign = bench("--versus", f"onnxruntime={__file__}")
assert foreign.returncode == 4 and "onnxruntime cannot run here" in foreign.stderr, foreign
no_python = subprocess.run([lapidary, "bench", model, "--versus", "onnxruntime"], capture_output=True,
                           text=True, env=dict(environment, LAPIDARY_PYTHON="/no/such/python"))
assert no_python.returncode == 6 and "/no/such/python" in no_python.stderr, no_python
