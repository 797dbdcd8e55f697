"""The kind of a task whose model and arrays are the user's own: by the loss, else by the type of the labels.

The labels are left as they are, for it is the user's loss that reads them.
"""

from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.data.target import Target, understood
from tunesmith.records import Task

CLASS_LOSSES = ("crossentropy", "nllloss", "multimargin")
BINARY_LOSSES = ("bceloss", "bcewithlogits", "binarycrossentropy", "softmargin", "hinge")
NUMBER_LOSSES = ("mse", "mae", "l1loss", "smoothl1", "huber", "gaussiannll", "poissonnll", "quantile")


def own_target(values: Array, task: Task) -> tuple[Target, str]:
    """The target of a task with the user's own model, left as it is, and a sentence on its kind."""
    if values.dtype == object:  # words have no other use than as classes
        return understood(values, ("y",), task.kind, task.positive)
    kind, why = (task.kind, "as the task says") if task.kind != "auto" else _kind(values, task.loss)
    if kind in ("binary", "multiclass", "language") and values.dtype.kind in "iub":
        highest = int(values.max(initial=0))
        classes = tuple(range(max(highest + 1, 2)))
        return Target(
            kind, ("y",), classes, _positive(values) if kind == "binary" else None, as_is=True
        ), f"y: {kind}, {why}"
    width = 1 if values.ndim == 1 else values.shape[-1]
    if kind == "binary" or (kind == "multiclass" and values.ndim == 1):
        return Target(
            "binary" if kind == "binary" else kind, ("y",), (0, 1), _positive(values), as_is=True
        ), f"y: {kind}, {why}"
    names = ("y",) if width == 1 else tuple(f"y{index}" for index in range(width))
    return Target(kind, names, as_is=True), f"y: {kind}, {why}"


def _positive(values: Array) -> int:
    return int((values > 0).mean() <= 0.5)


def loss_name(loss: Any) -> str:
    """The name of a loss by letters alone.

    >>> loss_name("binary_cross_entropy")
    'binarycrossentropy'
    """
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _kind(values: Array, loss: Any) -> tuple[str, str]:
    name = loss_name(loss)
    several = values.ndim > 1 and values.shape[-1] > 1
    if any(known in name for known in BINARY_LOSSES):
        return ("multilabel" if several else "binary"), "by the loss"
    if any(known in name for known in CLASS_LOSSES):
        return "multiclass", "by the loss"
    if any(known in name for known in NUMBER_LOSSES):
        return ("multi_regression" if several else "regression"), "by the loss"
    if values.dtype.kind in "iub":
        if several and np.isin(values, (0, 1)).all():
            return "multilabel", "for y holds 0 and 1 in several columns"
        two = values.ndim == 1 and len(np.unique(values)) == 2 and int(values.max()) == 1 and int(values.min()) == 0
        return ("binary" if two else "multiclass"), "for y holds whole numbers"
    if np.isin(values, (0, 1)).all():
        return (
            "multilabel" if several else "binary"
        ), "for y holds 0 and 1 alone; kind = 'regression' takes them as numbers"
    return ("multi_regression" if several else "regression"), "for y holds real numbers"
