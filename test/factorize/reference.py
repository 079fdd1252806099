#!/usr/bin/env python3
"""Prints the expected values of test/factorize, from numpy alone: singular values where the library takes eigenvectors
of products, a dense search where it takes the golden section.

usage: reference.py
"""
import numpy as np


def noise(count, seed):
    """As `noise` of net.h: whole numbers, so that both programs have the same ones."""
    i = np.arange(count, dtype=np.int64)
    return (((i * 7919 + (i + seed) ** 2 * 104729) % 2003) / 1001.5 - 1).astype(np.float32).astype(np.float64)


def truncated(m, r):
    u, s, v = np.linalg.svd(m, full_matrices=False)
    return (u[:, :r] * s[:r]) @ v[:r]


def error(w, approximation):
    return np.linalg.norm(w - approximation) / np.linalg.norm(w)


def svd_error(w, r):
    flat = w.reshape(len(w), -1)
    return error(flat, truncated(flat, r))


def spatial_error(w, r):
    """Rows (o, x), columns (i, y)."""
    o, i, kh, kw = w.shape
    flat = w.transpose(0, 3, 1, 2).reshape(o * kw, i * kh)
    return error(flat, truncated(flat, r))


def leading(unfolding, r):
    return np.linalg.svd(unfolding, full_matrices=False)[0][:, :r]


def tucker_error(w, p, q, iterations=3):
    """HOSVD, then alternations; input rank p, output rank q."""
    v = leading(np.moveaxis(w, 1, 0).reshape(w.shape[1], -1), p)
    for _ in range(iterations):
        u = leading(np.einsum("oixy,ip->opxy", w, v).reshape(len(w), -1), q)
        v = leading(np.einsum("oixy,oq->iqxy", w, u).reshape(w.shape[1], -1), p)
    core = np.einsum("oixy,oq,ip->qpxy", w, u, v)
    return error(w, np.einsum("qpxy,oq,ip->oixy", core, u, v))


def hosvd_energy(w, p, q):
    v = leading(np.moveaxis(w, 1, 0).reshape(w.shape[1], -1), p)
    u = leading(w.reshape(len(w), -1), q)
    return np.linalg.norm(np.einsum("oixy,oq,ip->qpxy", w, u, v)) ** 2 / np.linalg.norm(w) ** 2


def vbmf(m):
    """Nakajima et al. 2013, theorems 2 and 3: the rank at the noise variance of least free energy, on a grid."""
    l, columns = sorted(m.shape)
    alpha = l / columns
    squares = np.linalg.svd(m, compute_uv=False) ** 2 / columns
    taus = np.linspace(1e-4, 10, 2_000_001)
    phi = np.log(taus + 1) / taus + np.log(taus / alpha + 1) / (taus / alpha) - 1
    tau = taus[np.argmin(np.abs(phi))]
    least = (1 + tau) * (1 + alpha / tau)

    def energy(variance):
        x = squares[:, None] / variance
        psi = x - np.log(x)
        shift = np.maximum(x - 1 - alpha, 2 * np.sqrt(alpha))
        t = 0.5 * (shift + np.sqrt(shift ** 2 - 4 * alpha))
        return (psi + np.where(x > least, np.log(t + 1) + alpha * np.log(t / alpha + 1) - t, 0)).sum(0)

    most = int(np.ceil(l / (1 + alpha)) - 1)
    grid = np.linspace(max(squares[most] / least, squares[most:].mean()), squares.mean(), 200_001)
    values = np.concatenate([energy(part) for part in np.array_split(grid, 50)])
    return int((squares > least * grid[np.argmin(values)]).sum())


def output_errors(w, x, r):
    """||(W - W') X|| / ||W X|| and ||W - W'|| / ||W|| of the best W' for outputs, W' = (W H^1/2)_r H^-1/2."""
    values, vectors = np.linalg.eigh(x @ x.T)
    root = (vectors * np.sqrt(values)) @ vectors.T
    best = truncated(w @ root, r) @ np.linalg.inv(root)
    return np.linalg.norm((w - best) @ x) / np.linalg.norm(w @ x), error(w, best)


gemm = noise(20 * 12, 1).reshape(20, 12)
conv = noise(10 * 6 * 9, 2).reshape(10, 6, 3, 3)
for r in (3, 8):
    print(f"svd gemm {r}: {svd_error(gemm, r):.9f}")
for r in (4, 8):
    print(f"svd conv {r}: {svd_error(conv, r):.9f}, spatial {spatial_error(conv, r):.9f}")
for p, q in ((4, 5), (6, 5), (3, 10)):
    print(f"tucker {p} {q}: {tucker_error(conv, p, q):.9f}, HOSVD keeps {hosvd_energy(conv, p, q):.9f}")
# Sums of outer products, the k-th times 0.75^k, and noise.
for rows, columns, rank, scale in ((40, 60, 12, 1.0), (40, 60, 12, 3.0), (60, 40, 12, 0.2), (24, 200, 8, 1.5),
                                   (32, 32, 10, 0.1), (32, 32, 0, 1.0), (64, 64, 30, 0.5)):
    left = noise(rows * rank, 3).reshape(rows, rank) * 0.75 ** np.arange(rank)
    m = scale * noise(rows * columns, 5).reshape(rows, columns) + left @ noise(rank * columns, 4).reshape(rank, columns)
    print(f"vbmf {rows} {columns} of rank {rank}, noise {scale}: {vbmf(m)}")
weights, inputs = noise(8 * 6, 6).reshape(8, 6), noise(30 * 6, 7).reshape(30, 6).T * np.array([[4, 1, 1, 2, .5, 1]]).T
print("outputs at rank 2: {:.9f}, weights {:.9f}".format(*output_errors(weights, inputs, 2)))
print(f"weights at rank 2: {svd_error(weights, 2):.9f}")
