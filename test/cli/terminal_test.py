#!/usr/bin/env python3
"""The command line on a terminal: colours, and each warning once.

usage: terminal_test.py LAPIDARY SOURCE_DIR
"""
import json
import os
import pty
import subprocess
import sys
import unittest

from fixture import LAPIDARY, Fixture, run


class Terminal(Fixture):
    def on_a_terminal(self, *args, env=None, stderr=False):
        """What a terminal shows of stdout, and of stderr where it goes there too; else what stderr gets."""
        ours, theirs = pty.openpty()
        done = subprocess.Popen([LAPIDARY, *map(str, args)], stdout=theirs,
                                stderr=theirs if stderr else subprocess.PIPE,
                                env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, **(env or {})})
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(ours, 65536):
                seen += chunk
        except OSError:  # EIO: the other end is closed
            pass
        os.close(ours)
        messages = done.communicate(timeout=240)[1] or b""
        self.assertEqual(done.returncode, 0, messages or seen)
        return seen.decode(), messages.decode()

    def test_a_terminal_shows_a_warning_once(self):
        stats = self.tmp / "once.lpstat"
        self.assertEqual(run("calibrate", self.model, "--data", self.calib, "-o", stats).returncode, 0)
        seen = self.on_a_terminal("quantize", self.model, "-o", self.tmp / "once.onnx", "--stats", stats,
                                  "--no-bench", stderr=True)[0]
        self.assertEqual(seen.count("bias correction is off"), 1, seen)

    def test_no_color_and_json_hold_no_escape_codes(self):
        plan = ("quantize", self.model, "--calib", self.calib, "--dry-run")
        plain = run(*plan).stdout
        self.assertNotIn("\x1b", plain)  # a pipe
        self.assertIn("\x1b[1m", self.on_a_terminal(*plan)[0])
        for more, env in (((), {"NO_COLOR": "1"}), (("--color", "never"), {}), (("--json",), {})):
            for told in self.on_a_terminal(*plan, *more, env=env):
                self.assertNotIn("\x1b", told, more)
        json.loads(self.on_a_terminal(*plan, "--json")[0])
        self.assertIn("\x1b[1m", run(*plan, "--color", "always").stdout)


def has_terminals():
    try:
        for end in pty.openpty():
            os.close(end)
    except OSError as error:
        print(f"this machine has no pseudo-terminals: {error}")
        return False
    return True


if __name__ == "__main__":
    if not has_terminals():
        sys.exit(77)
    unittest.main(argv=[sys.argv[0]], verbosity=1)
