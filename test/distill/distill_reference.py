"""Prints the literals of loss_test.cc: losses of distillation in float64, as their authors' code has them where there
is one (each function says whose), else from the paper's equation.

    python3 -m pip install torch==1.13.1 numpy==1.24.2
    python3 test/distill/distill_reference.py

Written for torch 1.13 and numpy 1.24. A batch of features is the grid ((37 i + 11) mod 64 - 31) / 16 of
test/passes/run_graph.h's `ramp`, [N, S + T]: the student's layer is the first S columns, the teacher's the others.
"""
import numpy as np
import torch
import torch.nn.functional as F


def pair(n, student, teacher):
    """The two layers, of the shapes behind N."""
    s, t = int(np.prod(student)), int(np.prod(teacher))
    i = np.arange(n * (s + t))
    x = torch.tensor((((37 * i + 11) % 64 - 31) / 16).reshape(n, s + t))
    return x[:, :s].reshape(n, *student), x[:, s:].reshape(n, *teacher)


def kd(s, t, temperature):
    """RepDistiller, distiller_zoo/KD.py; positions other than the last axis are samples."""
    s, t = s.reshape(-1, s.shape[-1]), t.reshape(-1, t.shape[-1])
    p_s, p_t = F.log_softmax(s / temperature, dim=1), F.softmax(t / temperature, dim=1)
    return F.kl_div(p_s, p_t, reduction="sum") * temperature**2 / s.shape[0]


def dkd(s, t, target, alpha, beta, temperature):
    """megvii-research/mdistiller, distillers/DKD.py."""
    gt = F.one_hot(target, s.shape[1]).bool()

    def cat_mask(p):
        return torch.cat([(p * gt).sum(1, keepdim=True), (p * ~gt).sum(1, keepdim=True)], dim=1)

    log_s = torch.log(cat_mask(F.softmax(s / temperature, dim=1)))
    p_t = cat_mask(F.softmax(t / temperature, dim=1))
    tckd = F.kl_div(log_s, p_t, reduction="sum") * temperature**2 / len(target)
    p_t = F.softmax(t / temperature - 1000.0 * gt, dim=1)
    log_s = F.log_softmax(s / temperature - 1000.0 * gt, dim=1)
    nckd = F.kl_div(log_s, p_t, reduction="sum") * temperature**2 / len(target)
    return alpha * tckd + beta * nckd


def dist(s, t, beta, gamma, tau):
    """hunto/DIST_KD, losses.py; maps [N, C, H, W] as its dist_kd.py for segmentation has them."""

    def pearson(x, y, eps=1e-8):
        x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
        return ((x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1) + eps)).mean()

    if s.ndim == 4:
        s, t = (v.transpose(1, 3).reshape(-1, v.shape[1]) for v in (s, t))
    s, t = F.softmax(s / tau, dim=1), F.softmax(t / tau, dim=1)
    return tau**2 * (beta * (1 - pearson(s, t)) + gamma * (1 - pearson(s.T, t.T)))


def attention(s, t, p=2):
    """szagoruyko/attention-transfer, utils.py, and RepDistiller's pooling."""
    if s.ndim == 3:  # tokens
        s, t = s.transpose(1, 2), t.transpose(1, 2)

    def maps(x):
        return x.abs().pow(p).mean(1)

    a, b = maps(s), maps(t)
    if s.ndim == 4 and s.shape[2:] != t.shape[2:]:
        size = [min(x, y) for x, y in zip(s.shape[2:], t.shape[2:])]
        a, b = F.adaptive_avg_pool2d(a[:, None], size), F.adaptive_avg_pool2d(b[:, None], size)
    a, b = F.normalize(a.reshape(len(s), -1)), F.normalize(b.reshape(len(s), -1))
    return (a - b).pow(2).mean()


def similarity(s, t):
    """RepDistiller, distiller_zoo/SP.py."""
    g_s, g_t = (F.normalize(x.reshape(len(x), -1) @ x.reshape(len(x), -1).T) for x in (s, t))
    return (g_t - g_s).pow(2).sum() / len(s) ** 2


