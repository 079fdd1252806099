#!/usr/bin/env python3
"""Prints the scores that criteria_test.cc stores, computed by numpy from the formulas.

usage: criteria_reference.py
The net is that of criteria_test.cc; which elements belong to a unit is written out by hand below.
"""
import numpy as np


def drawn(seed, *shape):
    i = np.arange(int(np.prod(shape)), dtype=np.int64) + 17 * seed
    return (((13 * i * i + 37 * i + 11 * seed) % 101 - 50) / 64).reshape(shape)


SHAPES = {"conv1.w": (6, 2, 3, 3), "conv1.b": (6,), "bn.gain": (6,), "bn.shift": (6,), "bn.mean": (6,),
          "squeeze.w": (4, 6, 1, 1), "squeeze.b": (4,), "depth.w": (4, 1, 3, 3), "expand.w": (6, 4, 1, 1),
          "conv3.w": (8, 6, 1, 1), "grouped.w": (6, 4, 1, 1), "fc.w": (3, 72), "fc.b": (3,)}
W = {name: drawn(k + 1, *shape) for k, (name, shape) in enumerate(SHAPES.items())}
W["bn.shift"] += 0.75  # so that Relus leave something
W["squeeze.b"] += 1
G = {name: drawn(k + 41, *shape) for k, (name, shape) in enumerate(SHAPES.items()) if name != "bn.mean"}
X = drawn(99, 4, 2, 3, 4)


def conv(x, w, groups=1):
    """Stride 1, padded to the same size."""
    n, _, height, width = x.shape
    k = w.shape[2] // 2
    x = np.pad(x, ((0, 0), (0, 0), (k, k), (k, k)))
    out = np.zeros((n, w.shape[0], height, width))
    per_out, per_in = w.shape[0] // groups, w.shape[1]
    for o in range(w.shape[0]):
        for i in range(per_in):
            c = o // per_out * per_in + i
            for dy in range(w.shape[2]):
                for dx in range(w.shape[3]):
                    out[:, o] += w[o, i, dy, dx] * x[:, c, dy:dy + height, dx:dx + width]
    return out


def relu(x):
    return np.maximum(x, 0)


def channels(v):
    return v[None, :, None, None]


r1 = conv(X, W["conv1.w"]) + channels(W["conv1.b"])
r1 = (r1 - channels(W["bn.mean"])) / np.sqrt(1.5 + 1e-5) * channels(W["bn.gain"]) + channels(W["bn.shift"])
r1 = relu(r1)
h = relu(conv(r1, W["squeeze.w"]) + channels(W["squeeze.b"]))
d = conv(h, W["depth.w"], 4)
a = r1 + conv(d, W["expand.w"])
t = relu(conv(a, W["conv3.w"]))
flat = conv(t, W["grouped.w"], 2).reshape(4, 72)


def columns(*chans):
    return [c * 12 + i for c in chans for i in range(12)]


one = [[u] for u in range(6)]
# Group -> (constant, axis, places by unit, what: out, in, gain or other) and (value, places, node's weight).
GROUPS = {
    "conv1": ([("conv1.w", 0, one, "out"), ("conv1.b", 0, one, ""), ("bn.gain", 0, one, "gain"),
               ("bn.shift", 0, one, ""), ("squeeze.w", 1, one, "in"), ("expand.w", 0, one, "out"),
               ("conv3.w", 1, one, "in")],
              [(r1, one, "squeeze.w"), (a, one, "conv3.w")]),
    "squeeze": ([("squeeze.w", 0, one[:4], "out"), ("squeeze.b", 0, one[:4], ""),
                 ("depth.w", 0, one[:4], "out"), ("expand.w", 1, one[:4], "in")],
                [(h, one[:4], "depth.w"), (d, one[:4], "expand.w")]),
    # 8 channels are 2 convolution groups of 4: units within the groups, and the groups.
    "conv3 inner": ([("conv3.w", 0, [[u, 4 + u] for u in range(4)], "out"), ("grouped.w", 1, one[:4], "in")],
                    [(t, [[u, 4 + u] for u in range(4)], "grouped.w")]),
    "conv3 groups": ([("conv3.w", 0, [[0, 1, 2, 3], [4, 5, 6, 7]], "out"),
                      ("grouped.w", 0, [[0, 1, 2], [3, 4, 5]], "out"),
                      ("fc.w", 1, [columns(0, 1, 2), columns(3, 4, 5)], "in")],
                     [(t, [[0, 1, 2, 3], [4, 5, 6, 7]], "grouped.w"),
                      (flat, [columns(0, 1, 2), columns(3, 4, 5)], "fc.w")]),
    "grouped": ([("grouped.w", 0, [[u, 3 + u] for u in range(3)], "out"),
                 ("fc.w", 1, [columns(u, 3 + u) for u in range(3)], "in")],
                [(flat, [columns(u, 3 + u) for u in range(3)], "fc.w")]),
}


