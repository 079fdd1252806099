#!/usr/bin/env python3
"""The command line as scripts see it: exit codes, one JSON object, messages, files.

usage: commands_test.py LAPIDARY SOURCE_DIR
"""
import hashlib
import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import unittest
from pathlib import Path

from fixture import LAPIDARY, Fixture, idx, run


class CommandLine(Fixture):
    def test_version(self):
        done = run("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^lapidary \d+\.\d+\.\d+\n$")

    def test_version_loads_no_training_library(self):
        done = subprocess.run(["ldd", LAPIDARY], capture_output=True, text=True, check=True)
        self.assertNotIn("torch", done.stdout)

    def test_mistyped_command(self):
        done = run("quantise", "m.onnx")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'quantize'", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_mistyped_option(self):
        done = run("quantize", "m.onnx", "--claib", "x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--calib", done.stderr)

    def test_threads_out_of_range(self):
        for threads in ("0", "-1", "1000000000", "two"):
            self.assertEqual(run("doctor", "--threads", threads).returncode, 2, threads)

    def test_missing_file_is_6(self):
        done = run("inspect", self.tmp / "none.onnx")
        self.assertEqual(done.returncode, 6)
        self.assertIn("none.onnx", done.stderr)

    def test_not_onnx_is_3(self):
        for name, content in {"empty": b"", "html": b"<!doctype html><html>", "zip": b"PK\3\4" + bytes(40),
                              "random": bytes(range(256)) * 16}.items():
            path = self.tmp / f"{name}.onnx"
            path.write_bytes(content)
            done = run("inspect", path)
            self.assertEqual(done.returncode, 3, f"{name}: {done.stderr}")
            self.assertIn(path.name, done.stderr)

    def test_truncated_model_is_3(self):
        whole = self.model.read_bytes()
        path = self.tmp / "cut.onnx"
        for size in (1, 10, 100, 5000, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            self.assertEqual(run("inspect", path).returncode, 3, size)

    def test_inspect_json_is_one_object(self):
        done = run("inspect", self.model, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        seen = json.loads(done.stdout)
        self.assertEqual(seen["ops"]["Conv"], 9)
        self.assertEqual(seen["macs"], 9_345_920)

    def test_every_list(self):
        for kind in ("steps", "ops", "passes", "calibrators", "targets", "kernels", "losses", "schedules",
                     "augmentations", "criteria", "metrics", "sparsity"):
            done = run("list", kind, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(json.loads(done.stdout)[kind], kind)
        self.assertEqual(run("list", "calibrator").returncode, 2)
        self.assertRegex(run("list", "losses").stdout, r"(?m)^    temperature +number .*default 2")

    def test_doctor(self):
        told = json.loads(run("doctor", "--json", "--threads", 2).stdout)
        self.assertIn("isa", told)
        folder = self.tmp / "torch"
        folder.mkdir()
        for expected in (None, folder / "libtorch_cpu.so.2"):
            if expected:
                expected.touch()
            found = json.loads(run("doctor", "--json", env={"LD_LIBRARY_PATH": str(folder)}).stdout)["libtorch"]
            if expected:
                self.assertEqual(found, str(expected))
            else:
                self.assertRegex(found, "^(not found|/.*/libtorch_cpu[.]so.*)$")
        self.assertEqual([p["threads"] for p in told["peaks"]], [1, 2])
        for peaks in told["peaks"]:
            for key in ("int8_gops", "f32_gops", "cache_gb_s", "memory_gb_s"):
                self.assertGreater(peaks[key], 0)

    def test_inspect_under_the_roofline(self):
        told = json.loads(run("inspect", self.model, "--layers", "--json").stdout)
        peaks = told["peaks"]
        convs = [s for s in told["steps"] if s["op"].startswith("Conv")]
        self.assertTrue(convs)
        self.assertEqual(sum(s["macs"] for s in told["steps"]), told["macs"])
        for s in convs:
            self.assertAlmostEqual(s["intensity"], 2 * s["macs"] / s["bytes"])
            attainable = min(peaks["f32_gops"], s["intensity"] * peaks["memory_gb_s"])
            self.assertAlmostEqual(s["attainable_gops"] / attainable, 1)
            self.assertEqual(s["bound"], "compute" if attainable == peaks["f32_gops"] else "memory")
        self.assertNotIn("steps", json.loads(run("inspect", self.model, "--json").stdout))
        # 3x3 and 1x1 filters of floats, packed: at least 4 bytes a weight.
        self.assertGreaterEqual(told["packed_bytes"], 4 * sum(s["parameters"] for s in convs))
        self.assertGreater(told["activation_bytes"], 0)
        text = run("inspect", self.model, "--layers").stdout
        self.assertIn("under the roofline of", text)
        self.assertIn("of weights as the kernels read them", text)

    def test_bench_kernels(self):
        done = run("bench", "--kernels", "--family", "transpose,pool", "--seconds", 0.001, "--json", "-q")
        self.assertEqual(done.returncode, 0, done.stderr)
        kernels = json.loads(done.stdout)["kernels"]
        self.assertEqual({k["family"] for k in kernels}, {"pool", "transpose"})
        for key in ("row", "isa", "shape", "threads", "ms", "gops", "share_of_peak"):
            self.assertIn(key, kernels[0])
        usable = json.loads(run("doctor", "--json").stdout)["isa_usable"].split()
        self.assertEqual({k["isa"] for k in kernels}, set(usable) & {"scalar", "avx2", "avx512"})
        self.assertEqual(run("bench").returncode, 2)
        self.assertEqual(run("bench", self.model, "--kernels").returncode, 2)
        done = run("bench", "--kernels", "--family", "transpos")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'transpose'", done.stderr)

    def test_unknown_isa(self):
        done = run("doctor", env={"LAPIDARY_ISA": "avx513"})
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'avx512'", done.stderr)

    def test_quantize_writes_model_and_reports(self):
        out = self.tmp / "q.onnx"
        done = self.quantize(out, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["schema"], "lapidary.report/1")
        self.assertEqual([s["name"] for s in report["stages"]], ["fp32", "quantize"])
        self.assertLess(report["stages"][1]["size_bytes"] * 3, report["stages"][0]["size_bytes"])
        self.assertGreater(report["stages"][1]["metrics"]["sqnr_db"], 25)
        for form in ("json", "md", "html"):
            self.assertTrue((self.tmp / f"q.onnx.report.{form}").stat().st_size > 500)
        html = (self.tmp / "q.onnx.report.html").read_text()
        self.assertNotRegex(html, r"(src|href)\s*=\s*[\"']?(https?:)?//")
        self.assertEqual(report["kept_float"], [])

    def test_quantize_is_reproducible(self):
        a, b = self.tmp / "a.onnx", self.tmp / "b.onnx"
        self.assertEqual(self.quantize(a, "--threads", 1).returncode, 0)
        self.assertEqual(self.quantize(b, "--threads", 2).returncode, 0)
        self.assertEqual(a.read_bytes(), b.read_bytes())

    def test_isas_agree_bit_for_bit(self):
        out = self.tmp / "isa.onnx"
        self.assertEqual(self.quantize(out).returncode, 0)
        usable = json.loads(run("doctor", "--json").stdout)["isa_usable"].split()
        seen = {}
        for isa in usable:
            npy = self.tmp / f"{isa}.npy"
            done = run("eval", out, "--data", self.eval, "--outputs", npy, env={"LAPIDARY_ISA": isa})
            self.assertEqual(done.returncode, 0, done.stderr)
            seen[isa] = npy.read_bytes()
        self.assertGreaterEqual(len(seen), 1)
        for isa, content in seen.items():
            self.assertEqual(content, seen["scalar"], isa)

    def test_output_is_not_the_input(self):
        copy = self.tmp / "copy.onnx"
        copy.write_bytes(self.model.read_bytes())
        done = run("quantize", copy, "-o", copy, "--calib", self.calib)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(copy.read_bytes(), self.model.read_bytes())

    def test_no_command_overwrites_what_it_reads(self):
        folder = self.tmp / "guard"
        folder.mkdir()
        (folder / "sub").mkdir()
        m, x, st, st2, q = (folder / n for n in ("g.onnx", "x.npy", "a.st", "b.st", "q.onnx"))
        m.write_bytes(self.model.read_bytes())
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 28, 28), }"
        header += b" " * (118 - len(header) - 1) + b"\n"
        x.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(4 * 784))
        name = re.split(r"[ :]", json.loads(run("inspect", m, "--json").stdout)["inputs"][0])[0]
        record = folder / "d.yaml"
        record.write_text(self.calib)
        for stats in (st, st2):
            self.assertEqual(run("calibrate", m, "--data", self.calib, "-o", stats).returncode, 0)
        link, hard = folder / "link.onnx", folder / "hard.onnx"
        link.symlink_to(m)
        os.link(m, hard)
        infer = ["infer", m, "--input", f"{name}={x}", "-o"]
        images = self.tmp / "images"
        cases = [[*infer, other] for other in (m, x, link, hard, folder / "." / "sub" / ".." / "g.onnx")]
        cases += [["calibrate", m, "--data", record, "-o", out] for out in (m, record, images)]
        cases += [["samples", m, "--data", record, "-o", out] for out in (m, record, images)]
        cases += [["eval", m, "--data", record, "--outputs", out] for out in (m, record, images)]
        cases += [["eval", self.model, "--against", m, "--data", record, "--outputs", m]]
        cases += [["quantize", m, "--stats", st, "-o", out] for out in (st, m)]
        cases += [["quantize", m, "--calib", record, "-o", out] for out in (record, images, link, hard)]
        cases += [["optimize", m, "--eval", self.eval, "-o", self.tmp / "labels"], ["fp16", m, "-o", hard]]
        cases += [["stats", "merge", st, st2, "-o", out] for out in (st, st2)]
        kept = {p: p.read_bytes() for p in (m, x, st, st2, record, images, self.tmp / "labels")}
        for case in cases:
            done = run(*case)
            self.assertEqual(done.returncode, 2, f"{case}: {done.stderr}")
            self.assertIn("is the input", done.stderr)
            self.assertIn(str(case[-1]), done.stderr)
            for path, content in kept.items():
                self.assertEqual(path.read_bytes(), content, f"{case}: {path}")
        self.assertTrue(link.is_symlink())
        done = run("infer", m, "--input", f"{name}={x}", "-o", folder / "y.npz")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_output_folder_missing_is_6(self):
        self.assertEqual(self.quantize(self.tmp / "no/such/out.onnx").returncode, 6)

    def test_full_disk_leaves_nothing(self):
        out = self.tmp / "limited.onnx"
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        done = subprocess.run([LAPIDARY, "quantize", self.model, "-o", out, "--calib", self.calib],
                              capture_output=True, text=True, preexec_fn=limit, timeout=240)
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertEqual(list(self.tmp.glob("*limited*")), [])

    def test_already_quantized_is_refused(self):
        out = self.tmp / "once.onnx"
        self.assertEqual(self.quantize(out).returncode, 0)
        done = run("quantize", out, "-o", self.tmp / "twice.onnx", "--calib", self.calib)
        self.assertEqual(done.returncode, 2)
        self.assertIn("requantize", done.stderr)

    def test_requantized_model_is_close_to_the_first(self):
        once, twice = self.tmp / "r1.onnx", self.tmp / "r2.onnx"
        self.assertEqual(self.quantize(once).returncode, 0)
        done = run("quantize", once, "--requantize", "-o", twice, "--calib", self.calib, "--eval", self.eval,
                   "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        stages = json.loads(done.stdout)["stages"]
        self.assertEqual([s["name"] for s in stages], ["int8", "quantize"])
        self.assertGreater(stages[1]["metrics"]["sqnr_db"], 20)
        self.assertLess(twice.stat().st_size, 1.2 * once.stat().st_size)

    def test_pattern_that_matches_nothing(self):
        done = self.quantize(self.tmp / "p.onnx", "--skip", "op:Convv")
        self.assertEqual(done.returncode, 2)
        self.assertIn("Conv", done.stderr)
        done = self.quantize(self.tmp / "p.onnx", "--skip", "nosuch*")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, "no node matches 'nosuch\\*'; the nearest names are '.+', '.+', '.+'")

    def test_names_near_what_was_asked(self):
        done = run("eval", self.model, "--data", self.eval, "--metrics", "agreement")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'agreement_with_fp32'?", done.stderr)

    def test_integer_operators_are_for_onnx_runtime(self):
        out = self.tmp / "trt.onnx"
        done = self.quantize(out, "--format", "qoperator", "--target", "tensorrt")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--format is qoperator", done.stderr)
        self.assertNotIn("calibrat", done.stderr)  # before any work
        self.assertFalse(out.exists())

    def test_a_file_for_another_engine_says_so(self):
        out = self.tmp / "ncnn.onnx"
        words = "meant for ncnn"
        self.assertIn(words, self.quantize(out, "--target", "ncnn", "--dry-run").stdout)
        self.assertIn(words, self.quantize(out, "--target", "ncnn", "--no-bench").stdout)
        for form in ("md", "html"):
            self.assertIn(words, Path(f"{out}.report.{form}").read_text(), form)
        self.assertEqual(json.loads(Path(f"{out}.report.json").read_text())["engine"], "ncnn")
        self.assertNotIn("meant for", self.quantize(out, "--dry-run").stdout)

    def test_dry_run_names_what_would_be_quantized(self):
        done = self.quantize(self.tmp / "n.onnx", "--dry-run")
        plan = json.loads(self.quantize(self.tmp / "n.onnx", "--dry-run", "--json").stdout)["quantized"]
        self.assertIn("What would run on integers", done.stdout)
        for node in plan[:20]:
            self.assertIn(node[:56], done.stdout)
        if len(plan) > 20:
            self.assertIn(f"... and {len(plan) - 20} more, --json has all", done.stdout)

    def test_no_bench(self):
        for no, count in (("--no-bench", 0), ("-q", 1)):
            done = run("optimize", self.model, "-o", self.tmp / "b.onnx", "--json", no)
            self.assertEqual([len(s["latency_ms"]) for s in json.loads(done.stdout)["stages"]], [count] * 2)

    def test_missed_limit_is_5_and_keeps_everything(self):
        out = self.tmp / "limit.onnx"
        done = self.quantize(out, "--min-sqnr", "200")
        self.assertEqual(done.returncode, 5)
        self.assertIn("MISSED", done.stdout)
        self.assertTrue(out.exists())

    def test_statistics_of_an_earlier_run(self):
        stats, out, again = self.tmp / "s.lpstat", self.tmp / "s.onnx", self.tmp / "t.onnx"
        done = run("calibrate", self.model, "--data", self.calib, "-o", stats)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.quantize(out).returncode, 0)
        done = self.quantize(again, "--stats", stats)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_external_data_is_part_of_size_and_hash(self):
        out, data = self.tmp / "x.onnx", self.tmp / "x.onnx.data"
        done = run("optimize", self.model, "-o", out, "--external-data", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        stage = json.loads(done.stdout)["stages"][-1]
        whole = out.read_bytes() + data.read_bytes()
        self.assertGreater(data.stat().st_size, out.stat().st_size)
        self.assertEqual(stage["size_bytes"], len(whole))
        self.assertEqual(stage["sha256"], hashlib.sha256(whole).hexdigest())
        again = json.loads(run("optimize", out, "-o", self.tmp / "y.onnx", "--json").stdout)
        self.assertEqual(again["provenance"]["model"], stage["sha256"])
        os.rename(data, self.tmp / "w.onnx.data")
        os.symlink("w.onnx.data", data)
        self.assertEqual(run("inspect", out).returncode, 3)  # links are still not followed
        data.unlink()

    def test_calibrate_resumes(self):
        stats = self.tmp / "r.lpstat"
        first = run("calibrate", self.model, "--data", self.calib, "-o", stats, "--samples", 32, "--resume")
        self.assertEqual(first.returncode, 0, first.stderr)
        done = run("calibrate", self.model, "--data", self.calib, "-o", stats, "--resume", "--json")
        self.assertIn("continuing", done.stderr)
        self.assertEqual(json.loads(done.stdout)["samples"], 64)
        other = run("calibrate", self.model, "--data", str(self.calib).replace("0.286", "0.3"), "-o", stats, "--resume")
        self.assertEqual(other.returncode, 0, other.stderr)
        self.assertIn("from other data", other.stderr)
        self.assertNotIn("from other data", done.stderr)

    def test_timing_that_fails_is_a_warning(self):
        out = self.tmp / "odd.onnx"
        done = run("optimize", self.model, "-o", out, "--shape", "image=1x3x28x28", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("latency was not measured", done.stderr)
        self.assertTrue(out.exists())
        self.assertEqual(run("bench", self.model, "--shape", "image=0x1x28x28").returncode, 2)

    def test_a_negative_seed_is_refused(self):
        for option in (["--seed", "-1"], ["--seed=-1"]):
            done = run("eval", self.model, "--data", self.eval, *option)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("--seed", done.stderr)

    def test_common_options_everywhere(self):
        self.assertEqual(run("bench", self.model, "--seconds", 0.01, "-q", "--seed", 3).returncode, 0)
        self.assertEqual(run("recipe", "schema", "--json", "-q").returncode, 0)
        self.assertIn("lapidary: 1", json.loads(run("recipe", "init", "--json").stdout)["recipe"])

    def test_steps_that_need_a_flag(self):
        done = self.quantize(self.tmp / "n.onnx", "--equalize", "off", "--allow-nonfinite", "--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_parameter_of_a_step_is_an_option(self):
        schema = json.loads(run("recipe", "schema").stdout)
        for step in schema["properties"]["steps"]["items"]["oneOf"]:
            (name,) = step["required"]
            done = run(name, "--help")
            self.assertEqual(done.returncode, 0, done.stderr)
            for parameter in step["properties"][name]["properties"]:
                self.assertIn(f"--{parameter.replace('_', '-')} ", done.stdout + " ")

    def test_options_reach_the_step(self):
        def quantized(*options):
            done = self.quantize(self.tmp / "n.onnx", "--dry-run", "--json", "-q", *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)["quantized"]
        default = quantized()
        self.assertEqual(quantized("--inputs-only=off"), default)
        self.assertEqual(quantized("--inputs-only=on"), quantized("--inputs-only"))
        self.assertNotEqual(quantized("--inputs-only"), default)
        self.assertEqual(quantized("--check-bias-correction", "off"), default)
        for option in (["--check-bias-correction", "yes"], ["--inputs-only=perhaps"]):
            done = self.quantize(self.tmp / "n.onnx", "--dry-run", *option)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("is on or off, not", done.stderr)
        two = run("optimize", self.model, "-o", self.tmp / "two.onnx", "--passes", "fold_constants,remove_noops",
                  "--no-bench", "--json")
        self.assertEqual([p["pass"] for p in json.loads(two.stdout)["passes"]], ["fold_constants", "remove_noops"])

    def test_sparsify_masks_weights_and_claims_no_speed(self):
        out = self.tmp / "sparse.onnx"
        done = run("sparsify", self.model, "-o", out, "--ratio", "0.8", "--scope", "local", "--eval", self.eval,
                   "--json", "--no-bench")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        before, after = report["stages"]
        self.assertEqual((before["macs"], before["parameters"]), (after["macs"], after["parameters"]))
        self.assertEqual(before["size_bytes"] // 1000, after["size_bytes"] // 1000)
        self.assertLess(after["nonzero_parameters"], 0.25 * after["parameters"])
        masked = report["masked"]
        self.assertEqual((masked["stage"], masked["before"]), ("sparsify", "fp32"))
        self.assertLess(masked["compressed_bytes"], 0.4 * masked["compressed_before"])
        for tensor in masked["tensors"]:
            self.assertAlmostEqual(tensor["zeros"], 0.8 * tensor["weights"], delta=1, msg=tensor)
        html = Path(f"{out}.report.html").read_text()
        self.assertIn("Nothing is removed", html)
        again = run("inspect", out, "--json")
        self.assertEqual(again.returncode, 0, again.stderr)

    def test_sparsegpt_of_two_in_four_is_better_than_magnitude(self):
        sqnr = {}
        for method in ("magnitude", "sparsegpt"):
            out = self.tmp / f"{method}.onnx"
            done = run("sparsify", self.model, "-o", out, "--method", method, "--pattern", "2:4", "--calib", self.calib,
                       "--eval", self.eval, "--json", "--no-bench")
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(done.stdout)
            sqnr[method] = report["stages"][1]["metrics"]["sqnr_db"]
            self.assertEqual(len([w for w in report["warnings"] if "dense" in w]), 1, "a stem of one channel")
        self.assertGreater(sqnr["sparsegpt"], sqnr["magnitude"] + 2)

    def test_sparsify_refuses_what_contradicts_itself(self):
        for options, said in ((["--pattern", "4:2"], "N:M"), (["--pattern", "2:4", "--ratio", "0.6"], "0.5"),
                              (["--method", "sparsegpt"], "calib"), (["--method", "movement"], "magnitude"),
                              (["--include", "op:Loop"], "op:Loop"), (["--ratio", "0"], "'ratio'"),
                              (["--method", "sparsegpt", "--pattern", "3:6", "--calib", self.calib], "'block' is 128")):
            done = run("sparsify", self.model, "-o", self.tmp / "no.onnx", "--no-bench", *options)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(said, done.stderr)
        self.assertFalse((self.tmp / "no.onnx").exists())

    def test_prune_speaks_of_its_options(self):
        for options, said in ((["--criterion", "taylor"], "criterion 'taylor' needs training data: give --train DATA"),
                              (["--repair", "weights"], "'repair' needs calibration data: give --calib DATA"),
                              (["--repair", "none,weights"], "'none' beside others"), (["--resume"], "--budget"),
                              (["--p", "1.5"], "--p"), (["--criterion", "random", "--p", "1"], "'random' has none"),
                              (["--per-cost", "--scope", "local"], "scope global"),
                              (["--dry-run", "--keep", "nothing"], "no node matches 'nothing'")):
            done = run("prune", self.model, "-o", self.tmp / "no.onnx", "--no-bench", *options)
            self.assertIn(done.returncode, (2, 106), done.stderr)
            self.assertIn(said, done.stderr)
        self.assertFalse((self.tmp / "no.onnx").exists())

    def test_prune_refuses_what_is_not_float32(self):
        for verb, options in (("fp16", []), ("quantize", ["--calib", self.calib]),
                              ("quantize", ["--calib", self.calib, "--format", "qoperator"])):
            other = self.tmp / "other.onnx"
            done = run(verb, self.model, "-o", other, "--no-bench", *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            for how in (["--groups"], ["--dry-run"], ["-o", self.tmp / "no.onnx"], ["-o", self.tmp / "no.onnx", "--criterion", "random"]):
                done = run("prune", other, *how)
                self.assertEqual(done.returncode, 4, (verb, how, done.stderr))
                self.assertIn("float16" if verb == "fp16" else "quantized; models are pruned before", done.stderr)

    def test_prune_counts_its_samples_once(self):
        done = run("prune", self.model, "--dry-run", "--calib", self.calib, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["estimate"]["calib_samples"], 64)

    def test_prune_without_repair(self):
        repaired = {}
        for how in ("weights,statistics", "none"):
            done = run("prune", self.model, "-o", self.tmp / "pruned.onnx", "--calib", self.calib, "--repair", how,
                       "--no-bench", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            repaired[how] = json.loads(done.stdout)["prunings"][0]["repaired"]
        self.assertIsNone(repaired["none"])
        self.assertGreater(repaired["weights,statistics"]["weights"], 0)

    def test_fp16_inputs_and_outputs(self):
        for keep, dtype in (("on", "float32"), ("off", "float16")):
            out = self.tmp / f"io_{keep}.onnx"
            self.assertEqual(run("fp16", self.model, "-o", out, "--keep-io", keep, "--no-bench").returncode, 0)
            self.assertIn(dtype, json.loads(run("inspect", out, "--json").stdout)["inputs"][0])
            # Data opened for one type feed models of both.
            done = run("fp16", self.model, "-o", out, "--keep-io", keep, "--no-bench", "--eval", self.eval, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            layers = json.loads(done.stdout)["layers"]
            done = run("eval", out, "--against", self.model, "--data", self.eval, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertGreater(json.loads(done.stdout)["metrics"]["sqnr_db"], 40)
            done = run("compare", out, self.model, "--data", self.eval, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertGreater(len(layers), 5)

    def test_dry_run_writes_nothing(self):
        out = self.tmp / "dry.onnx"
        done = self.quantize(out, "--dry-run", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(out.exists())
        report = json.loads(done.stdout)
        self.assertGreaterEqual(len(report["quantized"]), 11)
        self.assertGreater(report["estimate"]["memory_bytes"], 0)

    def test_estimate_stands_beside_what_it_took(self):
        out = self.tmp / "est.onnx"
        done = self.quantize(out, "--samples", 48, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        seen = json.loads(done.stdout)["estimate"]
        self.assertEqual((seen["calib_samples"], seen["eval_samples"]), (48, 64))
        self.assertGreater(seen["seconds"], 0)
        self.assertGreater(seen["actual_seconds"], 0)
        ratio = seen["memory_bytes"] / seen["actual_memory_bytes"]
        self.assertTrue(0.5 < ratio < 2, seen)
        dry = json.loads(self.quantize(out, "--samples", 48, "--dry-run", "--json").stdout)["estimate"]
        self.assertIsNone(dry["actual_seconds"])
        for form in ("html", "md"):
            self.assertIn("peak memory", (self.tmp / f"est.onnx.report.{form}").read_text())

    def test_histograms_are_collected_for_those_who_read_them(self):
        for calibrator, read in (("moving_average", False), ("percentile", True)):
            done = self.quantize(self.tmp / "hist.onnx", "--calibrator", calibrator, "--no-bench", "--json")
            self.assertEqual(bool(json.loads(done.stdout)["histograms"]), read, calibrator)

    def test_messages_name_the_flag(self):
        for flag, value in (("--percentile", 200), ("--hold-mb", 0), ("--calibrator", "maxmin"),
                            ("--momentum", 2), ("--max-drop", -1), ("--nonfinite", "x")):
            done = self.quantize(self.tmp / "f.onnx", flag, value)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f"lapidary: {flag} is", done.stderr)
        done = run("quantize", self.model, "-o", self.tmp / "f.onnx")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--calib", done.stderr)
        done = run("quantize", self.model, "-o", self.tmp / "f.onnx", "--calib", self.calib, "--min-sqnr", 20)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--eval", done.stderr)
        done = self.quantize(self.tmp / "f.onnx", "--skip", "Conv")
        self.assertIn("did you mean 'op:Conv'", done.stderr)

    def test_messages_name_a_file_once(self):
        for case in (["inspect", self.tmp / "none.onnx"], ["eval", self.model, "--data", self.tmp / "none.yaml"],
                     ["eval", self.model, "--data", f"{{kind: npy, path: {self.tmp}/none.npy}}"],
                     ["eval", self.model, "--data", f"{{kind: idx, path: {self.tmp}/none.idx}}"]):
            done = run(*case)
            self.assertEqual(done.returncode, 6, done.stderr)
            self.assertEqual(done.stderr.count("/none."), 1, done.stderr)

    def test_statistics_of_another_graph_are_3(self):
        stats, other = self.tmp / "other.lpstat", self.tmp / "other.onnx"
        self.assertEqual(run("fp16", self.model, "--weights-only", "-o", other).returncode, 0)
        self.assertEqual(run("calibrate", other, "--data", self.calib, "-o", stats).returncode, 0)
        for case in (["quantize", self.model, "-o", self.tmp / "o.onnx", "--calib", self.calib, "--stats", stats],
                     ["calibrate", self.model, "--data", self.calib, "-o", stats, "--resume"]):
            done = run(*case)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("another graph", done.stderr)

    def test_missing_external_data_of_a_bare_file_name(self):
        folder = self.tmp / "bare"
        folder.mkdir()
        self.assertEqual(run("optimize", self.model, "-o", folder / "m.onnx", "--external-data").returncode, 0)
        (folder / "m.onnx.data").rename(folder / "m.onnx.dat")
        done = run("inspect", "m.onnx", cwd=folder)
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertIn("did you mean 'm.onnx.dat'", done.stderr)

    def test_external_data_is_not_overwritten(self):
        out, data = self.tmp / "ext.onnx", self.tmp / "ext.onnx.data"
        self.assertEqual(run("optimize", self.model, "-o", out, "--external-data").returncode, 0)
        kept = data.read_bytes()
        for case in (["calibrate", out, "--data", self.calib, "-o", data],
                     ["samples", out, "--data", self.calib, "-o", data],
                     ["eval", out, "--data", self.eval, "--outputs", data],
                     ["eval", self.model, "--against", out, "--data", self.eval, "--outputs", data],
                     ["infer", out, "--input", "image=none.npy", "-o", data],
                     ["fp16", out, "-o", data]):
            done = run(*case)
            self.assertEqual(done.returncode, 2, f"{case}: {done.stderr}")
            self.assertEqual(data.read_bytes(), kept, case)

    def test_messages_say_what_to_do(self):
        done = run("eval", self.model, "--data", "")
        self.assertEqual(done.returncode, 2)
        self.assertIn("give a YAML file", done.stderr)
        done = run("optimize", self.model, "-o", self.tmp / "o.onnx", "--passes", "nosuchpass")
        self.assertEqual(done.returncode, 2)
        self.assertIn("lapidary: --passes is 'nosuchpass'; it is one of", done.stderr)
        done = self.quantize(self.tmp)  # a folder
        self.assertEqual(done.returncode, 6)
        self.assertNotIn("calibrat", done.stderr)  # before any work

    def test_bench_batch(self):
        def batch(*options):
            done = run("bench", self.model, "--seconds", 0.01, "--json", "-q", *options)
            return json.loads(done.stdout)["latency_ms"][0]["batch"] if done.returncode == 0 else done.stderr

        name = re.split(r"[ :]", json.loads(run("inspect", self.model, "--json").stdout)["inputs"][0])[0]
        self.assertEqual(batch(), 1)
        self.assertEqual(batch("--batch", 3), 3)
        self.assertEqual(batch("--shape", f"{name}=5x1x28x28"), 5)
        self.assertIn("a batch of 3 fits no input", batch("--batch", 3, "--shape", f"{name}=5x1x28x28"))

    def test_sizes_of_symbols(self):
        symbol = re.search(r"\[(\w+),", json.loads(run("inspect", self.model, "--json").stdout)["inputs"][0])[1]
        told = json.loads(run("inspect", self.model, "--shape", f"{symbol}=4", "--json").stdout)
        conv = next(layer for layer in told["layers"] if layer["op"] == "Conv")
        self.assertTrue(conv["output"].startswith("float32[4,"), conv)
        done = run("bench", self.model, "--seconds", 0.01, "--json", "-q", "--shape", f"{symbol}=4")
        self.assertEqual(json.loads(done.stdout)["latency_ms"][0]["batch"], 4)
        for command in ("quantize", "fp16", "optimize"):
            more = ["--calib", self.calib] if command == "quantize" else []
            for sizes, code in ((f"{symbol}=4", 0), (f"{symbol}=4x4", 2), ("nobody=4", 2)):
                done = run(command, self.model, *more, "--dry-run", "--shape", sizes)
                self.assertEqual(done.returncode, code, f"{command} {sizes}: {done.stderr}")
        for command in ("inspect", "bench", "quantize", "fp16", "optimize", "run"):
            self.assertIn("N=8", run(command, "--help").stdout, command)

    def test_bench_inputs(self):
        name = re.split(r"[ :]", json.loads(run("inspect", self.model, "--json").stdout)["inputs"][0])[0]
        self.assertEqual(run("bench", self.model, "--seconds", 0.01, "--input", f"{name}=0.5").returncode, 0)
        done = run("bench", self.model, "--seconds", 0.01, "--input", f"{name}x=0.5")
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"did you mean '{name}'", done.stderr)
        self.assertEqual(run("bench", self.model, "--input", name).returncode, 2)
        self.assertEqual(run("bench", self.model, "--input", f"{name}=none.npy").returncode, 6)

    def test_compare_sees_the_layers_of_a_half_model(self):
        out = self.tmp / "half.onnx"
        self.assertEqual(run("fp16", self.model, "-o", out).returncode, 0)
        done = run("compare", out, self.model, "--data", self.eval, "--json")
        layers = json.loads(done.stdout)["layers"]
        self.assertEqual(sum(l["op"] == "Conv" for l in layers), 9)
        self.assertTrue(all(l["sqnr_db"] > 40 for l in layers), layers)

    def test_other_precisions(self):
        def sqnr(*options):
            done = run("eval", self.model, "--data", self.eval, "--against", self.model, "--json", *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            seen = json.loads(done.stdout)
            return seen["float_arithmetic"], seen["metrics"]["sqnr_db"]
        # Half an unit of 8 significant bits is 2^-9, of 11 bits 2^-12: 54 and 72 dB; layers add up.
        for options, name, low, high in ((["--bf16"], "bfloat16", 30, 54), (["--fp16"], "float16 storage", 55, 90),
                                         (["--fp16-semantics", "arithmetic"], "float16", 45, 75)):
            arithmetic, db = sqnr(*options)
            self.assertEqual(arithmetic, name)
            self.assertTrue(low < db < high, (name, db))
        for options in (["--bf16", "--fp16"], ["--fp16-semantics", "double"]):
            self.assertEqual(run("eval", self.model, "--data", self.eval, *options).returncode, 2)
        seen = json.loads(run("bench", self.model, "--bf16", "--layers", "--seconds", 0.01, "--json").stdout)
        self.assertIn("bfloat16", {layer["precision"] for layer in seen["layers"]})
        reference = run("eval", self.model, "--data", self.eval, "--bf16", "--executor", "reference")
        self.assertEqual(reference.returncode, 2)

    def test_eval_and_compare(self):
        out = self.tmp / "e.onnx"
        self.assertEqual(self.quantize(out).returncode, 0)
        seen = json.loads(run("eval", out, "--data", self.eval, "--against", self.model, "--json").stdout)
        self.assertEqual(seen["samples"], 64)
        self.assertGreater(seen["metrics"]["agreement_with_fp32"], 0.9)
        done = run("compare", out, self.model, "--data", self.eval, "--json")
        layers = json.loads(done.stdout)["layers"]
        self.assertGreaterEqual(len(layers), 11)
        self.assertTrue(all(l["sqnr_db"] > 15 for l in layers), layers)

    def of_batch(self, size):
        """The model with its batch fixed: a dim's 'N' becomes a number below 128 of as many bytes."""
        path = self.tmp / f"batch_{size}.onnx"
        whole = self.model.read_bytes()
        self.assertEqual(whole.count(b"\x0a\x03\x12\x01N"), 2)  # of the input and of the output
        path.write_bytes(whole.replace(b"\x0a\x03\x12\x01N", bytes([0x0a, 3, 8, size | 0x80, 0])))
        self.assertIn(f"[{size},", json.loads(run("inspect", path, "--json").stdout)["inputs"][0])
        return path

    def test_eval_and_compare_models_of_different_batches(self):
        one, four = self.of_batch(1), self.of_batch(4)
        for model, against in ((one, four), (four, one), (four, self.model)):
            done = run("eval", model, "--against", against, "--data", self.eval, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            seen = json.loads(done.stdout)
            self.assertEqual((seen["samples"], seen["metrics"]["agreement_with_fp32"]), (64, 1))
            done = run("compare", model, against, "--data", self.eval, "--samples", 5, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            layers = json.loads(done.stdout)["layers"]
            self.assertGreaterEqual(len(layers), 11)
            self.assertTrue(all(l["sqnr_db"] > 80 for l in layers), layers)  # one model, float32

    def test_compare_fails_where_nothing_is_compared(self):
        for samples in (0, -1, -16):
            done = run("compare", self.model, self.model, "--data", self.eval, "--samples", samples)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn("--samples", done.stderr)
        # Nodes of the other model make values of other names.
        other = self.tmp / "names.onnx"
        graph = json.loads(run("inspect", self.model, "--json").stdout)
        self.assertGreater(graph["ops"]["Conv"], 0)
        done = run("compare", self.model, self.model, "--data", self.eval, "--json")
        names = sorted({l["tensor"] for l in json.loads(done.stdout)["layers"]}, key=len, reverse=True)
        whole = self.model.read_bytes()
        for name in names:
            tagged = bytes([len(name)]) + name.encode()
            whole = whole.replace(tagged, bytes([len(name)]) + b"~" + name[1:].encode())
        other.write_bytes(whole)
        done = run("compare", other, self.model, "--data", self.eval)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertIn("no tensor of the first model", done.stderr)

    def test_compare_counts_what_equalization_scaled(self):
        out = self.tmp / "equalized.onnx"
        self.assertEqual(self.quantize(out).returncode, 0)
        found = re.search(rb"lapidary[.]equalized", out.read_bytes())
        done = run("compare", out, self.model, "--data", self.eval, "--json")
        count = json.loads(done.stdout)["equalized"]
        self.assertEqual(count > 0, found is not None)
        text = run("compare", out, self.model, "--data", self.eval).stdout
        self.assertEqual(f"{count} left out: their channels were scaled" in text, count > 0)

    def test_eval_as_on_a_cpu_without_vnni(self):
        out = self.tmp / "vnni.onnx"
        self.assertEqual(self.quantize(out).returncode, 0)
        exact = json.loads(run("eval", out, "--data", self.eval, "--json").stdout)
        self.assertEqual(exact["profile"], "onnxruntime-1.31/vnni")
        self.assertEqual(exact["saturation"], [])
        done = run("eval", out, "--data", self.eval, "--json", "--isa-semantics", "avx2-saturating")
        seen = json.loads(done.stdout)
        self.assertEqual(seen["profile"], "onnxruntime-1.31/avx2")
        for layer in seen["saturation"]:
            self.assertGreater(layer["pair_sums"], 0)
            self.assertLessEqual(layer["saturated"], layer["pair_sums"])
            self.assertRegex(layer["op"], "QLinearConv|QGemm|MatMul")
        self.assertGreater(sum(layer["saturated"] for layer in seen["saturation"]), 0)
        self.assertEqual(run("eval", out, "--data", self.eval, "--isa-semantics", "avx3").returncode, 2)

    def test_seven_bit_weights_do_not_saturate(self):
        out = self.tmp / "avx2.onnx"
        done = run("quantize", self.model, "-o", out, "--calib", self.calib, "--eval", self.eval, "--no-bench",
                   "--target", "onnxruntime-cpu-avx2", "--isa-semantics", "avx2-saturating", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        (other,) = report["cpu_classes"]
        self.assertEqual((other["stage"], other["profile"]), (report["stages"][1]["name"], "onnxruntime-1.31/avx2"))
        self.assertEqual(other["metrics"], report["stages"][1]["metrics"])
        self.assertGreater(len(other["layers"]), 1)
        self.assertEqual(sum(layer["saturated"] for layer in other["layers"]), 0)
        self.assertFalse([w for w in report["warnings"] if "VNNI" in w])

    def test_quantize_warns_of_layers_that_saturate(self):
        out = self.tmp / "warned.onnx"
        done = run("quantize", self.model, "-o", out, "--calib", self.calib, "--eval", self.eval, "--no-bench",
                   "--isa-semantics", "avx2-saturating")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("onnxruntime-cpu-avx2", done.stdout + done.stderr)
        self.assertIn("Accuracy by class of CPU", done.stdout)
        self.assertIn("Layers that saturate", done.stdout)
        text = Path(f"{out}.report.md").read_text()
        self.assertIn("onnxruntime-1.31/avx2", text)
        done = run("quantize", self.model, "-o", self.tmp / "x.onnx", "--calib", self.calib,
                   "--isa-semantics", "avx2-saturating")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--eval", done.stderr)

    def test_kernels_take_no_options_of_models(self):
        for more in (("--batch", 4), ("--layers",), ("--versus", "onnxruntime"), ("--bf16",)):
            done = run("bench", "--kernels", "--family", "exp_f32", *more)
            self.assertEqual(done.returncode, 2, more)
            self.assertIn(more[0], done.stderr)

    def test_integer_arithmetic_of_a_float_model_differs_nowhere(self):
        done = run("eval", self.model, "--data", self.eval, "--isa-semantics", "onnxruntime-1.31/avx2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nothing differs", done.stdout)

    def test_profiles_by_name_everywhere(self):
        out = self.tmp / "profile.onnx"
        done = self.quantize(out, "--no-bench", "--isa-semantics", "onnxruntime-1.31/avx2")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(Path(f"{out}.report.json").read_text())
        self.assertEqual(report["cpu_classes"][0]["profile"], "onnxruntime-1.31/avx2")

    def test_closed_stdout(self):
        done = subprocess.run(f"'{LAPIDARY}' inspect '{self.model}' --layers >&-", shell=True,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 6, done.stderr)

    def test_reader_that_leaves(self):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.Popen([LAPIDARY, "doctor"], stdout=write, stderr=subprocess.PIPE, text=True)
        os.close(write)
        self.assertEqual(done.communicate(timeout=60)[1], "")
        self.assertEqual(done.returncode, -signal.SIGPIPE)

    def test_eval_without_labels_says_so(self):
        self.assertIn("no labels", run("eval", self.model, "--data", self.calib).stdout)
        self.assertNotIn("no labels", run("eval", self.model, "--data", self.eval).stdout)

    def test_no_home(self):
        env = {k: v for k, v in os.environ.items() if k != "HOME"}
        done = subprocess.run([LAPIDARY, "doctor"], env=env, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0)

    def test_argument_that_is_not_utf8(self):
        done = subprocess.run([LAPIDARY.encode() if isinstance(LAPIDARY, str) else bytes(LAPIDARY),
                               b"inspect", b"\xff\xfe.onnx"], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 6)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=1)
