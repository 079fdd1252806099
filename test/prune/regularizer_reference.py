#!/usr/bin/env python3
"""Prints the stored values of regularizer_test.cc: one step of each regularizer in float64, with numpy alone.

usage: regularizer_reference.py
"""
import numpy as np

# Three layers, out x in, a normalization behind the first; A are its three units, B the second's two.
SHAPES = {"w1": (3, 2), "b1": (3,), "gain": (3,), "shift": (3,), "mean": (3,), "variance": (3,),
          "w2": (2, 3), "b2": (2,), "w3": (2, 2), "b3": (2,)}
A = {"w1": 0, "b1": 0, "gain": 0, "shift": 0, "w2": 1}
B = {"w2": 0, "b2": 0, "w3": 1}


def start():
    out, i = {}, 0
    for name, shape in SHAPES.items():
        count = int(np.prod(shape))
        out[name] = np.array([((7 * (i + k) + 3) % 11 - 5) / 4 for k in range(count)]).reshape(shape)
        i += count
    return out


def along(factors, axis, rank):
    return np.reshape(factors, [-1 if d == axis else 1 for d in range(rank)])


def norms(w, group, units):
    return [np.sqrt(sum((np.take(w[name], u, axis) ** 2).sum() for name, axis in group.items()))
            for u in range(units)]


def scaled(w, a, b):
    out = dict(w)
    for group, factors in [(A, a), (B, b)]:
        for name, axis in group.items():
            out[name] = out[name] * along(factors, axis, w[name].ndim)
    return out


def show(what, w):
    print(what)
    for name in SHAPES:
        print("  ", name, ", ".join(f"{v:.7g}" for v in w[name].ravel()))


w = start()
show("start", w)
t = 0.1 * 16
print("norms", norms(w, A, 3), norms(w, B, 2))
show("group_lasso, lr 0.1, strength 16",
     scaled(w, *[[max(0, 1 - t / n) for n in norms(w, g, u)] for g, u in [(A, 3), (B, 2)]]))
slim = dict(w)
slim["gain"] = np.sign(w["gain"]) * np.maximum(0, abs(w["gain"]) - 0.1 * 6)
show("slimming, lr 0.1, strength 6", slim)
for step in [9, 25, 1000]:
    weight = min(3, 0.5 * (step // 10))
    f = 1 - 0.2 * weight
    print("growing, lr 0.2, strength 0.5, limit 3, unit 1 of A, step", step, "factor", f)
    show("", scaled(w, [1, f, 1], [1, 1]))
