"""Prints the literals of the tests beside it, from the formulas of the ONNX specification and of the papers.

    python3 -m pip install numpy==1.26.4
    python3 test/quantize/quantize_reference.py

Written for numpy 1.26.4. `ramp` is that of test/passes/run_graph.h, the draws are those of test/calibrate.
"""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "calibrate"))
import observer_reference as draws  # noqa: E402

F32 = np.float32


def ramp(shape, offset=0):
    i = np.arange(np.prod(shape)) + offset
    return (((37 * i + 11) % 64 - 31) / 16).reshape(shape).astype(F32)


def uint8_params(low, high):
    low, high = min(low, 0.0), max(high, 0.0)
    scale = F32((high - low) / 255)
    return scale, int(np.clip(np.rint(-low / np.float64(scale)), 0, 255))


def weights():
    """Per output channel: max |w| / 127, and the scale of least squared error among 1000 shrunk ones."""
    stream = draws.splitmix64(7)
    w = np.array([[draws.bell(stream) for _ in range(40)] for _ in range(3)])
    w[1] *= 0.01
    w[2, 5] = 12.0
    print("weights: first, last", w[0, 0], w[2, 39])
    for bits in (8, 4):
        most = 2 ** (bits - 1) - 1
        for row in w:
            seen = np.abs(row).max()
            error = lambda s: np.sum((np.clip(np.rint(row / s), -most, most) * s - row) ** 2)  # noqa: E731
            scales = seen / most * np.arange(500, 1001) / 1000
            errors = [error(s) for s in scales]
            print(f"  {bits} bits: minmax scale {seen / most} error {error(seen / most)}; least error {min(errors)}")


def bias_correction():
    """x -> Gemm -> Relu -> Gemm: Nagel et al. 2019 (Data-Free Quantization, section 4.2, with samples): from the first
    layer to the last b += E[y] - E[y^], y^ made by weights and activations as they are quantized."""
    x = ramp((16, 4)).astype(float) * 1.3
    x = x.astype(F32).astype(float)
    w = [ramp((4, 3), 5), ramp((3, 2), 2)]
    b = [ramp((3,), 1), ramp((2,), 7)]
    y1 = x @ w[0] + b[0]
    r = np.maximum(y1, 0)
    y2 = r @ w[1] + b[1]
    ranges = [(x.min(), x.max()), (0.0, F32(r.max()))]
    q = np.clip(np.rint(x.astype(F32) / uint8_params(*ranges[0])[0]) + uint8_params(*ranges[0])[1], 0, 255)
    for layer, wanted in enumerate((y1, y2)):
        scale, zero = uint8_params(*ranges[layer])
        ws = (np.abs(w[layer]).max(0).astype(np.float64) / 127).astype(F32)
        wq = np.clip(np.rint(w[layer] / ws), -127, 127)
        acc = (q - zero) @ wq
        step = (scale * ws).astype(np.float64)
        uncorrected = np.rint(b[layer] / step)
        corrected = np.rint((wanted.mean(0) - acc.mean(0) * step) / step)
        print(f"layer {layer}: int32 bias {uncorrected.astype(int)} corrected {corrected.astype(int)}")
        print(f"  means: float {wanted.mean(0)}, uncorrected {((acc + uncorrected) * step).mean(0)}")
        if layer == 0:
            s, z = uint8_params(*ranges[1])
            q = np.clip(np.rint((acc + corrected) * step / s) + z, 0, 255)


def leaky_pairs(factor, every):
    """x -> LeakyRelu(0.02) -> y: the least error of y over ranges of x and y, clipping counted four times."""
    stream = draws.splitmix64(11)
    x = np.array([-factor * draws.stairs(stream) if i % every == 0 else abs(draws.bell(stream)) for i in range(4000)])
    alpha = 0.02

    def leaky(v):
        return np.where(v < 0, alpha * v, v)

    def round_to(v, scale, zero):
        at = np.rint(v / scale) + zero
        outside = (v / scale + zero < -0.5) | (v / scale + zero > 255.5)
        return (np.clip(at, 0, 255) - zero) * scale, outside

    def error(px, py):
        first, a = round_to(x, *px)
        second, _ = round_to(leaky(first), *py)
        _, b = round_to(leaky(x), *py)
        return np.mean((second - leaky(x)) ** 2 * np.where(a | b, 4.0, 1.0))

    def params(low, high):
        scale = (high - low) / 255
        return scale, np.clip(np.rint(-low / scale), 0, 255)

    seen = error(params(x.min(), x.max()), params(alpha * x.min(), x.max()))
    least, at = np.inf, None
    for low in x.min() * np.arange(1, 81) / 80:
        for high in x.max() * np.arange(20, 81, 2) / 80:
            px = params(low, high)
            tied = px[0], np.clip(np.ceil(-low * alpha / px[0]), 0, 255)
            for kind, py in (("scales of their own", params(alpha * low, high)), ("one scale", tied)):
                found = error(px, py)
                if found < least:
                    least, at = found, (kind, low, high)
    print(f"leaky {factor} {every}: sum {x.sum()}; error seen {seen}, least {least} by {at}")


def halves():
    values = np.array([0.1, 1 / 3, 65504, 65519.996, 65520, 2**-24, 2**-25, 2**-25 * 1.0001, 2049, 2051, -0.0], F32)
    with np.errstate(over="ignore"):
        print("halves:", [hex(v) for v in values.astype(np.float16).view(np.uint16)])


if __name__ == "__main__":
    print(f"numpy {np.__version__}")
    weights()
    bias_correction()
    leaky_pairs(6, 100)
    leaky_pairs(10, 200)
    halves()
