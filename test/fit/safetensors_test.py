"""Reads a file that test_fit writes with nothing but numpy, and recomputes its digest.

usage: safetensors_test.py TEST_FIT
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I8": "i1", "U8": "u1", "BOOL": "?"}


def read(path):
    raw = open(path, "rb").read()
    size = int.from_bytes(raw[:8], "little")
    header, data = json.loads(raw[8 : 8 + size]), raw[8 + size :]
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, about in header.items():
        begin, end = about["data_offsets"]
        assert begin % np.dtype(TYPES[about["dtype"]]).itemsize == 0, f"{name} is not aligned"
        tensors[name] = np.frombuffer(data[begin:end], TYPES[about["dtype"]]).reshape(about["shape"])
    digest = metadata.pop("sha256")
    text = json.dumps({"__metadata__": metadata, **header}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert (8 + size) % 8 == 0
    assert hashlib.sha256(text.encode() + data).hexdigest() == digest, "digest"
    return tensors, metadata


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "t.safetensors")
    subprocess.run([sys.argv[1], "--gtest_filter=SafetensorsTest.WritesWhatItReads"], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, "LAPIDARY_SAFETENSORS_OUT": path})
    tensors, metadata = read(path)
expected = {
    "weights/1": np.array([[1.5, -0.25], [3e-30, 7]], "f4"), "steps": np.array(1 << 40),
    "mask": np.array([True, False, True]), "half": np.array([1], "f2"), "bytes": np.array([0, 128, 255], "u1"),
    "codes": np.array([-128, 127], "i1"), "none": np.zeros(0),
}
assert tensors.keys() == expected.keys(), tensors.keys()
for name, value in expected.items():
    assert tensors[name].dtype == value.dtype and np.array_equal(tensors[name], value), name
assert metadata == {"format": "test", "text": 'a "b" \n \u00e9'}, metadata
print("equal")
