"""Confident learning: which labels contradict what a model says of their rows. Needs out-of-sample probabilities alone.

Northcutt, Jiang & Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, arXiv:1911.00068; equations named below.
p is (N, C), probabilities of each row from a model that was not fitted on it; codes (N,) the labels that were given.
"""

import numpy as np

from tunesmith.data.spec import Array


def thresholds(p: Array, codes: Array) -> Array:
    """(C,): how sure the model is of a class on average, over the rows so labelled. Eq. 2. A class without rows has 1."""
    count = p.shape[1]
    rows = np.bincount(codes, minlength=count)
    own = np.bincount(codes, weights=p[np.arange(len(p)), codes], minlength=count)
    return np.where(rows > 0, own / np.maximum(rows, 1), 1.0)


def confident_joint(p: Array, codes: Array) -> Array:
    """int64 (C, C): rows labelled i that confidently are j. Eq. 1.

    >>> import numpy as np
    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9]])
    >>> confident_joint(p, np.array([0, 0, 1, 1, 0])).tolist()
    [[2, 1], [0, 1]]
    """
    count = p.shape[1]
    sure = np.where(p >= thresholds(p, codes) - 1e-6, p, -1.0)
    told = sure.max(1) >= 0
    joint = np.zeros((count, count), np.int64)
    np.add.at(joint, (codes[told], sure[told].argmax(1)), 1)
    rows = np.bincount(codes, minlength=count)
    lone = (joint.sum(1) == 0) & (rows > 0)
    joint[lone, lone] = 1  # nobody is sure of a row so labelled: they stay what they are
    return joint


def calibrated_joint(joint: Array, codes: Array) -> Array:
    """(C, C): the joint distribution of given and true labels, whose rows sum to the labels' shares. Eq. 3."""
    rows = np.bincount(codes, minlength=len(joint))
    found = joint / np.maximum(joint.sum(1, keepdims=True), 1) * rows[:, None]
    return np.asarray(found / max(found.sum(), 1e-12))


def pruned(p: Array, codes: Array) -> Array:
    """bool (N,): the rows that pruning by noise rate calls wrong: n·Q_ij of each pair with the largest margin. Section 3.2, method 4."""
    joint = calibrated_joint(confident_joint(p, codes), codes) * len(p)
    found = np.zeros(len(p), bool)
    for given in np.unique(codes):
        rows = np.flatnonzero(codes == given)
        for other in np.flatnonzero(joint[given] >= 0.5):
            if other == given:
                continue
            margin = p[rows, other] - p[rows, given]
            most = min(int(joint[given, other] + 0.5), len(rows))
            found[rows[np.argsort(-margin, kind="stable")[:most]]] = True
    return np.asarray(found & (p.argmax(1) != codes))


def self_confidence(p: Array, codes: Array) -> Array:
    """(N,) in 0..1: the probability of the given label."""
    return np.clip(p[np.arange(len(p)), codes], 0.0, 1.0)


def expected_flagged(p: Array, rng: np.random.Generator, draws: int = 5) -> float:
    """How many rows pruning flags where labels are drawn from p itself: what overlap alone explains."""
    counts = []
    for _ in range(draws):
        drawn = np.minimum((p.cumsum(1) < rng.random((len(p), 1))).sum(1), p.shape[1] - 1)
        counts.append(int(pruned(p, drawn).sum()))
    return float(np.mean(counts))
