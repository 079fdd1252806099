#!/usr/bin/env python3
"""Prints the stored values of mean_gradients_test.cc. usage: mean_gradients_reference.py (needs numpy)"""
import numpy as np

x = np.array([[1, 2], [-1, 0.5], [0, -2], [3, 1], [-0.5, -0.5], [2, -1]], np.float64)
label = np.array([0, 2, 1, 1, 0, 2])
gain, shift = np.array([2, 0.5]), np.array([0.25, -1])
mean, variance, epsilon = np.array([1, -1]), np.array([3, 0.75]), 1e-5
w = np.array([[1, -0.5, 0.25], [-1, 0.75, 2]])
b = np.array([0.5, 0, -0.25])

normal = (x - mean) / np.sqrt(variance + epsilon)
hidden = normal * gain + shift
scores = hidden @ w + b
p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
d = (p - np.eye(3)[label]) / len(x)
d_hidden = d @ w.T
for name, value in [("gain", (d_hidden * normal).sum(0)), ("shift", d_hidden.sum(0)),
                    ("w", hidden.T @ d), ("b", d.sum(0))]:
    print(name, ", ".join(f"{v:.7f}" for v in value.ravel()))
