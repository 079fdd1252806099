"""Training from the command line: verbs, progress, signals, checkpoints, resumption. Not run where Lapidary was built
without training.

usage: training_test.py LAPIDARY SOURCE_FOLDER
"""
import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import unittest

from fixture import FASHION, LAPIDARY, SOURCE, Fixture, idx, report_fields, run

NORM = "scale: 0.00392156862745098, mean: [0.286], std: [0.353]"
COUNT = 512


class Training(Fixture):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with gzip.open(FASHION / "train-images-idx3-ubyte.gz") as f:
            idx(cls.tmp / "train", f.read()[16:16 + COUNT * 784], (COUNT, 28, 28))
        with gzip.open(FASHION / "train-labels-idx1-ubyte.gz") as f:
            idx(cls.tmp / "train_labels", f.read()[8:8 + COUNT], (COUNT,))
        cls.train = f"{{kind: idx, path: {cls.tmp}/train, labels: {cls.tmp}/train_labels, {NORM}, augment: [{{flip: 0.5}}]}}"
        cls.short = ["--batch", "64", "--epochs", "2", "--log-every", "2", "--no-bench"]

    def verb(self, verb, out, *more, model=None, **kw):
        return run(verb, model or self.model, "-o", out, "--train", self.train, "--eval", self.eval, *self.short, *more, **kw)

    def test_finetune_reports_progress_curves_and_both_models(self):
        out = self.tmp / "tuned.onnx"
        done = self.verb("finetune", out, "--lr", "0.001", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        documented = re.findall(r"(?m)^\| `(trainings\S+)` \|", (SOURCE / "docs/report.md").read_text())
        self.assertEqual(sorted(report_fields(report["trainings"], "trainings")), sorted(documented))
        training, = report["trainings"]
        self.assertEqual(training["steps"], 2 * COUNT // 64)
        self.assertEqual([e["epoch"] for e in training["epochs"]], [0, 1])
        self.assertGreater(report["stages"][1]["metrics"]["top1"], 0.8)
        for part in ("loss", "accuracy", "images/s", "left"):
            self.assertIn(part, done.stderr)
        self.assertTrue((self.tmp / "tuned.best.onnx").exists())
        self.assertTrue((self.tmp / "tuned.checkpoint.safetensors").exists())

    def test_qat_of_four_bits(self):
        out = self.tmp / "w4a4.onnx"
        done = self.verb("qat", out, "--bits", "{weights: 4, activations: 4, layers: {'op:Gemm': 8}}",
                         "--schedule", "{step: {every: 0.5}}", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertGreater(report["integer_layers"]["ran"], 0)
        chosen = {t["role"]: t["chosen"] for t in report["tensors"]}
        self.assertEqual(chosen["weight"], [None, None])
        self.assertNotIn(None, chosen["activation"])
        self.assertEqual({layer["latency_ms"] for layer in report["layers"]}, {None}, "nothing is timed")
        self.assertRegex(done.stderr, r"end of epoch 1.*, top1 [0-9.]+ %")
        self.assertGreater(report["stages"][1]["metrics"]["top1"], 0.75)

    def sparse_recipe(self, name, *steps):
        recipe = self.tmp / f"{name}.yaml"
        recipe.write_text(f"lapidary: 1\nmodel: {self.model}\noutput: {self.tmp}/{name}\n"
                          f"data: {{train: {self.train}, eval: {self.eval}}}\nevaluate: {{bench: null, every_step: true}}\n"
                          "steps:\n" + "".join(f"  - {step}\n" for step in steps))
        done = run("run", recipe, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_zeros_stay_zero_through_training_and_export(self):
        steps = ["sparsify: {ratio: 0.7}", "finetune: {epochs: 1, batch: 64, lr: 0.005}",
                 "distill: {epochs: 1, batch: 64, lr: 0.005, teacher: original, ema: 0.9}", "qat: {epochs: 1, batch: 64}"]
        report = self.sparse_recipe("kept", *steps)
        masked = report["masked"]
        self.assertGreaterEqual(masked["zeros"], 0.7 * masked["weights"] - 1)
        self.assertLess(masked["compressed_bytes"], 0.3 * masked["compressed_before"])
        self.assertGreater(report["integer_layers"]["ran"], 0)
        self.assertGreater(report["stages"][-1]["metrics"]["top1"], 0.8)
        steps[1:] = ["finetune: {epochs: 1, batch: 64, lr: 0.005, keep_zeros: false}"]
        lost = self.sparse_recipe("lost", *steps)
        self.assertGreater(lost["stages"][-1]["nonzero_parameters"], 0.9 * lost["stages"][-1]["parameters"])
        self.assertNotIn("masked", lost)

    def test_prune_train_refuses_in_a_dry_run(self):
        folded = self.tmp / "folded.onnx"  # no normalization is left
        self.assertEqual(run("optimize", self.model, "-o", folded, "--no-bench").returncode, 0)
        for options, said in ((["--keep", "conv*"], "'keep_nodes'"), (["--keep-nodes", "nothing"], "no node matches"),
                              (["--regularizer", "slimming"], "normalization"),
                              (["--criterion", "wanda"], "criterion 'wanda' needs calibration data: give --calib DATA")):
            done = self.verb("prune_train", self.tmp / "no.onnx", "--dry-run", *options, model=folded)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(said, done.stderr)
        done = self.verb("prune_train", self.tmp / "no.onnx", "--dry-run", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        planned, = json.loads(done.stdout)["prunings"]
        self.assertTrue(planned["planned"] and planned["groups"], planned)

    def test_zeros_of_a_file_are_kept_where_that_is_asked(self):
        sparse = self.tmp / "zeros.onnx"
        self.assertEqual(run("sparsify", self.model, "-o", sparse, "--ratio", "0.8", "--no-bench").returncode, 0)
        done = self.verb("finetune", self.tmp / "zeros.onnx.dry", "--dry-run", "--json", model=sparse)
        self.assertTrue(any("`keep_zeros: true`" in w for w in json.loads(done.stdout)["warnings"]), done.stdout[-500:])
        for keep in ("on", "off"):
            done = self.verb("finetune", self.tmp / f"zeros_{keep}.onnx", "--keep-zeros", keep, "--lr", "0.001", "--json",
                             model=sparse)
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(done.stdout)
            before, after = (s["nonzero_parameters"] for s in report["stages"])
            if keep == "on":
                self.assertLessEqual(after, before + 0.02 * report["stages"][0]["parameters"])
                self.assertGreater(report["masked"]["zeros"], 0.78 * report["masked"]["weights"])
            else:
                self.assertGreater(after, 2 * before)
                self.assertNotIn("masked", report)

    def test_masks_grow_while_it_trains(self):
        for method in ("magnitude", "movement"):
            done = self.verb("finetune", self.tmp / f"grown_{method}.onnx", "--lr", "0.005", "--json", "--keep", "best",
                             "--sparsify", f"{{method: {method}, ratio: 0.75, every: 2, end: 0.7}}")
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(done.stdout)
            masked = report["masked"]
            self.assertAlmostEqual(masked["zeros"], 0.75 * masked["weights"], delta=masked["weights"] * 0.001)
            self.assertEqual([e["best"] for e in report["trainings"][0]["epochs"]], [False, True])
        done = self.verb("finetune", self.tmp / "no.onnx", "--sparsify", "{method: sparsegpt}")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("movement", done.stderr)

    def test_qat_after_train_is_held_against_the_trained_model(self):
        recipe = self.tmp / "anew.yaml"
        recipe.write_text(f"""lapidary: 1
model: {self.model}
output: {self.tmp}/anew
data: {{train: {self.train}, eval: {self.eval}}}
evaluate: {{bench: null}}
steps:
  - train: {{epochs: 1, batch: 64, lr: 0.01}}
  - qat: {{epochs: 1, batch: 64}}
""")
        done = run("run", recipe, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        first, trained, quantized = (stage["metrics"] for stage in report["stages"])
        self.assertEqual(report["reference"], "train")
        self.assertNotIn("sqnr_db", first)
        self.assertNotIn("sqnr_db", trained, "it is what the last one is held against")
        self.assertGreater(quantized["agreement_with_fp32"], 0.5)
        taken = report["estimate"]["training_bytes"]
        planned = json.loads(run("run", recipe, "--json", "--dry-run").stdout)["estimate"]["training_bytes"]
        self.assertAlmostEqual(planned / taken, 1, delta=0.1, msg="the second step's memory is the first one's again")

        # What a later step would refuse is told before anything is written.
        effective = (self.tmp / "anew/recipe.effective.yaml").read_text()
        for more in ([], ["--dry-run"]):
            done = run("run", recipe, "--resume", "--set", "steps.qat.lr=0.5", *more)
            self.assertEqual(done.returncode, 3, done.stdout)
            self.assertRegex(done.stderr, r"step 'qat': .*lr: \S+ there, 0.5 here")
        self.assertEqual((self.tmp / "anew/recipe.effective.yaml").read_text(), effective)

        # A run of its own leaves no checkpoint of a step that began from another model.
        child = subprocess.Popen([LAPIDARY, "run", str(recipe), "--set", "steps.train.lr=0.02"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True)
        for line in child.stderr:
            if line.startswith("end of epoch 1"):
                break
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=120)
        done = run("run", recipe, "--set", "steps.train.lr=0.02", "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)

        # Nor of one that the recipe has no longer; an interruption before the first step keeps a checkpoint.
        kept = self.tmp / "anew/checkpoints"
        self.assertTrue((kept / "2-qat.safetensors").exists())
        child = subprocess.Popen([LAPIDARY, "run", str(recipe), "--set", "steps=[{train: {epochs: 1, batch: 8}}]"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        told = ""
        for line in child.stderr:
            told += line
            if line.startswith("1/1 train"):
                break
        child.send_signal(signal.SIGINT)
        told += child.communicate(timeout=120)[1]
        self.assertEqual(child.returncode, 130, told)
        self.assertEqual([f.name for f in kept.glob("2-*")], [])
        self.assertTrue((kept / "1-train.safetensors").exists())

        lost = run("run", recipe, "--out", self.tmp / "lost", "--json", "--set",
                   "limits={max_drop_points: {top1: 0.5}}")
        limit, = json.loads(lost.stdout)["limits"]
        before, after = (s["metrics"]["top1"] for s in json.loads(lost.stdout)["stages"][1:])
        self.assertAlmostEqual(limit["got"], 100 * (before - after), places=6, msg="from the trained model, not the untrained one")

    def test_weights_made_anew_have_nothing_to_be_held_against(self):
        recipe = self.tmp / "alone.yaml"
        text = f"""lapidary: 1
model: {self.model}
output: {self.tmp}/alone
data: {{train: {self.train}, eval: {self.eval}}}
evaluate: {{bench: null}}
steps: [{{train: {{steps: 2, batch: 64}}}}]
"""
        recipe.write_text(text + "limits: {min_agreement: 0.1}\n")
        done = run("run", recipe, "--dry-run")
        self.assertEqual(done.returncode, 2)
        self.assertIn("makes its weights anew", done.stderr)
        recipe.write_text(text)
        done = run("run", recipe, "--json", "--seed", "7")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["seed"], 7)
        self.assertGreater(len(report["layers"]), 0, "kernels are told without a model to compare with")
        done = run("run", recipe, "--dry-run", "--set", "steps.train.teacher=original")
        self.assertEqual(done.returncode, 2)
        self.assertIn("name a file", done.stderr)
        unlabelled = self.eval.replace(f"labels: {self.tmp}/labels, ", "")
        done = run("run", recipe, "--dry-run", "--set", f"data.eval={unlabelled}", "--set", "steps.train.keep=best")
        self.assertEqual(done.returncode, 2)
        self.assertIn("labelled data", done.stderr)

    def test_resume_with_other_samples_for_ranges_is_refused(self):
        out = self.tmp / "ranges.onnx"
        arguments = ["qat", self.model, "-o", out, "--train", self.train, "--epochs", "1", "--batch", "64", "--no-bench"]
        done = run(*arguments, "--calib", self.calib)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run(*arguments, "--calib", self.calib, "--resume", "--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run(*arguments, "--calib", self.calib[:-1] + ", limit: 32}", "--resume")
        self.assertEqual(done.returncode, 3)
        self.assertIn("samples for ranges: 64 there, 32 here", done.stderr)

    def test_few_samples_for_batch_normalization_are_told(self):
        untrained = SOURCE / "examples/fashion_mnist/fashion_untrained.onnx"
        for batch, told in ((8, True), (64, False)):
            done = run("finetune", untrained, "-o", self.tmp / "few.onnx", "--train", self.train, "--steps", "1",
                       "--batch", str(batch), "--no-bench")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual("a larger `batch`" in done.stderr, told, done.stderr)

    def test_distill_names_its_losses(self):
        done = self.verb("distill", self.tmp / "taught.onnx", "--losses", "{kd: {temperature: 2, weight: 0.5}}", "--losses",
                         "cross_entropy", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        whole = self.verb("distill", self.tmp / "taught3.onnx", "--losses", "[cross_entropy, {kd: {temperature: 2, weight: 0.5}}]")
        self.assertEqual(whole.returncode, 0, whole.stderr)
        self.assertEqual((self.tmp / "taught.onnx").stat().st_size, (self.tmp / "taught3.onnx").stat().st_size)
        wrong = self.verb("distill", self.tmp / "taught2.onnx", "--losses", "kdd")
        self.assertEqual(wrong.returncode, 2)
        self.assertRegex(wrong.stderr, "did you mean .*'kd'")

    def test_missing_data_and_models_are_told_before_work(self):
        done = run("finetune", self.model, "-o", self.tmp / "x.onnx", "--eval", self.eval)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--train", done.stderr)
        done = self.verb("finetune", self.tmp / "x.onnx", "--device", "cuda")
        self.assertIn(done.returncode, (0, 4), done.stderr)

    def test_ctrl_c_keeps_a_checkpoint_and_resume_goes_on(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            out = self.tmp / f"stopped{code}.onnx"
            arguments = ["finetune", self.model, "-o", out, "--train", self.train, "--eval", self.eval, "--batch", "64",
                         "--log-every", "2", "--no-bench"]
            child = subprocess.Popen([LAPIDARY, *map(str, arguments), "--epochs", "6"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for line in child.stderr:
                if "step 4 of" in line:
                    break
            child.send_signal(number)
            stdout, stderr = child.communicate(timeout=120)
            self.assertEqual(child.returncode, code, stderr)
            self.assertIn("--resume", stdout)
            self.assertIn("stopped after a checkpoint, without a result", stdout)
            self.assertIn("memory in training", stdout)
            self.assertFalse(out.exists())
            for more in ([], ["--dry-run"]):
                done = run(*arguments, "--epochs", "2", "--resume", *more)
                self.assertEqual(done.returncode, 3, "the checkpoint is of 6 epochs")
            other = self.tmp / "other.onnx"
            if not other.exists():
                made = run("finetune", self.model, "-o", other, "--train", self.train, "--steps", "1", "--batch", "64", "--no-bench")
                self.assertEqual(made.returncode, 0, made.stderr)
            done = run(*[other if a == self.model else a for a in arguments], "--epochs", "6", "--resume")
            self.assertEqual(done.returncode, 3)
            self.assertRegex(done.stderr, r"another run \(model \(SHA-256\)")
            done = run(*arguments, "--epochs", "6", "--resume", "--dry-run")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("going on from step", done.stderr)
            done = run(*arguments, "--epochs", "6", "--resume")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("going on from step", done.stderr)
            self.assertTrue(out.exists())

    def test_ctrl_c_behind_the_last_step_is_heard(self):
        out = self.tmp / "late.onnx"
        arguments = ["finetune", self.model, "-o", out, "--train", self.train, "--eval", self.eval, "--batch", "64",
                     "--log-every", "2", "--epochs", "1"]
        child = subprocess.Popen([LAPIDARY, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in child.stderr:
            if line.startswith("end of epoch 1"):
                break
        while child.poll() is None and not out.exists():  # the last step's model is written: measuring begins
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        stdout, stderr = child.communicate(timeout=120)
        self.assertEqual(child.returncode, 130, stderr)
        self.assertIn("--resume", stdout)
        self.assertFalse((self.tmp / "late.onnx.report.json").exists())
        done = run(*arguments, "--no-bench", "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.tmp / "late.onnx.report.json").exists())

    def test_dry_run_of_training_says_bits_and_memory(self):
        done = self.verb("qat", self.tmp / "dry.onnx", "--bits", "{weights: 4, layers: {'op:Gemm': 8}}", "--dry-run", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual({layer["weights"] for layer in report["layer_bits"]}, {4, 8})
        self.assertGreater(report["estimate"]["training_bytes"], 0)
        wrong = self.verb("distill", self.tmp / "dry.onnx", "--teacher", self.tmp / "nobody.onnx", "--dry-run")
        self.assertEqual(wrong.returncode, 6, wrong.stderr)

    def test_killed_at_random_moments_ends_as_undisturbed(self):
        def arguments(out):
            return ["qat", self.model, "-o", out, "--train", self.train, "--eval", self.eval, *self.short, "--resume",
                    "--checkpoint-every", "3", "--ema", "0.9"]
        whole, killed = self.tmp / "whole.onnx", self.tmp / "killed.onnx"
        began = time.monotonic()
        done = run(*arguments(whole))
        self.assertEqual(done.returncode, 0, done.stderr)
        seconds = time.monotonic() - began
        rng, kills = random.Random(3), 0
        for _ in range(100):
            child = subprocess.Popen([LAPIDARY, *map(str, arguments(killed))], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
            try:
                self.assertEqual(child.wait(timeout=rng.uniform(0.2, 0.8) * seconds), 0)
                break
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                kills += 1
                if kills == 4:
                    seconds *= 100  # enough: to the end
        self.assertGreater(kills, 0)
        self.assertEqual(whole.read_bytes(), killed.read_bytes())


if __name__ == "__main__":
    if "built without training" in run("doctor").stdout:
        print("built without training")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
