"""What the tests of the command line share: the program, a trained model, 64 pictures."""
import gzip
import os
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

LAPIDARY, SOURCE = os.path.abspath(sys.argv[1]), Path(sys.argv[2]).resolve()
FASHION = Path("/usr/share/datasets/fashion-mnist")


def run(*args, env=None, cwd=None, **kw):
    return subprocess.run([LAPIDARY, *map(str, args)], capture_output=True, text=True, timeout=240, cwd=cwd,
                          env={**os.environ, **(env or {})}, **kw)


def report_fields(value, path=""):
    """Every field of a report as docs/report.md writes it: `stages[].name`; maps with keys of their own end in `.*`."""
    if isinstance(value, dict) and path.split(".")[-1] in ("environment", "provenance", "metrics"):
        return {f"{path}.*"}
    if isinstance(value, dict):
        return set().union(*(report_fields(v, f"{path}.{k}" if path else k) for k, v in value.items()))
    if isinstance(value, list):
        return set().union(*(report_fields(v, f"{path}[]") for v in value)) or {f"{path}[]"}
    return {path}


def idx(path, array, dims):
    path.write_bytes(struct.pack(">BBBB", 0, 0, 8, len(dims)) + struct.pack(f">{len(dims)}I", *dims) + bytes(array))


class Fixture(unittest.TestCase):
    """The trained example model and 64 test images."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.tmp = Path(cls.folder.name)
        cls.model = SOURCE / "examples/fashion_mnist/fashion_resnet.onnx"
        with gzip.open(FASHION / "t10k-images-idx3-ubyte.gz") as f:
            pixels = f.read()[16:16 + 64 * 784]
        with gzip.open(FASHION / "t10k-labels-idx1-ubyte.gz") as f:
            labels = f.read()[8:8 + 64]
        idx(cls.tmp / "images", pixels, (64, 28, 28))
        idx(cls.tmp / "labels", labels, (64,))
        norm = "scale: 0.00392156862745098, mean: [0.286], std: [0.353]"
        cls.calib = f"{{kind: idx, path: {cls.tmp}/images, {norm}}}"
        cls.eval = f"{{kind: idx, path: {cls.tmp}/images, labels: {cls.tmp}/labels, {norm}}}"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def quantize(self, out, *more):
        return run("quantize", self.model, "-o", out, "--calib", self.calib, "--eval", self.eval, *more)
