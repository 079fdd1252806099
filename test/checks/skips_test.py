#!/usr/bin/env python3
"""skips.py counts, excuses what a machine lacks, and nothing else."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SKIPS = Path(__file__).parent / "skips.py"
PASSED = '<testcase name="a" status="run"/>'
FAILED = '<testcase name="b" status="fail"><failure message=""/></testcase>'


def skipped(output, status="notrun"):
    return f'<testcase name="c" status="{status}"><skipped/><system-out>{output}</system-out></testcase>'


def run(*cases, assets=None):
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write("<testsuite>" + "".join(cases) + "</testsuite>")
        file.flush()
        arguments = [file.name] if assets is None else [file.name, assets]
        done = subprocess.run([sys.executable, SKIPS, *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()


class Skips(unittest.TestCase):
    def test_what_a_machine_lacks_is_excused(self):
        code, lines = run(PASSED, PASSED, skipped("x: Skipped\nno assets: /a is not there"),
                          skipped("this CPU has no avx512bf16"), skipped("this CPU has no avx512bf16"),
                          skipped("this machine has no pseudo-terminals: out of pty devices"),
                          skipped("this machine has no network namespaces: mount failed"))
        self.assertEqual((code, lines),
                         (0, ["2 passed, 5 skipped (1 no assets; 2 this CPU has no avx512bf16; "
                              "1 this machine has no network namespaces; 1 this machine has no pseudo-terminals)"]))

    def test_assets_that_are_not_there_are_excused(self):
        for assets in ("", "/no/such/folder"):
            code, lines = run(PASSED, skipped("no assets: /a is not there"), assets=assets)
            self.assertEqual((code, lines), (0, ["1 passed, 1 skipped (1 no assets)"]))

    def test_assets_that_are_there_are_no_excuse(self):
        with tempfile.TemporaryDirectory() as assets:
            code, lines = run(PASSED, skipped("no assets: /a is not there"), skipped("this CPU has no avx2"),
                              assets=assets)
        self.assertEqual((code, lines),
                         (1, ["may not be skipped: c: no assets: /a is not there",
                              "1 passed, 2 skipped (1 no reason that counts; 1 this CPU has no avx2)"]))

    def test_a_missing_virtual_environment_is_not(self):
        code, lines = run(PASSED, skipped("skipped: .venv/bin/python is not there"))
        self.assertEqual(code, 1)
        self.assertEqual(lines, ["may not be skipped: c: skipped: .venv/bin/python is not there",
                                 "1 passed, 1 skipped (1 no reason that counts)"])

    def test_nor_is_a_disabled_test(self):
        code, lines = run(PASSED, skipped("no assets: /a is not there", "disabled"))
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 skipped (1 no reason that counts)"))

    def test_a_failure_fails(self):
        self.assertEqual(run(PASSED, FAILED), (1, ["1 passed, 1 failed, 0 skipped"]))

    def test_nothing_run_is_no_success(self):
        self.assertEqual(run(), (1, ["0 passed, 0 skipped"]))

    def test_everything_run_succeeds(self):
        self.assertEqual(run(PASSED), (0, ["1 passed, 0 skipped"]))


if __name__ == "__main__":
    unittest.main()
