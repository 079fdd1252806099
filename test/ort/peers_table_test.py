#!/usr/bin/env python3
"""What peers_table.py prints of given measurements."""
import copy
import unittest

import peers_table

MACHINE = {"lapidary": "0.1.0", "cpu": "A CPU", "isa": "avx512vnni", "isa_usable": "scalar avx2 avx512 avx512vnni",
           "threads": "2", "system": "Linux"}


def row(precision, engines):
    return {"model": "net", "precision": precision, "batch": 1, "threads": 1, "isa": "avx512vnni", "ms": 1.0,
            "engines": {e: {"ms": 2.0, "speedup": 2.0, "version": "1"} for e in engines}, "left_out": {},
            "machine": dict(MACHINE)}


def printed(rows):
    return peers_table.markdown({"rows": rows, "refused": {}})


class PeersTable(unittest.TestCase):
    def test_says_what_was_measured_where(self):
        text = printed([row("INT8", ["onnxruntime", "lapidary"])])
        self.assertIn("Measured on A CPU, 2 threads, avx512vnni, Linux; Lapidary 0.1.0, ONNX Runtime 1.", text)
        self.assertIn("| net | 1 | 1 | **1 (2.00)** | 2 | 2 (1.00) |", text)

    def test_bf16_is_emulated_where_the_cpu_has_none(self):
        rows = [row("FP32", ["onnxruntime", "openvino-bf16"]), row("BF16", ["onnxruntime", "openvino-bf16"])]
        self.assertEqual(printed(rows).count("| OpenVINO bf16 (emulated) |"), 2)
        self.assertIn("### BF16 (ONNX Runtime: FP32) (emulated)\n", printed(rows))
        for r in rows:
            r["machine"]["isa_usable"] += " avx512bf16"
        self.assertNotIn("emulated", printed(rows))

    def test_refuses_rows_of_several_machines_or_versions(self):
        one = row("FP32", ["onnxruntime"])
        for change in ({"machine": {**MACHINE, "cpu": "Another"}}, {"machine": {**MACHINE, "lapidary": "0.2.0"}},
                       {"engines": {"onnxruntime": {"ms": 2.0, "speedup": 2.0, "version": "2"}}}):
            with self.assertRaises(peers_table.Mixture):
                printed([one, {**copy.deepcopy(one), **change}])
        older = {key: value for key, value in one.items() if key != "machine"}
        with self.assertRaises(peers_table.Mixture):
            printed([one, older])


if __name__ == "__main__":
    unittest.main()
