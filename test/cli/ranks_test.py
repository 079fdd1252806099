"""Several processes that train or calibrate together, started as torchrun starts them. Not run where Lapidary was built
without training or without Gloo.

usage: ranks_test.py LAPIDARY SOURCE_FOLDER
"""
import json
import os
import signal
import sys
import time
import unittest

from fixture import run
from ranks import BATCH, COUNT, Group, RanksFixture, initializers, losses, unavailable

# Sums of float32 in another order, over 5 steps: what was seen is a tenth of these.
LOSS, WEIGHTS = 1e-4, 1e-3
# Fake quantization rounds: sums that differ in the last bit put some elements on the next integer, and training goes on from
# there. One process on 3 threads instead of 1 comes as far from itself as two processes do: 3 % of the loss at 4 bits and a
# rate of 0.01, 0.05 to 0.9 % at 8 bits and 0.001, where scales are apart by 1e-4 of themselves and no weight by over 1 step.
QAT_FIRST_LOSS, QAT_LOSS, QAT_SCALES = 1e-3, 3e-2, 1e-3
SECONDS = 120  # until the end of the others is noticed, on a machine that is busy


class Ranks(RanksFixture):
    def alone(self, *args):
        folder, = self.folders(1)
        done = run(*args, cwd=folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return folder, done.stdout

    def assert_only_first_speaks(self, folders, outputs, errors):
        self.assertIn("step 1 of", errors[0])
        for folder, output, error in zip(folders[1:], outputs[1:], errors[1:]):
            self.assertEqual((output, error), ("", ""))
            self.assertEqual(os.listdir(folder), [])

    def test_two_train_as_one_with_the_whole_batch(self):
        args = self.training("finetune")
        folder, report = self.alone(*args)
        folders = self.folders(2)
        codes, outputs, errors = Group(folders, *args).wait()
        self.assertEqual(codes, [0, 0], errors)
        self.assert_only_first_speaks(folders, outputs, errors)
        self.assertEqual(len(losses(report)), COUNT // BATCH)
        self.assert_losses(losses(outputs[0]), losses(report), LOSS)
        self.assert_same_model(folders[0] / "out.onnx", folder / "out.onnx", WEIGHTS)
        # The running statistics are among what was compared, and training moved them.
        was, now = initializers(self.model), initializers(folder / "out.onnx")
        moved = [name for name in now if name in was and "var" in name and now[name] != was[name]]
        self.assertGreater(len(moved), 5, sorted(now))

    def test_two_train_with_quantization_as_one(self):
        args = self.training("qat", "--samples", "33", lr=0.001)
        folder, report = self.alone(*args)
        folders = self.folders(2)
        codes, outputs, errors = Group(folders, *args).wait()
        self.assertEqual(codes, [0, 0], errors)
        self.assert_only_first_speaks(folders, outputs, errors)
        self.assert_losses(losses(outputs[0])[:1], losses(report)[:1], QAT_FIRST_LOSS)
        self.assert_losses(losses(outputs[0]), losses(report), QAT_LOSS)
        self.assert_same_model(folders[0] / "out.onnx", folder / "out.onnx", QAT_SCALES)

    def test_losses_among_samples_say_that_each_sees_its_part(self):
        args = self.training("distill", "--losses", "[dist]")
        codes, _, errors = Group(self.folders(2), *args).wait()
        self.assertEqual(codes, [0, 0], errors)
        self.assertIn("its own part", errors[0])

    def test_recipe_calibrates_together_to_the_same_bytes(self):
        recipe = self.tmp / "recipe.yaml"
        recipe.write_text(f"""
lapidary: 1
model: {self.model}
output: out
data: {{calib: {self.calib}, train: {self.train}, eval: {self.eval}}}
steps:
  - quantize: {{samples: 61}}
  - qat: {{epochs: 1, batch: {BATCH}, log_every: 1, lr: 0.001}}
evaluate: {{bench: null}}
""")
        args = ["run", recipe, "--threads", "1", "--json", "--out", "out"]
        folder, report = self.alone(*args)
        folders = self.folders(2)
        codes, outputs, errors = Group(folders, *args).wait()
        self.assertEqual(codes, [0, 0], errors)
        self.assert_only_first_speaks(folders, outputs, errors)
        for name in ("statistics.lpstat", "1-quantize.onnx"):
            self.assertEqual((folders[0] / "out" / name).read_bytes(), (folder / "out" / name).read_bytes(), name)
        self.assert_losses(losses(outputs[0]), losses(report), QAT_LOSS)

    def test_three_calibrate_to_the_bytes_of_one(self):
        args = ["calibrate", self.model, "--data", self.calib, "-o", "s.lpstat", "--samples", "61", "--threads", "1", "--json"]
        folder, report = self.alone(*args)
        folders = self.folders(3)
        codes, outputs, errors = Group(folders, *args).wait()
        self.assertEqual(codes, [0, 0, 0], errors)
        self.assertEqual((folders[0] / "s.lpstat").read_bytes(), (folder / "s.lpstat").read_bytes())
        self.assertEqual(json.loads(outputs[0])["samples"], 61)
        self.assertEqual([os.listdir(f) for f in folders[1:]], [[], []])
        codes, _, errors = Group(self.folders(2), *args, "--resume").wait()
        self.assertEqual(codes, [2, 2])
        self.assertIn("a checkpoint is of one", errors[1])

    def test_odd_batch_is_refused_by_both(self):
        codes, _, errors = Group(self.folders(2), *self.training("finetune", batch=33)).wait()
        self.assertEqual(codes, [2, 2], errors)
        for rank, error in enumerate(errors):
            self.assertIn("a batch of 33 does not divide among 2 processes", error)
            self.assertIn(f"rank {rank} of 2", error)

    def begun(self, folders, env=None, **settings):
        """Processes in the midst of a long training."""
        group = Group(folders, *self.training("finetune", **{"epochs": 500, **settings}), env=env)
        for line in group.processes[0].stderr:
            if "step 2 of" in line:
                return group
        self.fail(group.wait()[2])

    def end_of(self, group, gone):
        """What the other of two processes says, and how it ends, where one is gone."""
        began = time.monotonic()
        other = group.processes[1 - gone]
        try:
            error = other.communicate(timeout=SECONDS)[1]
        finally:
            for p in group.processes:
                p.kill()
                p.wait()
                p.stdout.close()
                p.stderr.close()
        self.assertLess(time.monotonic() - began, SECONDS)
        return other.returncode, error

    def test_killed_process_ends_the_other(self):
        for gone in (0, 1):
            group = self.begun(self.folders(2))
            group.processes[gone].kill()
            code, error = self.end_of(group, gone)
            self.assertEqual(code, 6, error)
            self.assertIn(f"rank {gone} is gone or does not answer", error)
            self.assertIn(f"rank {1 - gone} of 2", error)

    def test_process_that_hangs_ends_the_other_in_time(self):
        group = self.begun(self.folders(2), env={"LAPIDARY_RANK_TIMEOUT": "10"})
        group.processes[0].send_signal(signal.SIGSTOP)  # it keeps the store that others ask
        code, error = self.end_of(group, 0)
        self.assertEqual(code, 6, error)
        self.assertIn("rank 0 is gone or does not answer", error)

    def test_process_that_does_not_come_is_named(self):
        folder, = self.folders(1)
        args = self.training("finetune")
        done = run(*args, cwd=folder, env={"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": "0", "LAPIDARY_RANK_TIMEOUT": "2"})
        self.assertEqual(done.returncode, 2)
        self.assertIn("MASTER_PORT", done.stderr)
        group = Group([folder], *args, env={"WORLD_SIZE": "2", "LAPIDARY_RANK_TIMEOUT": "2"})
        codes, _, errors = group.wait(SECONDS)
        self.assertEqual(codes, [6], errors)
        self.assertIn("rank 1 is gone or does not answer", errors[0])

    def test_error_of_one_is_told_by_all(self):
        """Whose folder lacks the model that is named relative to it."""
        for missing in (0, 1):
            folders = self.folders(2)
            (folders[1 - missing] / "model.onnx").write_bytes(self.model.read_bytes())
            args = self.training("finetune")
            args[1] = "model.onnx"
            codes, _, errors = Group(folders, *args).wait(SECONDS)
            self.assertEqual(codes[missing], 6, errors)
            self.assertEqual(codes[1 - missing], 6, errors)
            self.assertIn("model.onnx", errors[missing])
            self.assertIn("model.onnx", errors[1 - missing].split(f"rank {missing} fails: ")[1])

    def test_one_is_asked_to_stop_and_all_keep_a_checkpoint_and_go_on(self):
        more = {"epochs": 3, "ema": 0.9}
        whole = self.folders(2)
        codes, _, errors = Group(whole, *self.training("finetune", **more)).wait()
        self.assertEqual(codes, [0, 0], errors)
        for number, code, asked in ((signal.SIGINT, 130, [0, 1]), (signal.SIGTERM, 143, [1])):
            folders = self.folders(2)
            group = self.begun(folders, **more)
            for rank in asked:
                group.processes[rank].send_signal(number)
            codes, outputs, errors = group.wait()
            self.assertEqual(codes, [code, code], errors)
            self.assertEqual((outputs[1], errors[1]), ("", ""))
            self.assertEqual(os.listdir(folders[0]), ["out.checkpoint.safetensors"])
            self.assertEqual(os.listdir(folders[1]), [])
        # Rank 1 has no checkpoint in its folder: rank 0's counts.
        codes, _, errors = Group(folders, *self.training("finetune", **more), "--resume").wait()
        self.assertEqual(codes, [0, 0], errors)
        self.assertIn("going on from step", errors[0])
        self.assertEqual((folders[0] / "out.onnx").read_bytes(), (whole[0] / "out.onnx").read_bytes())


if __name__ == "__main__":
    if unavailable():
        print(unavailable())
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