def rkd(s, t, distance, angle):
    """lenscloth/RKD, metric/loss.py and metric/utils.py, but for its clamp of distances at 1e-6."""
    s, t = s.reshape(len(s), -1), t.reshape(len(t), -1)

    def distances(e):
        d = (e[:, None] - e[None]).norm(dim=2)
        return d / d[d > 0].mean()

    def angles(e):
        unit = F.normalize(e[None] - e[:, None], p=2, dim=2)
        return torch.bmm(unit, unit.transpose(1, 2)).reshape(-1)

    return distance * F.smooth_l1_loss(distances(s), distances(t)) + angle * F.smooth_l1_loss(angles(s), angles(t))


def regressor(*shape):
    """The weights that the test sets, ((5 i + 3) mod 11 - 5) / 16."""
    i = np.arange(np.prod(shape))
    return torch.tensor((((5 * i + 3) % 11 - 5) / 16).reshape(shape))


def biases(count):
    return torch.arange(count, dtype=torch.float64) / 8


def hint(s, t):
    """Romero et al. 2015, equation 3, as a mean."""
    if s.ndim == 4 and s.shape[1] != t.shape[1]:
        s = F.conv2d(s, regressor(t.shape[1], s.shape[1], 1, 1), biases(t.shape[1]))
    elif s.shape[-1] != t.shape[-1]:
        s = s @ regressor(s.shape[-1], t.shape[-1]) + biases(t.shape[-1])
    return F.mse_loss(s, t)


def cosine(s, t):
    return (1 - F.cosine_similarity(s, t, dim=1 if s.ndim == 4 else -1)).mean()


labels = torch.tensor([2, 0, 3, 1])
scores, tokens, planes = pair(4, [5], [5]), pair(2, [3, 5], [3, 5]), pair(3, [4, 2, 3], [4, 2, 3])
token_labels = torch.tensor([[0, 3, 1], [2, 2, 4]])
maps = pair(3, [5, 4, 4], [6, 4, 4])
duplicates = [x.clone() for x in pair(5, [7], [3])]
duplicates[0][3] = duplicates[0][1]
for name, value in {
    "kd": kd(*scores, 2),
    "kd_1": kd(*scores, 1),
    "kd_tokens": kd(*tokens, 4),
    "kd_planes": kd(*(x.permute(0, 2, 3, 1) for x in planes), 2),
    "dkd": dkd(*scores, labels, 1, 8, 2),
    "dkd_4": dkd(*scores, labels, 0.5, 2, 4),
    "dkd_tokens": dkd(*(x.reshape(-1, 5) for x in tokens), token_labels.reshape(-1), 1, 8, 2),
    "dist": dist(*scores, 1, 1, 1),
    "dist_4": dist(*scores, 2, 0.5, 4),
    "dist_planes": dist(*planes, 1, 1, 1),
    "hint_same": hint(*planes),
    "hint_maps": hint(*maps),
    "hint_tokens": hint(*pair(2, [3, 4], [3, 6])),
    "hint_vectors": hint(*pair(3, [4], [6])),
    "attention": attention(*maps),
    "attention_3": attention(*maps, p=3),
    "attention_1": attention(*maps, p=1),
    "attention_finer": attention(*pair(3, [4, 4, 6], [2, 2, 2])),
    "attention_mixed": attention(*pair(3, [4, 2, 6], [3, 4, 3])),
    "attention_tokens": attention(*pair(2, [5, 4], [5, 6])),
    "similarity": similarity(*maps),
    "similarity_tokens": similarity(*pair(4, [3, 5], [2])),
    "rkd": rkd(*pair(5, [7], [3]), 25, 50),
    "rkd_distance": rkd(*pair(5, [7], [3]), 1, 0),
    "rkd_angle": rkd(*pair(5, [7], [3]), 0, 1),
    "rkd_duplicates": rkd(*duplicates, 1, 2),
    "rkd_maps": rkd(*maps, 25, 50),
    "mse": F.mse_loss(*tokens),
    "cosine": cosine(*scores),
    "cosine_maps": cosine(*planes),
    "cosine_tokens": cosine(*tokens),
    "weighted": 0.5 * kd(*scores, 2) + 3 * F.mse_loss(*scores),
}.items():
    print(f"{name} {float(value):.9g}")
