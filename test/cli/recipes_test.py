#!/usr/bin/env python3
"""Recipes from the command line: what runs, what is refused before any work.

usage: recipes_test.py LAPIDARY SOURCE_DIR
"""
import hashlib
import json
import re
import sys
import unittest

from fixture import SOURCE, Fixture, report_fields, run


RECIPE = """lapidary: 1
model: {model}
output: {tmp}/recipe_out
data:
  calib: {calib}
  eval: {eval}
steps:
  - quantize: {{calibrator: minmax}}
evaluate: {{bench: {{seconds: 0.05}}}}
"""


class Recipes(Fixture):
    def recipe(self, text):
        path = self.tmp / "recipe.yaml"
        path.write_text(text if isinstance(text, str) else "")
        return path

    def whole(self):
        return RECIPE.format(model=self.model, tmp=self.tmp, calib=self.calib, eval=self.eval)

    def refused(self, text, *parts):
        path = self.recipe(text)
        done = run("recipe", "validate", path)
        self.assertEqual(done.returncode, 2, f"{text}\n{done.stdout}{done.stderr}")
        for part in parts:
            self.assertIn(part, done.stderr)

    def test_run(self):
        done = run("run", self.recipe(self.whole()))
        self.assertEqual(done.returncode, 0, done.stderr)
        made = {p.name for p in (self.tmp / "recipe_out").iterdir()}
        self.assertLessEqual({"model.onnx", "1-quantize.onnx", "report.html", "report.json", "report.md",
                              "recipe.effective.yaml"}, made)
        again = run("run", self.tmp / "recipe_out/recipe.effective.yaml", "--out", self.tmp / "second")
        self.assertEqual(again.returncode, 0, again.stderr)
        used = (self.tmp / "second/recipe.effective.yaml").read_text()
        self.assertRegex(used, rf"(?m)^output: .*{re.escape(str(self.tmp / 'second'))}")
        self.assertNotIn("recipe_out", used)
        self.assertEqual((self.tmp / "second/model.onnx").read_bytes(),
                         (self.tmp / "recipe_out/model.onnx").read_bytes())

    def test_run_does_not_overwrite_its_model(self):
        out = self.tmp / "in_place"
        out.mkdir()
        (out / "model.onnx").write_bytes(self.model.read_bytes())
        text = RECIPE.format(model=out / "model.onnx", tmp=self.tmp, calib=self.calib, eval=self.eval)
        done = run("run", self.recipe(text), "--out", out)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("model.onnx", done.stderr)
        self.assertEqual((out / "model.onnx").read_bytes(), self.model.read_bytes())

    def test_run_does_not_overwrite_its_recipe(self):
        out = self.tmp / "of_recipe"
        out.mkdir()
        recipe = out / "model.onnx"
        recipe.write_text(self.whole())
        done = run("run", recipe, "--out", out)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(recipe.read_text(), self.whole())
        effective = out / "recipe.effective.yaml"
        effective.write_text(self.whole())  # another text than what would be written
        done = run("run", effective, "--out", out)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(effective.read_text(), self.whole())

    def test_run_again_from_the_effective_recipe(self):
        out = self.tmp / "again"
        self.assertEqual(run("run", self.recipe(self.whole()), "--out", out).returncode, 0)
        first = (out / "recipe.effective.yaml").read_bytes()
        done = run("run", out / "recipe.effective.yaml")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((out / "recipe.effective.yaml").read_bytes(), first)

    def test_without_steps_the_model_is_measured(self):
        text = re.sub(r"steps:\n.*\n", "steps: []\n", self.whole())
        out = self.tmp / "measured"
        done = run("run", self.recipe(text), "--out", out, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        stages = json.loads(done.stdout)["stages"]
        self.assertEqual([s["name"] for s in stages], ["fp32"])
        self.assertGreater(stages[0]["metrics"]["top1"], 0.8)
        self.assertTrue(stages[0]["latency_ms"])
        self.assertFalse((out / "model.onnx").exists())
        self.assertIn("top1", (out / "report.md").read_text().splitlines()[2])

    def test_fields_of_the_report_are_documented(self):
        prune = ("  - prune: {target: {macs: 0.9}, lossy: true, sensitivity: {ratios: [0.5], samples: 8}, "
                 "budget: {max_drop_points: 100, samples: 8, tries: 1}}\n")
        text = self.whole().replace("steps:\n", "steps:\n  - factorize: {ranks: {share: 0.3}, round_to: 1}\n" + prune + "  - sparsify: {ratio: 0.1}\n  - optimize: {}\n").replace("minmax}", "minmax, skip: 'op:Gemm'}")
        text = text.replace("evaluate: {", "evaluate: {execution: [bf16], isa_semantics: [avx2-saturating], ")
        done = run("run", self.recipe(text + "limits: {min_sqnr_db: -50}\n"), "--json", "--out", self.tmp / "fields")
        self.assertEqual(done.returncode, 0, done.stderr)
        documented = re.findall(r"(?m)^\| `(\S+)` \|", (SOURCE / "docs/report.md").read_text())
        report = json.loads(done.stdout)
        self.assertEqual(report.pop("trainings"), [])  # training_test.py has a run with some
        self.assertEqual(sorted(report_fields(report)), sorted(f for f in documented if not f.startswith("trainings")))

    def test_steps_that_cannot_follow_one_another(self):
        twice = self.whole().replace("steps:\n", "steps:\n  - quantize: {}\n")
        self.refused(twice, "recipe.yaml:9:5", "cannot follow", "requantize")
        self.refused(twice.replace("quantize: {}", "fp16: {}"), "recipe.yaml:9:5", "float16")

    def test_steps_that_follow_one_another(self):
        text = self.whole().replace("steps:\n", "steps:\n  - quantize: {calibrator: percentile}\n")
        text = text.replace("minmax}", "minmax, requantize: true}\n  - optimize: {}")
        path = self.recipe(text.replace("recipe_out", "followed"))
        self.assertEqual(run("recipe", "validate", path).returncode, 0)
        done = run("run", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        made = self.tmp / "followed"
        # Statistics are of one graph: each quantize took its own, and the last ones are kept.
        kept = hashlib.sha256((made / "statistics.lpstat").read_bytes()).hexdigest()
        self.assertEqual(json.loads((made / "report.json").read_text())["provenance"]["statistics"], kept)
        self.assertEqual((made / "model.onnx").read_bytes().count(b"lapidary.sha256.statistics"), 1)

    def test_report_of_a_second_quantization_speaks_of_it_alone(self):
        once = self.whole().replace("recipe_out", "q_once").replace("steps:\n", "steps:\n  - optimize: {}\n")
        twice = once.replace("q_once", "q_twice").replace(
            "evaluate:", "  - name: q2\n    quantize: {calibrator: entropy, requantize: true}\nevaluate:")
        reports = []
        for text in (once, twice):
            done = run("run", self.recipe(text), "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            reports.append(json.loads(done.stdout))
        one, two = reports

        def compared(report):
            return {layer["node"] for layer in report["layers"] if layer["sqnr_db"] is not None}
        self.assertGreater(len(compared(one)), 5)
        self.assertLessEqual(compared(one), compared(two))  # the names are those of the float model
        for key, name in (("histograms", "tensor"), ("tensors", "tensor"), ("kept_float", "node")):
            names = [entry[name] for entry in two[key]]
            self.assertEqual(len(names), len(set(names)), key)
        self.assertEqual({t["calibrator"] for t in two["tensors"] if t["role"] == "activation"}, {"entropy"})
        self.assertEqual(len(two["quantized"]), len(set(two["quantized"])))
        done = run("recipe", "validate", self.recipe(twice.replace("minmax}", "minmax, format: qoperator}")))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("integer operators", done.stderr)
        self.assertNotIn("requantize", done.stderr)

    def test_explain_and_set(self):
        done = run("recipe", "explain", self.recipe(self.whole()), "--set", "steps.quantize.target=tensorrt")
        self.assertIn("tensorrt", done.stdout)

    def test_schema_is_json(self):
        schema = json.loads(run("recipe", "schema").stdout)
        self.assertIn("quantize", json.dumps(schema["properties"]["steps"]))
        self.assertEqual(schema["$defs"]["evaluate"]["properties"]["winograd"]["enum"], [0, 2, 4])

    def test_unknown_key(self):
        self.refused(self.whole().replace("calibrator:", "calibratr:"), "calibratr", "did you mean 'calibrator'",
                     "recipe.yaml:8:")

    def test_duplicate_key(self):
        self.refused(self.whole() + "model: other.onnx\n", "stands twice", ":10:1", ":2:1")

    def test_wrong_values(self):
        whole = self.whole()
        self.refused(whole.replace("minmax", "maxmin"), "minmax")
        self.refused(whole + "seed: -1\n", "seed")
        self.refused(whole + "seed: 010\n", "decimal")
        self.refused(whole + "seed: 99999999999999999999\n", "64 bits")
        self.refused(whole + "limits: {min_sqnr_db: .nan}\n", "finite")
        self.refused(whole + "limits: {min_sqnr_db: 1e400}\n", "min_sqnr_db")
        self.refused(whole + "limits: {min_agreement: 1.5}\n", "0..1")
        self.refused(whole.replace("lapidary: 1", "lapidary: 2"), "1..1")
        for tile in (1, 3, 6):
            self.refused(whole.replace("evaluate: {", f"evaluate: {{winograd: {tile}, "), "one of 0, 2, 4")

    def test_broken_yaml(self):
        self.refused('lapidary: 1\nmodel: "never closed\n', "quote")
        self.refused(self.whole() + "---\nlapidary: 1\n", "second document")
        self.refused("a: &a [*a]\n", "")
        self.refused("\tlapidary: 1\n", "")
        self.refused("[" * 600, "")
        bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))
        self.refused(bomb, "settings")

    def test_contradictions(self):
        no_calib = re.sub(r"  calib:.*\n", "", self.whole())
        self.refused(no_calib, "calib")
        self.refused(self.whole().replace("minmax", "minmax, format: qoperator, target: tensorrt"), "qdq")
        self.refused(self.whole() + "limits: {max_latency_ms: 1, threads: 7}\n", "threads")
        self.refused(self.whole().replace("- quantize:", "- quantise:"), "did you mean 'quantize'")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=1)
