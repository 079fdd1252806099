"""Prints the literals of sparsity_solver_test.cc: SparseGPT as the paper's equations say it, in float64.

    python3 test/prune/sparsegpt_reference.py       (numpy)

No Cholesky factor and no lazy blocks: before each column the Hessian of the columns that are left is inverted whole
(Frantar, Alistarh 2023, equations 2 to 5). Numbers are ramp(i) = ((37 i + 11) mod 64 - 31) / 16 of
test/passes/run_graph.h.
"""
import numpy as np


def ramp(shape, offset=0):
    i = np.arange(offset, offset + int(np.prod(shape)))
    return (((37 * i + 11) % 64 - 31) / 16).reshape(shape)


def inverses(h):
    """[inverse of h[j:, j:] for every j]"""
    return [np.linalg.inv(h[j:, j:]) for j in range(len(h))]


def sparsegpt(w, h, ratio=None, n_m=None, damping=0.01, block=128):
    w, h = w.copy(), h.copy()
    rows, columns = w.shape
    for j in range(columns):
        if h[j, j] == 0:
            h[j, j] = 1
            w[:, j] = 0
    h += damping * np.mean(np.diag(h)) * np.eye(columns)
    inv = inverses(h)
    least = np.array([i[0, 0] for i in inv])  # of the inverse when column j is the first one left
    dropped = np.zeros(w.shape, bool)
    taken = 0
    for j in range(columns):
        if n_m is None and j % block == 0:
            end = min(j + block, columns)
            score = (w[:, j:end] ** 2 / least[j:end]).reshape(-1)
            take = int(np.floor(ratio * rows * end + 0.5)) - taken
            taken += take
            at = np.argsort(score, kind="stable")[:take]
            dropped[at // (end - j), j + at % (end - j)] = True
        if n_m is not None and j % n_m[1] == 0:
            n, m = n_m
            score = w[:, j:j + m] ** 2 / least[j:j + m]
            for r in range(rows):
                dropped[r, j + np.argsort(score[r], kind="stable")[:m - n]] = True
        e = np.where(dropped[:, j], w[:, j], 0) / inv[j][0, 0]
        w[:, j:] -= np.outer(e, inv[j][0])
        w[dropped[:, j], j] = 0
    return w


def conv_columns(x, kernel, pad):
    """[positions, taps * channels], channels innermost."""
    n, c, height, width = x.shape
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = []
    for b in range(n):
        for y in range(height + 2 * pad - kernel + 1):
            for z in range(width + 2 * pad - kernel + 1):
                out.append(x[b, :, y:y + kernel, z:z + kernel].transpose(1, 2, 0).reshape(-1))
    return np.array(out)


def literal(name, values):
    print(f"{name}: {{" + ", ".join(f"{v:.9g}" for v in np.asarray(values).reshape(-1)) + "}")


def main():
    w = ramp((3, 8), 5)
    x = ramp((20, 8), 40)
    x[:, 6] = 0
    h = 2 * x.T @ x
    literal("unstructured 0.4, blocks of 4", sparsegpt(w, h, ratio=0.4, block=4))
    literal("unstructured 0.3, one block", sparsegpt(w, h, ratio=0.3, damping=0.1))
    literal("2:4", sparsegpt(w, h, n_m=(2, 4)))
    columns = conv_columns(ramp((2, 2, 3, 3), 7), 2, 1)
    literal("Hessian of a convolution", (2 * columns.T @ columns)[:3])


if __name__ == "__main__":
    main()
