#!/usr/bin/env python3
"""Reads every #include and fails on an edge that the floor plan (CONTRIBUTING.md) does not allow.

usage: floors.py SOURCE_DIR
"""
import re
import sys
from pathlib import Path

# Box (folder prefix) -> floor. A box may include its own files and boxes of lower floors.
FLOORS = {
    "src/base": 0, "src/ir": 1, "kernels": 1, "src/ops": 2, "src/passes": 2.5, "src/exec": 3,
    "src/onnx": 3, "src/data": 3, "calibrate": 4, "quantize": 5, "prune": 5, "distill": 5,
    "src/factorize": 5, "src/train": 5, "src/pipeline": 6, "tools": 7, "examples": 7,
}
# Public headers belong to the floor of the box that implements them.
PUBLIC = {
    "error": 0, "export": 0, "log": 0, "tensor": 0, "graph": 1, "ops": 2, "passes": 2.5, "exec": 3,
    "model_io": 3, "data": 3, "calibrate": 4, "compress": 5, "evaluate": 6, "report": 6, "recipe": 6,
    "lapidary": 7,
}
# Headers of a library -> the only places that may include them.
FENCES = [
    (re.compile(r"^(onnx/|google/protobuf/)"), ("src/onnx",)),
    (re.compile(r"^yaml-cpp/"), ("src/pipeline/yaml",)),
    (re.compile(r"^CLI/"), ("tools",)),
    (re.compile(r"^torch/|^ATen/|^c10/"), ("src/train",)),
    (re.compile(r"^(jpeglib|png|zlib)\.h"), ("src/data",)),
    (re.compile(r"^immintrin\.h|^arm_neon\.h"), ("kernels", "calibrate/scan")),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def box_of(path):
    found = [box for box in FLOORS if path == box or path.startswith(box + "/")]
    return max(found, key=len) if found else None


def floor_of_include(target):
    if target.startswith("lapidary/"):
        return PUBLIC.get(Path(target).stem), None
    box = box_of(target)
    return (FLOORS[box], box) if box else (None, None)


def check(source):
    problems = []
    files = [p for pattern in ("*.h", "*.cc") for p in source.rglob(pattern)]
    for file in sorted(files):
        relative = file.relative_to(source).as_posix()
        public = relative.startswith("include/lapidary/")
        box = box_of(relative)
        if not public and box is None:
            continue
        floor = PUBLIC.get(file.stem) if public else FLOORS[box]
        if floor is None:
            problems.append(f"{relative}: a public header that test/checks/floors.py does not list")
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            kind, target = match.groups()
            where = f"{relative}:{number}"
            for pattern, homes in FENCES:
                if pattern.match(target) and not relative.startswith(homes):
                    problems.append(f"{where}: {target} is only for {', '.join(homes)}")
            if public and kind == "<" and "/" in target:
                problems.append(f"{where}: a third-party header in a public one: {target}")
            if public and kind == '"' and not target.startswith("lapidary/"):
                problems.append(f"{where}: a private header in a public one: {target}")
            target_floor, target_box = floor_of_include(target)
            if target_floor is None or target_box == box and target_box is not None:
                continue
            sideways = target_floor == floor and target_box is not None and not public
            if target_floor > floor or sideways:
                problems.append(f"{where}: floor {floor} includes {target} of floor {target_floor}")
    return problems, len(files)


def main():
    problems, count = check(Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    print(f"{count} files, {len(problems)} problems")
    return 1 if problems or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
