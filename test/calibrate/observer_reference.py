"""Prints the literals of observer_test.cc: every observer written down again from its definition.

    python3 -m pip install numpy==1.26.4
    python3 test/calibrate/observer_reference.py

Values are drawn with splitmix64 (samples.h draws the same ones) and lie on grids of 2^-16 to 2^-19, so that both
sides hold the same float32 bits. Written for numpy 1.26.4.

minmax          smallest and largest value
moving average  m <- m + 0.1 (x_i - m) over the samples' minima and maxima, m_0 = x_0 (as PyTorch's
                MovingAverageMinMaxObserver with averaging_constant 0.1)
percentile      numpy.quantile of the values themselves (inverted_cdf, Hyndman and Fan type 1)
mse             every pair of ends on a grid of 1/512 of the range: the least mean squared error of
                QuantizeLinear -> DequantizeLinear
entropy         Migacz, "8-bit Inference with TensorRT", GTC 2017, slides 37-39: for every number of bins i,
                P = bins[:i] with the outliers added to its last bin, Q = bins[:i] merged into `levels` groups and spread
                over the filled bins; the i with the least KL(P || Q). Exact zeros are not counted. The slides know
                magnitudes only: where values have both signs the upper and the lower end are searched in turn, twice.
"""

import numpy as np

COUNT = 20000
MASK = (1 << 64) - 1


def splitmix64(seed):
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def stairs(stream):
    """k + u with probability 2^-(k+1): exponential, in steps."""
    word = next(stream)
    return 64 - word.bit_length() + (word & 0xFFFF) / 65536


def bell(stream):
    """The sum of 12 uniform numbers less 6: nearly normal with variance 1."""
    return sum(next(stream) >> 48 for _ in range(12)) / 65536 - 6


def draw(name):
    stream = splitmix64(2024)
    make = {
        "exponential": lambda i: stairs(stream),
        "outlier": lambda i: 40.0 if i == COUNT - 1 else abs(bell(stream)),
        "bimodal": lambda i: bell(stream) / 8 - 1 if i % 2 == 0 else bell(stream) / 4 + 3,
        "relu": lambda i: max(0.0, bell(stream) - 0.5),
        "skewed": lambda i: -stairs(stream) / 4 if i % 5 == 0 else stairs(stream),
    }[name]
    return np.array([make(i) for i in range(COUNT)], np.float64)


def quantization_error(x, weight, low, high, steps, symmetric, clip_weight=1.0):
    """Mean of (DQ(Q(x)) - x)^2, clipped values counted clip_weight times."""
    if symmetric:
        high = max(-low, high)
        low = -high
    scale = (high - low) / steps
    zero = np.rint(-low / scale)
    levels = np.rint(x / scale) + zero
    inside = np.clip(levels, 0, steps)
    square = ((inside - zero) * scale - x) ** 2
    outside = (x / scale + zero < -0.5) | (x / scale + zero > steps + 0.5)
    return np.sum(square * weight * np.where(outside, clip_weight, 1.0)) / np.sum(weight)


def histogram(x):
    """Bins [i w, (i + 1) w), w the least power of two with at most 2048 of them; zeros apart."""
    exponent = -100
    while np.floor(x.max() * 2.0**-exponent) - np.floor(x.min() * 2.0**-exponent) >= 2048:
        exponent += 1
    width = 2.0**exponent
    index = np.floor(x / width).astype(int)
    first = index.min()
    return np.bincount(index - first), first, width


def best_mse(x, steps, symmetric, clip_weight):
    """Ends in 512ths of the range; the error is that of the values, the search that of the bins."""
    counts, first, width = histogram(x)
    middles = (np.arange(len(counts)) + first + 0.5) * width
    weight = counts.astype(float)
    if first <= 0:
        weight[-first] -= np.sum(x == 0)
    middles, weight = middles[weight > 0], weight[weight > 0]
    shares = np.arange(1, 513) / 512
    one_sided = x.min() >= 0
    if symmetric:
        pairs = [(-s * np.abs(x).max(), s * np.abs(x).max()) for s in shares]
    elif one_sided:
        pairs = [(0.0, s * x.max()) for s in shares]
    else:
        pairs = [(a * x.min(), b * x.max()) for a in shares[3::4] for b in shares[3::4]]
    errors = [quantization_error(middles, weight, a, b, steps, symmetric, clip_weight) for a, b in pairs]
    low, high = pairs[int(np.argmin(errors))]
    return low, high, quantization_error(x, np.ones_like(x), low, high, steps, symmetric, clip_weight)


