"""Prints the literals of loss_test.cc: every loss written down again from its definition, in float64.

    python3 -m pip install numpy==1.26.4
    python3 test/fit/loss_reference.py

Written for numpy 1.26.4. Scores are the grid ((37 i + 11) mod 64 - 31) / 16 of test/passes/run_graph.h's `ramp`.
"""
import numpy as np


def ramp(*shape):
    i = np.arange(np.prod(shape))
    return (((37 * i + 11) % 64 - 31) / 16).reshape(shape)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def cross_entropy(scores, labels, smoothing=0.0):
    """[N, ..., C], [N, ...] -> [N]: -sum of target x log p, the target smoothed towards 1 / C."""
    classes = scores.shape[-1]
    target = (1 - smoothing) * one_hot(labels, classes) + smoothing / classes
    each = -(target * np.log(softmax(scores))).sum(-1)
    return each.reshape(len(each), -1).mean(1)


def bce(x, target):
    p = 1 / (1 + np.exp(-x))
    each = -(target * np.log(p) + (1 - target) * np.log(1 - p))
    return each.reshape(len(each), -1).mean(1)


def mse(x, target):
    return ((x - target) ** 2).reshape(len(x), -1).mean(1)


scores, labels, labels2 = ramp(3, 4), np.array([2, 0, 3]), np.array([1, 0, 2])
share = np.array([0.25, 0.5, 0.875])
tokens, token_labels = ramp(2, 3, 4), np.array([[0, 3, 1], [2, 2, 0]])
planes = np.moveaxis(ramp(2, 4, 3), 1, -1)
target = np.linspace(0, 1, 12).reshape(3, 4)
for name, value in {
    "cross_entropy": cross_entropy(scores, labels),
    "smoothed": cross_entropy(scores, labels, 0.1),
    "tokens": cross_entropy(tokens, token_labels, 0.1),
    "planes": cross_entropy(planes, token_labels),
    "mixed": share * cross_entropy(scores, labels, 0.1) + (1 - share) * cross_entropy(scores, labels2, 0.1),
    "mse": mse(scores, target),
    "mse_of_classes": mse(scores, one_hot(labels, 4)),
    "bce": bce(scores, target),
    "bce_of_classes": bce(scores, one_hot(labels, 4)),
    "bce_binary": bce(ramp(3, 1), np.array([[1], [0], [1]])),
    "bce_mixed": share * bce(scores, one_hot(labels, 4)) + (1 - share) * bce(scores, one_hot(labels2, 4)),
    "sum": 0.5 * cross_entropy(scores, labels) + 2 * mse(scores, target),
}.items():
    print(f"{name} {value.mean():.9g}")
