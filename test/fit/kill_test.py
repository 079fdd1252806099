"""Kills a training run with SIGKILL at random moments, resumes it each time, and compares its last checkpoint with
that of a run that nobody disturbed: the same tensors, byte for byte.

usage: kill_test.py TEST_FIT
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import time

MOST_RUNS = 200


def start(program, checkpoint):
    return subprocess.Popen([program, "--gtest_filter=FitTest.GoesOnFromWhateverIsThere"], stdout=subprocess.DEVNULL,
                            env={**os.environ, "LAPIDARY_FIT_CHECKPOINT": checkpoint, "TMPDIR": os.path.dirname(checkpoint)})


def tensors(path):
    """Header entries and data; the metadata hold times, which differ."""
    raw = open(path, "rb").read()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    progress = json.loads(header.pop("__metadata__")["progress"])
    return header, raw[8 + size :], [epoch["loss"] for epoch in progress["epochs"]]


def main():
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = os.path.join(folder, "whole"), os.path.join(folder, "killed")
        began = time.monotonic()
        assert start(sys.argv[1], whole).wait() == 0
        seconds = time.monotonic() - began
        rng, kills = random.Random(1), 0
        for _ in range(MOST_RUNS):
            run = start(sys.argv[1], killed)
            try:
                assert run.wait(timeout=rng.uniform(0, 0.5) * seconds) == 0
                break
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
                kills += 1
        else:
            sys.exit(f"not at its end after {MOST_RUNS} runs")
        print(f"{kills} kills")
        if kills == 0 or tensors(whole) != tensors(killed):
            sys.exit("the resumed run ended differently" if kills else "nothing was killed")


main()
