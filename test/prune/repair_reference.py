"""Prints the literals of repair_test.cc: least squares of what reads pruned units, in float64.

    python3 test/prune/repair_reference.py       (numpy)

h = x a; rows of `last` for the features S that are left minimize |h last - h_S last'|^2 + damping mean(h^2) n |last'|^2,
solved by an augmented system rather than by normal equations. Numbers are ramp(i) = ((37 i + 11) mod 64 - 31) / 16 of
test/passes/run_graph.h.
"""
import numpy as np


def ramp(shape, offset):
    i = np.arange(offset, offset + int(np.prod(shape)))
    return (((37 * i + 11) % 64 - 31) / 16).reshape(shape)


x, a, last = ramp((6, 5), 0), ramp((5, 4), 30), ramp((4, 3), 50)
h = x @ a
left = [0, 2, 3]
damping = 0.01 * np.mean(np.sum(h[:, left] ** 2, axis=0))
rows = np.vstack([h[:, left], np.sqrt(damping) * np.eye(len(left))])
wanted = np.vstack([h @ last, np.zeros((len(left), last.shape[1]))])
solution = np.linalg.lstsq(rows, wanted, rcond=None)[0]
print(", ".join(f"{v:.6f}" for v in solution.reshape(-1)))
