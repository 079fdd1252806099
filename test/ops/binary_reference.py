#!/usr/bin/env python3
"""Prints the values that binarize_test.cc and test/train/binary_test.cc store, computed by numpy in
float64 from the formulas of the papers; gradients of estimators by central differences of what they
are derivatives of, where that is a function.

usage: binary_reference.py
"""
import numpy as np

W = np.array([[0.5, -1.5, 0.25, -0.125], [3.0, 0.75, -2.0, 0.0], [-0.0625, 0.5, 0.875, -4.0]])
G = np.array([[1.0, 2.0, -1.0, 0.5], [-2.0, 1.0, 0.25, 3.0], [0.5, -0.5, 1.5, 2.0]])
X = np.array([-3.0, -1.0, -0.75, -0.25, 0.0, 0.125, 0.5, 1.0, 1.5])


def sign(x):
    return np.where(x >= 0, 1.0, -1.0)


def difference(f, x, h=1e-6):
    return (f(x + h) - f(x - h)) / (2 * h)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def bireal(x):  # the polynomial of Liu et al. 2018
    return np.where(x < -1, -1, np.where(x < 0, 2 * x + x * x, np.where(x < 1, 2 * x - x * x, 1)))


def sign_swish(x, b=5.0):  # Darabi et al. 2018
    return 2 * sigmoid(b * x) * (1 + b * x * (1 - sigmoid(b * x))) - 1


def ede(x, t):  # Qin et al. 2020
    return max(1 / t, 1) * np.tanh(t * x)


def slope(kind, x, t=None):
    if kind == "ste":
        return (np.abs(x) <= 1).astype(float)
    if kind == "bireal":
        return np.where(np.abs(x) <= 1, 2 - 2 * np.abs(x), 0)
    return difference(sign_swish if kind == "swish" else lambda v: ede(v, t), x)


def standardized(w):
    c = w - w.mean(axis=1, keepdims=True)
    return c / np.sqrt((c * c).mean(axis=1, keepdims=True))


def scale_of(w, kind):
    m = np.abs(w).mean(axis=1, keepdims=True)
    return {"mean": m, "shift": 2 ** np.rint(np.log2(m)), "none": np.ones_like(m)}[kind]


def binarize_weight(w, scale, std):
    v = standardized(w) if std else w
    return scale_of(v, scale) * sign(v)


def binarize_gradient(w, g, scale, std, kind, t=None):
    """Through the Jacobian of the standardization, by differences."""
    v = standardized(w) if std else w
    d = g * scale_of(v, scale) * slope(kind, v, t)
    if not std:
        return d
    out = np.zeros_like(w)
    for i in np.ndindex(*w.shape):
        e = np.zeros_like(w)
        e[i] = 1e-6
        out[i] = (d * (standardized(w + e) - standardized(w - e))).sum() / 2e-6
    return out


def twn(w):
    a = np.abs(w)
    far = a > 0.7 * a.mean(axis=1, keepdims=True)
    alpha = (a * far).sum(axis=1, keepdims=True) / far.sum(axis=1, keepdims=True)
    return alpha * far * np.sign(w)


def ttq(w, p, n, threshold):
    d = threshold * np.abs(w).max()
    return np.where(w > d, p, np.where(w < -d, -n, 0))


def show(name, values):
    print(f"{name}: {', '.join(f'{v:.7g}' for v in np.ravel(values))}")


inner = X[np.abs(X) != 1]  # elsewhere the polynomial has no derivative
assert np.allclose(slope("bireal", inner), difference(bireal, inner), atol=1e-6)
for kind, t in (("ste", None), ("bireal", None), ("swish", None), ("ede", 0.25), ("ede", 2.0)):
    show(f"slope {kind} {t}", slope(kind, X, t))
for scale in ("mean", "shift", "none"):
    for std in (False, True):
        show(f"binarize {scale} {std}", binarize_weight(W, scale, std))
show("transposed mean", binarize_weight(W.T, "mean", False))
show("d xnor ste", binarize_gradient(W, G, "mean", False, "ste"))
show("d irnet ede 2", binarize_gradient(W, G, "shift", True, "ede", 2.0))
show("d mean standardized ste", binarize_gradient(W, G, "mean", True, "ste"))
show("twn", twn(W))
show("twn transposed", twn(W.T))
show("ttq 0.05", ttq(W, 1.25, 0.5, 0.05))
show("ttq 0.25", ttq(W, 1.25, 0.5, 0.25))
d = 0.25 * np.abs(W).max()
show("ttq dw", G * np.where(W > d, 1.25, np.where(W < -d, 0.5, 1)))
show("ttq dP dN", [G[W > d].sum(), -G[W < -d].sum()])
