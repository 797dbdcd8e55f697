"""Small nets on the digits of scikit-learn, trained in a second: what the tests of this room share."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from tunesmith.blocks.metrics.judged import Array

TRAIN, HELD, TEST = slice(0, 300), slice(300, 900), slice(900, 1797)


class Digits(NamedTuple):
    X: torch.Tensor  # (1797, 64), between 0 and 1
    y: torch.Tensor


@cache
def digits() -> Digits:
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))  # the digits come writer by writer
    return Digits(torch.from_numpy(X[order] / 16).float(), torch.from_numpy(y[order]))


def net(seed: int, width: int = 32, norm: bool = False) -> nn.Sequential:
    torch.manual_seed(seed)
    between = [nn.BatchNorm1d(width)] if norm else []
    return nn.Sequential(nn.Linear(64, width), *between, nn.ReLU(), nn.Linear(width, 10))


def trained(model: nn.Module, rows: Any = TRAIN, *, seed: int = 0, epochs: int = 40, lr: float = 0.03) -> nn.Module:
    """The model after some epochs of Adam on the rows; batches of 32 in an order drawn from the seed."""
    X, y = digits().X[rows], digits().y[rows]
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    model.train()
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(X), generator=generator), 32):
            if len(batch) < 2:
                continue  # a batch norm needs two
            optimizer.zero_grad()
            torch.autograd.backward(functional.cross_entropy(model(X[batch]), y[batch]))
            optimizer.step()
    return model.eval()


def chances(model: nn.Module, rows: Any = slice(None)) -> Array:
    """Probabilities (N, 10) of the rows."""
    model.eval()
    with torch.no_grad():
        return np.asarray(model(digits().X[rows]).double().softmax(1))


@cache
def members(count: int = 8) -> tuple[nn.Module, ...]:
    """Nets that differ in start, order and rows: each saw 120 of the 300 for training."""
    rows = [np.random.default_rng(seed).permutation(300)[:120] for seed in range(count)]
    return tuple(trained(net(seed), rows[seed], seed=seed) for seed in range(count))


@cache
def predicted(count: int = 8) -> Array:
    """What they say of all rows, (M, N, 10)."""
    return np.stack([chances(one) for one in members(count)])
