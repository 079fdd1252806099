#!/usr/bin/env python3
"""Calibration beside plain inference: the same images, the same threads, in turn.

usage: calibration_speed.py LAPIDARY ASSETS [--only resnet20,mobilenet_v2] [--threads 1,2] [--rounds 7]

Times the processes `lapidary calibrate` (every statistic: ranges, histograms, sums) and `lapidary eval` (FP32) on the
calibration images of models.py, reading and decoding included, and prints the ratio of the medians.
"""
import argparse
import statistics
import subprocess
import sys
import tempfile
import time

import models


def seconds(command):
    begin = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lapidary")
    parser.add_argument("assets")
    parser.add_argument("--only", default="resnet20,mobilenet_v2")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    table = models.table(args.assets, None)
    print("| model | threads | calibrate, s | eval, s | calibrate / eval |")
    print("| --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only.split(","):
            model = table[name]
            for threads in map(int, args.threads.split(",")):
                common = ["-q", "--threads", threads]
                calibrate = [args.lapidary, "calibrate", model.file, "--data", model.calib, "-o", f"{folder}/stats",
                             *common]
                evaluate = [args.lapidary, "eval", model.file, "--data", model.calib, *common]
                times = {"calibrate": [], "eval": []}
                for _ in range(args.rounds):
                    times["calibrate"].append(seconds(calibrate))
                    times["eval"].append(seconds(evaluate))
                c, e = (statistics.median(times[k]) for k in ("calibrate", "eval"))
                print(f"| {name} | {threads} | {c:.2f} | {e:.2f} | {c / e:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
