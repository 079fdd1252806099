#!/usr/bin/env python3
"""Prints the values that packed_test.cc stores, computed by numpy from the definitions of BinaryConv, BinaryMatMul,
UnpackBinary and UnpackTernary: bits are read one by one, sums are integers, float32 rounds twice.

usage: packed_reference.py
"""
import numpy as np


def drawn(seed, *shape):
    i = np.arange(int(np.prod(shape)), dtype=np.int64) + 17 * seed
    return (((13 * i * i + 37 * i + 11 * seed) % 101 - 50) / 64).reshape(shape).astype(np.float32)


def bytes_drawn(seed, *shape):
    i = np.arange(int(np.prod(shape)), dtype=np.int64) + 5 * seed
    return ((7 * i * i + 31 * i + seed) % 251).reshape(shape).astype(np.uint8)


def sign(x):
    return np.where(x >= 0, 1, -1)


def bit(row, i):
    return 1 if row[i // 8] >> (i % 8) & 1 else -1


def affine(acc, scale, bias):
    return acc.astype(np.float32) * scale + bias


def binary_conv(x, w, scale, bias, kernel, strides, dilations, pads, pad_value):
    n, in_c, h, width = x.shape
    each = -(-in_c // 8)
    padded = np.full((n, in_c, h + pads[0] + pads[2], width + pads[1] + pads[3]), pad_value)
    padded[:, :, pads[0]:pads[0] + h, pads[1]:pads[1] + width] = sign(x)
    out = [(padded.shape[a + 2] - (kernel[a] - 1) * dilations[a] - 1) // strides[a] + 1 for a in (0, 1)]
    acc = np.zeros((n, len(w), *out), np.int64)
    for s, c, oy, ox in np.ndindex(*acc.shape):
        for ky, kx in np.ndindex(*kernel):
            tap = ky * kernel[1] + kx
            row = w[c, tap * each:(tap + 1) * each]
            pixel = padded[s, :, oy * strides[0] + ky * dilations[0], ox * strides[1] + kx * dilations[1]]
            acc[s, c, oy, ox] += sum(int(pixel[i]) * bit(row, i) for i in range(in_c))
    return affine(acc, scale.reshape(-1, 1, 1), bias.reshape(-1, 1, 1))


def show(name, values):
    texts = [f"{float(v):.9g}" for v in values.ravel()]
    print(name, values.shape)
    print("    " + ", ".join(t + "f" * ("." in t or "e" in t) for t in texts))


SCALE = np.array([0.1, -0.3, 1 / 3], np.float32)
BIAS = np.array([-0.7, 0.05, 2], np.float32)
X = drawn(1, 2, 11, 4, 3)
X[0, 0, 0, 0], X[0, 1, 0, 0], X[0, 2, 0, 1] = np.nan, -0.0, 0.0
W = bytes_drawn(2, 3, 3 * 2 * 2)
W[:, 1::2] |= 0xF8  # bits past channel 11
for pad_value in (0, 1):
    show(f"BinaryConv, pad_value {pad_value}",
         binary_conv(X, W, SCALE, BIAS, (3, 2), (2, 1), (1, 2), (1, 1, 0, 1), pad_value))
A = drawn(3, 2, 2, 10)
A[1, 1, 4] = np.nan
B = bytes_drawn(4, 3, 2)
B[:, 1] |= 0xFC
show("BinaryMatMul", affine(np.array([[[sum(int(sign(A)[i, j, k]) * bit(B[n], k) for k in range(10))
                                        for n in range(3)] for j in range(2)] for i in range(2)]), SCALE, BIAS))
P = bytes_drawn(5, 2, 2)
show("UnpackBinary", np.array([[bit(row, i) for i in range(9)] for row in P], np.float32).reshape(2, 3, 3, 1))
T = np.array([[0b00100100, 0b00000001], [0b10000110, 0b00000010]], np.uint8)
show("UnpackTernary", np.array([[(0, 1, -1)[row[i // 4] >> i % 4 * 2 & 3] for i in range(5)] for row in T]))
