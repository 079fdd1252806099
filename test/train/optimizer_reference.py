#!/usr/bin/env python3
"""The stored values of optimizer_test.cc: the formulas of OptimizerSpec in float64, with numpy alone.

loss = sum over both parameters of w^2 x, x = 1 + step / 2, so the gradient is 2 w x; `a` decays, `b` does not and has
half the learning rate. Four steps with the learning rates below.

usage: optimizer_reference.py
"""
import numpy as np

RATES = [0.1, 0.1, 0.05, 0.02]
A, B = [0.5, -1.0, 2.0], [1.5, -0.25]
MOMENTUM, BETA1, BETA2, EPSILON, DECAY, EMA = 0.9, 0.8, 0.95, 1e-4, 0.05, 0.75


def run(kind, nesterov=False, clip=0.0):
    w = [np.array(A), np.array(B)]
    decay, scale = [DECAY, 0.0], [1.0, 0.5]
    m, v = [0 * each for each in w], [0 * each for each in w]
    average, norms = [each.copy() for each in w], []
    for t, rate in enumerate(RATES, 1):
        x = 1 + (t - 1) / 2
        g = [2 * each * x for each in w]
        norm = np.sqrt(sum((each ** 2).sum() for each in g))
        norms.append(norm)
        if clip and norm > clip:
            g = [each * clip / norm for each in g]
        for i in range(2):
            lr, wd = rate * scale[i], decay[i]
            if kind == "adamw":
                w[i] = w[i] - lr * wd * w[i]
            else:
                g[i] = g[i] + wd * w[i]
            if kind == "sgd":
                m[i] = g[i] if t == 1 else MOMENTUM * m[i] + g[i]
                w[i] = w[i] - lr * (g[i] + MOMENTUM * m[i] if nesterov else m[i])
            else:
                m[i] = BETA1 * m[i] + (1 - BETA1) * g[i]
                v[i] = BETA2 * v[i] + (1 - BETA2) * g[i] ** 2
                w[i] = w[i] - lr * (m[i] / (1 - BETA1 ** t)) / (np.sqrt(v[i] / (1 - BETA2 ** t)) + EPSILON)
            average[i] = EMA * average[i] + (1 - EMA) * w[i]
    return w, average, norms


def text(values):
    return "{" + ", ".join(f"{v:.9g}" for v in values) + "}"


for name, arguments in [("sgd", {"kind": "sgd"}), ("nesterov", {"kind": "sgd", "nesterov": True}),
                        ("clipped", {"kind": "sgd", "clip": 2.5}), ("adam", {"kind": "adam"}),
                        ("adamw", {"kind": "adamw"})]:
    w, average, norms = run(**arguments)
    print(name, "a", text(w[0]), "b", text(w[1]), "average a", text(average[0]), "b", text(average[1]),
          "norms", text(norms))
