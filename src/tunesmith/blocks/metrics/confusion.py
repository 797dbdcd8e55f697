"""Which classes are taken for which."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.blocks.metrics.judged import CLASS_KINDS, Array, Judged, ratio, tally


def confusion_matrix(
    kind: str,
    target: Array,
    prediction: Array,
    *,
    positive: int | None = None,
    weight: Array | None = None,
    threshold: float | None = None,
) -> Array:
    """Weights of rows, (C, C): true class down, predicted class across. For several labels (K, 2, 2), no before yes."""
    judged = Judged(kind, target, prediction, 1 if positive is None else positive, threshold)
    each = judged.weights(weight)
    if kind in CLASS_KINDS:
        cells = np.bincount(judged.target * judged.columns + judged.decided, each, minlength=judged.columns**2)
        return cells.reshape(judged.columns, judged.columns)
    right, true, decided = tally(judged, each)
    no_no = each.sum() - true - decided + right
    return np.stack([no_no, decided - right, true - right, right], axis=1).reshape(-1, 2, 2)


def class_report(
    kind: str,
    target: Array,
    prediction: Array,
    *,
    classes: Sequence[Any] | None = None,
    positive: int | None = None,
    weight: Array | None = None,
    threshold: float | None = None,
) -> list[dict[str, Any]]:
    """For each class or label: label, precision, recall, f1 (nan where undefined), support (weight in the truth)."""
    judged = Judged(kind, target, prediction, 1 if positive is None else positive, threshold)
    right, true, decided = tally(judged, judged.weights(weight))
    table = zip(ratio(right, decided), ratio(right, true), ratio(2 * right, true + decided), true, strict=True)
    return [
        {
            "label": index if classes is None else classes[index],
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "support": float(support),
        }
        for index, (precision, recall, f1, support) in enumerate(table)
    ]