def divergence(counts, begin, end, levels):
    p = counts[begin:end].astype(float)
    q = p.copy()
    p[0] += counts[:begin].sum()
    p[-1] += counts[end:].sum()
    if q.sum() == 0:
        return np.inf
    edges = (np.arange(levels) * (end - begin)) // levels
    group = np.repeat(np.arange(levels), np.diff(np.append(edges, end - begin)))
    mass = np.bincount(group, q, levels)
    filled = np.bincount(group, (p > 0).astype(float), levels)
    spread = np.where(p > 0, (mass / np.maximum(filled, 1))[group], 0)
    if np.any((p > 0) & (spread == 0)):
        return np.inf
    p, spread = p / p.sum(), spread / q.sum()
    at = p > 0
    return np.sum(p[at] * np.log(p[at] / spread[at]))


def best_entropy(x, levels, symmetric):
    values = x[x != 0]
    counts, first, width = histogram(x)
    counts = np.bincount(np.floor(values / width).astype(int) - first, minlength=len(counts))
    if symmetric:
        folded = np.where(values < 0, -np.floor(values / width) - 1, np.floor(values / width)).astype(int)
        counts, first = np.bincount(folded), 0
    if first >= 0:
        counts = np.concatenate([np.zeros(first, int), counts])
        high = widest_least({i: divergence(counts, 0, i, levels) for i in range(levels, len(counts) + 1)}) * width
        return (-high if symmetric else 0.0), high
    begin, end = 0, len(counts)
    for _ in range(2):
        ends = range(max(-first + 1, begin + levels), len(counts) + 1)
        end = widest_least({b: divergence(counts, begin, b, levels) for b in ends})
        begins = range(min(-first - 1, end - levels), -1, -1)
        begin = widest_least({a: divergence(counts, a, end, levels) for a in begins})
    return (begin + first) * width, (end + first) * width


def widest_least(divergences):
    """The last key with the least value: of two ranges as good as each other the wider one."""
    least = min(divergences.values())
    return [key for key, value in divergences.items() if value == least][-1]


def main():
    print(f"numpy {np.__version__}")
    for name in ("exponential", "outlier", "bimodal", "relu", "skewed"):
        x = draw(name)
        print(f"{name}: minmax {{{x.min()}, {x.max()}}}, sum {x.sum()}")
        for percent in (99.03125, 99.90625):
            cut = (1 - percent / 100) / (1 if x.min() >= 0 else 2)
            low, high = np.quantile(x, [cut, 1 - cut], method="inverted_cdf")
            print(f"  percentile {percent} {{{low if x.min() < 0 else x.min()}, {high}}}")
        rows = x.reshape(50, -1)
        average = [rows[0].min(), rows[0].max()]
        for row in rows[1:]:
            average[0] += 0.1 * (row.min() - average[0])
            average[1] += 0.1 * (row.max() - average[1])
        print(f"  moving average {{{average[0]}, {average[1]}}}")
        for kind, steps, symmetric, levels in (("uint8", 255, False, 256), ("int8", 254, True, 128), ("uint4", 15, False, 16)):
            everything = (x.min() if x.min() < 0 else 0.0), x.max()
            print(f"  {kind} minmax error {quantization_error(x, np.ones_like(x), *everything, steps, symmetric)}")
            for weight in (1.0, 4.0):
                low, high, error = best_mse(x, steps, symmetric, weight)
                print(f"  {kind} mse, clipping x {weight}: {{{low}, {high}}} error {error}")
            low, high = best_entropy(x, levels, symmetric)
            print(f"  {kind} entropy {{{max(low, x.min())}, {min(high, x.max())}}}")


if __name__ == "__main__":
    main()
