#!/usr/bin/env python3
"""Fails where a stored graph of examples/fashion_mnist is not what untrained.py beside it writes, or the trained classifier
was not trained from it.

usage: untrained.py FOLDER
"""
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx


def main():
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as made:
        subprocess.run([sys.executable, folder / "untrained.py", made], check=True)
        files = sorted(Path(made).iterdir())
        # Messages, not bytes: releases of protobuf may write them in another order.
        unlike = [f.name for f in files if onnx.load(f) != onnx.load(folder / f.name)]
    print(f"{len(files)} graphs, unlike what is stored: {', '.join(unlike) or 'none'}")
    begun = {p.key: p.value for p in onnx.load(folder / "fashion_resnet.onnx").metadata_props}["lapidary.sha256.model"]
    same = begun == hashlib.sha256((folder / "fashion_untrained.onnx").read_bytes()).hexdigest()
    print(f"the classifier was {'' if same else 'not '}trained from the graph beside it")
    return 1 if unlike or not files or not same else 0


if __name__ == "__main__":
    sys.exit(main())
