#!/usr/bin/env python3
"""Reads every #include and fails on an edge that the floor plan (CONTRIBUTING.md) does not allow.

usage: floors.py SOURCE_DIR
"""
import re
import sys
from pathlib import Path

# Box -> floor, and the public headers that it implements: they are files of the box like any other. A file
# may include its own box and boxes of lower floors; boxes of one floor are strangers to each other.
BOXES = {
    "src/base": (0, "error export log named runtime tensor"),
    "src/ir": (1, "graph ranks trainer"),
    "kernels": (1, ""),
    "src/ops": (2, "ops"),
    "src/passes": (2.5, "passes"),
    "src/exec": (3, "exec"),
    "src/onnx": (3, "model_io"),
    "src/data": (3, "arrays data"),
    "calibrate": (4, "calibrate"),
    "quantize": (5, "binarize compress qat"),
    "prune": (5, "prune sparsify"),
    "distill": (5, "distill"),
    "src/factorize": (5, "factorize"),
    "src/fit": (5, "train"),
    "src/train": (5, ""),
    "src/pipeline": (6, "bench evaluate recipe report"),
    "include/lapidary/lapidary.h": (6.5, ""),
    "tools": (7, ""),
    "examples": (7, ""),
    "test": (8, ""),
}
# Programs as strangers would write them: of Lapidary they may include public headers only.
STRANGERS = ("examples/", "test/consumer/")
# A library's headers -> the files, or folders (with a slash), that may include them. A header that is neither
# the C++ library's (no dot, no slash) nor listed here has no home at all.
FENCES = {
    r"(onnx|google/protobuf)/": ["src/onnx/", "test/onnx/"],
    r"yaml-cpp/": ["src/pipeline/yaml.cc"],
    r"CLI/": ["tools/cli.h"],
    r"(torch|ATen|c10)/": ["src/train/"],
    r"malloc\.h$": ["src/train/engine.cc"],
    r"nlohmann/": ["src/data/tokens.cc", "calibrate/statistics_file.cc", "src/fit/", "src/pipeline/", "tools/",
                   "test/pipeline/"],
    r"fmt/": ["src/", "calibrate/", "quantize/", "prune/", "distill/", "tools/", "test/"],
    r"Eigen/": ["src/factorize/", "calibrate/hessian.cc", "quantize/", "prune/"],
    r"omp\.h$": ["src/base/parallel.cc"],
    r"(jpeglib|jerror)\.h$": ["src/data/jpeg.cc"],
    r"png\.h$": ["src/data/png.cc"],
    r"zlib\.h$": ["src/data/inflate.cc", "src/data/deflate.cc", "src/data/npz.cc", "test/data/"],
    r"dlfcn\.h$": ["src/fit/open_trainer.cc"],
    r"(immintrin|arm_neon)\.h$": ["kernels/simd.h", "kernels/simd_neon.h", "src/base/sha256.cc"],
    r"(gtest|gmock)/": ["test/"],
    r"(fcntl|fnmatch|netdb|poll|sched|signal|spawn|unistd)\.h$|(sys|linux|arpa)/": [
        "src/base/", "src/data/", "src/onnx/", "src/ops/evaluate.cc", "src/pipeline/", "tools/", "test/"],
}
OPENMP = ["src/base/parallel.cc"]  # whose threads everything uses
SOURCES = {".h", ".cc", ".def"}
OTHER_SOURCES = {".c", ".cpp", ".cxx", ".c++", ".hh", ".hpp", ".hxx", ".h++", ".inc", ".inl", ".ipp", ".tpp"}
DIRECTIVE = re.compile(r"^\s*#\s*include(?:_next)?\b\s*(.*)")
LITERAL = re.compile(r'([<"])([^>"]+)[>"]')
PRAGMA = re.compile(r"^\s*#\s*pragma\s+omp\b")


def box_of(path):
    """The box that a path from the tree's root belongs to, None where the plan has none."""
    public = re.fullmatch(r"(?:include/)?lapidary/(\w+)\.h", path)
    if public:
        for box, (_, headers) in BOXES.items():
            if public[1] in headers.split():
                return box
        path = f"include/lapidary/{public[1]}.h"
    found = [box for box in BOXES if path == box or path.startswith(box + "/")]
    return max(found, key=len) if found else None


def at_home(path, homes):
    return any(path == home or home.endswith("/") and path.startswith(home) for home in homes)


def tree_path(source, target):
    """What `target` names in this tree; None: a header of others."""
    if target.startswith("lapidary/"):
        return "include/" + target
    top = target.split("/")[0]
    return target if "/" in target and (source / top).is_dir() and not fence_of(target) else None


def fence_of(target):
    return next((homes for pattern, homes in FENCES.items() if re.match(pattern, target)), None)


def foreign(path, kind, target):
    """What is wrong with a header that is not of this tree."""
    homes = fence_of(target)
    if homes is None:
        if kind == '"':
            return f"{target} is no path from the root of the tree"
        if re.search(r"[./]", target):
            return f"{target} is of a library that no fence names"
        return None
    if path.startswith("include/"):
        return f"a third-party header in a public one: {target}"
    return None if at_home(path, homes) else f"{target} is only for {', '.join(homes)}"


def own(path, box, target):
    """What is wrong with including `target`, a path from the root."""
    public = target.startswith("include/lapidary/")
    if path.startswith("include/") and not public:
        return f"a private header in a public one: {target}"
    if path.startswith(STRANGERS) and not public:
        return f"a private header in a program of strangers: {target}"
    target_box = box_of(target)
    if target_box is None:
        return f"{target} is of no box of the plan"
    floor, target_floor = BOXES[box][0], BOXES[target_box][0]
    if target_box == box or target_floor < floor:
        return None
    way = "upward" if target_floor > floor else "sideways"
    return f"{way}: {box} (floor {floor}) includes {target} of {target_box} (floor {target_floor})"


def problem_of(source, path, box, line):
    if PRAGMA.match(line) and not at_home(path, OPENMP):
        return f"OpenMP is only for {', '.join(OPENMP)}"
    directive = DIRECTIVE.match(line)
    if not directive:
        return None
    literal = LITERAL.match(directive[1])
    if not literal:
        return "an #include that is no literal cannot be checked"
    kind, target = literal.groups()
    if any(part in ("..", ".", "") for part in target.split("/")):
        return f"a relative #include: {target}; write the path from the root of the tree"
    mine = tree_path(source, target)
    return own(path, box, mine) if mine else foreign(path, kind, target)


def check(source):
    """Problems as sentences, and how many files were read."""
    problems, count = [], 0
    for file in sorted(source.rglob("*")):
        path = file.relative_to(source).as_posix()
        if path.startswith((".", "build", "out")) or not file.is_file():  # what .gitignore names
            continue
        if path == "test/ort/without_vnni.c":  # C, preloaded into another engine's process
            continue
        if file.suffix in OTHER_SOURCES:
            problems.append(f"{path}: C++ files are called .h, .cc or .def here")
        if file.suffix not in SOURCES:
            continue
        count += 1
        box = box_of(path)
        if box is None:
            problems.append(f"{path}: of no box of the plan; test/checks/floors.py lists them")
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if problem := problem_of(source, path, box, line):
                problems.append(f"{path}:{number}: {problem}")
    return problems, count


def main():
    problems, count = check(Path(sys.argv[1]))
    print(*problems, f"{count} files, {len(problems)} problems", sep="\n")
    return 1 if problems or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
