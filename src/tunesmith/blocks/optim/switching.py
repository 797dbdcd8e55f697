"""Optimizers with two sets of weights: those that are trained and those that are evaluated.

Schedule-free optimizers and lookahead have `train()` and `eval()`, which put the one or the other into the model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import Optimizer


def switches(optimizer: Optimizer) -> bool:
    """Whether it has the methods `train()` and `eval()`."""
    return all(callable(getattr(optimizer, name, None)) for name in ("train", "eval"))


def is_schedule_free(optimizer: Any) -> bool:
    """Whether it averages in place of a schedule, by its class: the rate must then stay constant after the warm-up."""
    name = type(optimizer).__name__.lower().replace("_", "")
    return switches(optimizer) and "schedulefree" in name


@contextmanager
def evaluated(optimizer: Optimizer) -> Iterator[None]:
    """The parameters hold the weights that are evaluated inside, and the trained ones, bit for bit, after it.

    The way back through `train()` alone would round: the trained values are kept and put back.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    kept = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        optimizer.eval()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        with torch.no_grad():
            optimizer.train()  # type: ignore[attr-defined]
            for weight, value in zip(weights, kept, strict=True):
                weight.copy_(value)
