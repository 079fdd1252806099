"""What the tests of several processes share: starting them as torchrun does, and reading what they made."""
import gzip
import json
import os
import socket
import struct
import subprocess

from fixture import FASHION, LAPIDARY, Fixture, idx, run

NORM = "scale: 0.00392156862745098, mean: [0.286], std: [0.353]"
COUNT = 160
BATCH = 32


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Group:
    """Processes of one command, each in a folder of its own, so that what each of them writes is told apart."""

    def __init__(self, folders, *args, address="127.0.0.1", prefix=lambda rank: [], env=None):
        base = {**os.environ, "WORLD_SIZE": str(len(folders)), "MASTER_ADDR": address, "MASTER_PORT": str(free_port()),
                "LAPIDARY_RANK_TIMEOUT": "120", **(env or {})}
        self.processes = [
            subprocess.Popen([*prefix(rank), LAPIDARY, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, cwd=folder, env={**base, "RANK": str(rank)})
            for rank, folder in enumerate(folders)]

    def wait(self, timeout=240):
        """(exit codes, outputs, errors) by rank. Processes that do not end are killed, and fail the test."""
        try:
            said = [p.communicate(timeout=timeout) for p in self.processes]
        finally:
            for p in self.processes:
                p.kill()
        return [p.returncode for p in self.processes], [s[0] for s in said], [s[1] for s in said]


def unavailable():
    """Why several processes cannot train here, or nothing."""
    alone = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_PORT": str(free_port()), "LAPIDARY_RANK_TIMEOUT": "1"}
    said = run("calibrate", "x", "--data", "x", "-o", "y", env=alone).stderr
    return said if "built without" in said else ""


def losses(report):
    """The mean loss of each step."""
    return [interval["loss"] for interval in json.loads(report)["trainings"][0]["intervals"]]


def _fields(data):
    """(number, value) of a protobuf message: numbers, and bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or varint()
            yield key >> 3, data[at:at + size]
            at += size


def initializers(path):
    """Name -> numbers of the float32 (1), uint8 (2), int8 (3) and int32 (6) initializers of an ONNX file, raw ones."""
    graph, = (value for number, value in _fields(path.read_bytes()) if number == 7)  # ModelProto.graph
    out = {}
    for number, value in _fields(graph):
        if number != 5:  # GraphProto.initializer
            continue
        tensor = dict(_fields(value))  # 2: data_type, 8: name, 9: raw_data
        code = {1: "f", 2: "B", 3: "b", 6: "i"}.get(tensor[2])
        if code and 9 in tensor:
            raw = tensor[9]
            out[tensor[8].decode()] = struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", raw)
    return out


class RanksFixture(Fixture):
    """COUNT training pictures; their own folder for each rank."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with gzip.open(FASHION / "train-images-idx3-ubyte.gz") as f:
            idx(cls.tmp / "train", f.read(16 + COUNT * 784)[16:], (COUNT, 28, 28))
        with gzip.open(FASHION / "train-labels-idx1-ubyte.gz") as f:
            idx(cls.tmp / "train_labels", f.read(8 + COUNT)[8:], (COUNT,))
        cls.train = f"{{kind: idx, path: {cls.tmp}/train, labels: {cls.tmp}/train_labels, {NORM}, augment: [{{flip: 0.5}}]}}"
        cls.made = 0

    def folders(self, count):
        """Empty ones."""
        type(self).made += 1
        out = [self.tmp / f"{self.made}" / f"rank{rank}" for rank in range(count)]
        for folder in out:
            folder.mkdir(parents=True)
        return out

    def training(self, verb, *more, **settings):
        """A short training run into out.onnx."""
        settings = {"batch": BATCH, "epochs": 1, "log_every": 1, "threads": 1, "lr": 0.01, **settings}
        options = [word for key, value in settings.items() for word in ("--" + key.replace("_", "-"), value)]
        return [verb, self.model, "-o", "out.onnx", "--train", self.train, "--eval", self.eval, "--no-bench", "--json", *options,
                *more]

    def assert_losses(self, got, expected, tolerance):
        self.assertEqual(len(got), len(expected))
        for step, (a, b) in enumerate(zip(got, expected)):
            self.assertLessEqual(abs(a - b), tolerance * abs(b), f"step {step + 1}: {a}, expected {b}")

    def assert_same_model(self, path, expected_path, tolerance):
        """Every number within `tolerance` of the largest in its tensor, integers within 1 at least."""
        got, expected = initializers(path), initializers(expected_path)
        self.assertEqual(got.keys(), expected.keys())
        self.assertGreater(len(got), 20)
        for name, values in expected.items():
            limit = max(tolerance * max(map(abs, values)), 0 if isinstance(values[0], float) else 1)
            apart = max(abs(a - b) for a, b in zip(got[name], values))
            self.assertLessEqual(apart, limit, name)