def units(tensor, axis, places):
    return [np.take(tensor, p, axis) for p in places]


def weights(group, *kinds):
    return [units(W[name], axis, places) for name, axis, places, kind in group[0] if kind in kinds]


def magnitude(group, p):
    return [[np.sum(np.abs(u) ** p) for u in m] for m in weights(group, "out", "in")]


def norm_scale(group):
    gains = weights(group, "gain")
    if gains:
        return [[np.mean(np.abs(u)) for u in m] for m in gains]
    return [[np.sqrt(np.mean(u ** 2)) for u in m] for m in weights(group, "out")]


def taylor(group, p):
    return [[abs(np.sum(w * g)) ** p for w, g in zip(units(W[n], axis, places), units(G[n], axis, places))]
            for n, axis, places, _ in group[0] if n in G]


def fpgm(group):
    return [[sum(np.linalg.norm(u - v) for v in m) for u in m] for m in weights(group, "out")]


def rank(group):
    out = []
    for value, places, _ in group[1]:
        ranks = np.empty(value.shape[:2])
        for n in range(value.shape[0]):
            for c in range(value.shape[1]):
                image = np.atleast_2d(value[n, c])
                s = np.linalg.svd(image, compute_uv=False)
                # No map is at the edge: what float32 computes has the same rank.
                assert not np.any((s > 1e-12 * s[0]) & (s < 1e-4 * s[0])), s
                ranks[n, c] = np.linalg.matrix_rank(image.astype(np.float32), tol=None)
        out.append([np.mean(ranks[:, p]) for p in places])
    return out


def wanda(group, samples=slice(None)):
    read = {weight: (value, places) for value, places, weight in group[1]}
    out = []
    for name, axis, places, kind in group[0]:
        if kind != "in" or name not in read:
            continue
        value, at = read[name]
        value = value[samples]
        norm = np.sqrt(np.sum(value ** 2, axis=tuple(k for k in range(value.ndim) if k != 1)))
        scores = []
        for mine, theirs in zip(places, at):
            x = norm[theirs] if len(mine) == len(theirs) else np.full(len(mine), norm[theirs].mean())
            w = np.abs(np.take(W[name], mine, axis))
            scores.append(np.sum(np.moveaxis(w, axis, -1) * x))
        out.append(scores)
    return out


def splitmix(state):
    z = (state + 0x9E3779B97F4A7C15) % 2 ** 64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2 ** 64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2 ** 64
    return z ^ z >> 31


def random(seed, index, count):
    out = []
    for unit in range(count):
        state = seed
        for key in (index, unit):
            state = splitmix(splitmix(state) ^ key)
        out.append((splitmix(state) >> 11) * 2.0 ** -53)
    return [out]


REDUCE = {"sum": np.sum, "mean": np.mean, "max": np.max}
NORM = {"none": lambda s: 1, "mean": np.mean, "max": np.max, "sum": np.sum, "norm": np.linalg.norm}


def show(title, members, reduce="mean", normalize="none"):
    scores = REDUCE[reduce](np.array(members), axis=0)
    scores = scores / NORM[normalize](scores)
    print(f"{title}: {{{', '.join(f'{s:.9g}' for s in scores)}}}")


for index, (name, group) in enumerate(GROUPS.items()):
    print(name)
    count = len(group[0][0][2])
    show("  magnitude 2", magnitude(group, 2))
    show("  magnitude 1", magnitude(group, 1))
    show("  norm_scale", norm_scale(group))
    show("  taylor 1", taylor(group, 1))
    show("  taylor 2", taylor(group, 2))
    show("  fpgm", fpgm(group))
    show("  activation_rank", rank(group))
    show("  wanda", wanda(group))
    show("  wanda, samples 0 and 2", wanda(group, [0, 2]))
    show("  random 5", random(5, index, count))
for reduce in REDUCE:
    show(f"conv1, magnitude 2, {reduce}", magnitude(GROUPS["conv1"], 2), reduce)
for normalize in NORM:
    show(f"conv1, magnitude 2, {normalize}", magnitude(GROUPS["conv1"], 2), "mean", normalize)
for m in (np.diag([1, 3e-7]), np.diag([1, 2e-7]), np.outer([1, 2, 3], [1, -1, 2, 5]), np.zeros((2, 3)),
          np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9.]]), np.array([[0, 3.]])):
    print(m.shape, np.linalg.matrix_rank(m.astype(np.float32)))
