#!/usr/bin/env python3
"""floors.py finds each kind of violation, and nothing in a tree without one."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import floors  # noqa: E402

# A file, its text, and what the one problem says.
VIOLATIONS = [
    ("src/base/a.h", '#include "src/ir/graph.h"', "upward: src/base"),
    ("src/base/a.h", '#include "lapidary/graph.h"', "upward: src/base"),
    ("kernels/a.h", '#include "src/ir/graph.h"', "sideways: kernels"),
    ("src/exec/a.cc", '#include "src/onnx/proto.h"', "sideways: src/exec"),
    ("src/exec/a.cc", '#include "lapidary/model_io.h"', "sideways: src/exec"),
    ("src/exec/a.cc", "#include <lapidary/data.h>", "sideways: src/exec"),
    ("src/exec/a.cc", "#include <src/onnx/proto.h>", "sideways: src/exec"),
    ("src/pipeline/a.cc", '#include "lapidary/lapidary.h"', "upward: src/pipeline"),
    ("src/pipeline/a.cc", '#include "tools/cli.h"', "upward: src/pipeline"),
    ("include/lapidary/exec.h", '#include "lapidary/model_io.h"', "sideways: src/exec"),
    ("include/lapidary/tensor.h", '#include "lapidary/graph.h"', "upward: src/base"),
    ("include/lapidary/tensor.h", '#include "src/base/half.h"', "a private header in a public one"),
    ("include/lapidary/tensor.h", "#include <fmt/format.h>", "a third-party header in a public one"),
    ("include/lapidary/tensor.h", "#include <zlib.h>", "a third-party header in a public one"),
    ("include/lapidary/new.h", "", "of no box of the plan"),
    ("src/base/a.h", '#include "../ir/graph.h"', "a relative #include"),
    ("src/ir/a.h", '#include "./graph.h"', "a relative #include"),
    ("src/ir/a.h", '#include "src/ops/../ir/graph.h"', "a relative #include"),
    ("src/ir/a.h", '#include "graph.h"', "no path from the root"),
    ("src/ir/a.h", "  #  include HEADER", "no literal"),
    ("src/new/a.cc", "", "of no box of the plan"),
    ("extras/a.cc", "", "of no box of the plan"),
    ("src/ir/a.cc", '#include "src/new/a.h"', "src/new/a.h is of no box"),
    ("src/ir/a.cpp", "", "are called .h, .cc or .def"),
    ("src/ops/ops.def", '#include "src/passes/pass.h"', "upward: src/ops"),
    ("examples/a.cc", '#include "src/base/text.h"', "a program of strangers"),
    ("src/ir/a.cc", "#include <onnx/onnx_pb.h>", "only for src/onnx/"),
    ("src/ir/a.cc", "#include <google/protobuf/message.h>", "only for src/onnx/"),
    ("src/pipeline/recipe.cc", "#include <yaml-cpp/yaml.h>", "only for src/pipeline/yaml.cc"),
    ("src/pipeline/a.cc", "#include <CLI/CLI.hpp>", "only for tools/cli.h"),
    ("quantize/a.cc", "#include <torch/types.h>", "only for src/train/"),
    ("src/train/a.cc", "#include <malloc.h>", "only for src/train/engine.cc"),
    ("quantize/a.cc", "#include <nlohmann/json.hpp>", "only for src/data/tokens.cc"),
    ("kernels/a.cc", "#include <fmt/format.h>", "only for src/"),
    ("src/exec/a.cc", "#include <Eigen/Dense>", "only for src/factorize/"),
    ("src/exec/a.cc", "#include <omp.h>", "only for src/base/parallel.cc"),
    ("kernels/a.cc", "#pragma omp parallel for", "OpenMP is only for"),
    ("src/data/png.cc", "#include <jpeglib.h>", "only for src/data/jpeg.cc"),
    ("src/data/jpeg.cc", "#include <png.h>", "only for src/data/png.cc"),
    ("src/data/jpeg.cc", '#include "png.h"', "only for src/data/png.cc"),
    ("src/onnx/a.cc", "#include <zlib.h>", "only for src/data/inflate.cc"),
    ("src/exec/a.cc", "#include <immintrin.h>", "only for kernels/simd.h"),
    ("src/exec/a.cc", "#include <gtest/gtest.h>", "only for test/"),
    ("quantize/a.cc", "#include <unistd.h>", "only for src/base/"),
    ("src/exec/a.cc", "#include <boost/any.hpp>", "a library that no fence names"),
    ("src/exec/a.cc", "#include <dlfcn.h>", "only for src/fit/open_trainer.cc"),
]
ALLOWED = [
    ("src/base/a.h", "#include <vector>\n#include <fmt/format.h>"),
    ("src/base/parallel.cc", "#include <omp.h>\n#pragma omp parallel"),
    ("src/ir/a.cc", '#include "lapidary/graph.h"\n#include "src/base/text.h"\n#include "src/ir/b.h"'),
    ("src/onnx/a.cc", '#include <onnx/onnx_pb.h>\n#include "lapidary/ops.h"'),
    ("include/lapidary/lapidary.h", '#include "lapidary/report.h"'),
    ("include/lapidary/exec.h", '#include "lapidary/graph.h"'),
    ("examples/a.cc", "#include <lapidary/lapidary.h>"),
    ("test/onnx/a_test.cc", '#include <gtest/gtest.h>\n#include "tools/cli.h"'),
    ("build/dev/generated.cc", "#include <boost/any.hpp>"),
]
BOXES = ["src/base", "src/ir", "src/ops", "src/passes", "src/new", "src/onnx", "kernels", "tools", "test"]


def problems(path, text):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for box in BOXES:
            (root / box).mkdir(parents=True)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n")
        return floors.check(root)[0]


class Floors(unittest.TestCase):
    def test_each_violation_is_found(self):
        for path, text, expected in VIOLATIONS:
            with self.subTest(path=path, text=text):
                found = problems(path, text)
                self.assertEqual(len(found), 1, found)
                self.assertIn(expected, found[0])
                self.assertTrue(found[0].startswith(path), found[0])

    def test_every_fence_has_a_violation_above(self):
        for pattern in floors.FENCES:
            with self.subTest(pattern=pattern):
                self.assertTrue(any("<" in text and floors.re.match(pattern, text.split("<")[1].rstrip(">"))
                                    for _, text, _ in VIOLATIONS))

    def test_what_the_plan_allows_passes(self):
        for path, text in ALLOWED:
            with self.subTest(path=path):
                self.assertEqual(problems(path, text), [])

    def test_an_empty_tree_is_no_success(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(floors.check(Path(folder)), ([], 0))


if __name__ == "__main__":
    unittest.main()
