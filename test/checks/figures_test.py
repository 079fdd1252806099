#!/usr/bin/env python3
"""figures.py finds what is outside its bounds, missing or no number."""
import unittest

from figures import complaints

TEXT = "float: x (Relu): why\ntop-1 0.9260, agreement 1.0000, SQNR 41.5 dB on 500 samples\n"


class Figures(unittest.TestCase):
    def test_inside(self):
        self.assertEqual(list(complaints(TEXT, ["top-1 0.92..0.94", "agreement 0.99..1", "SQNR 40..60"])), [])

    def test_outside(self):
        for bound in ("top-1 0.93..1", "top-1 0..0.92", "SQNR 42..60", "agreement 0..0.99"):
            self.assertEqual(len(list(complaints(TEXT, [bound]))), 1, bound)

    def test_missing_or_no_number(self):
        self.assertEqual(len(list(complaints("top-1 nan\n", ["top-1 0..1", "SQNR 0..1"]))), 2)


if __name__ == "__main__":
    unittest.main()
