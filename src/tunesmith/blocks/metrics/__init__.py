"""Metrics on NumPy arrays, with weights and intervals; the definitions are those of scikit-learn.

One difference: what is undefined (ROC-AUC of one class, precision without a positive prediction, R² of a constant) is nan.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from tunesmith.blocks.metrics.bootstrap import intervals, noise
from tunesmith.blocks.metrics.calibration import Temperature, calibration_error, fit_temperature, probabilities
from tunesmith.blocks.metrics.confusion import class_report, confusion_matrix
from tunesmith.blocks.metrics.definition import BY_KIND, METRICS, Metric, chosen, metric
from tunesmith.blocks.metrics.judged import Array, Judged
from tunesmith.blocks.metrics.threshold import best_threshold

__all__ = [
    "BY_KIND",
    "METRICS",
    "Judged",
    "Metric",
    "Temperature",
    "best_threshold",
    "calibration_error",
    "class_report",
    "confusion_matrix",
    "fit_temperature",
    "intervals",
    "metric",
    "noise",
    "probabilities",
    "scores",
]

METRICS.load(__path__, __name__)


def scores(
    kind: str,
    target: Array,
    prediction: Array,
    *,
    classes: Sequence[Any] | None = None,
    positive: int | None = None,
    weight: Array | None = None,
    names: Iterable[str] | None = None,
    threshold: float | None = None,
) -> dict[str, float]:
    """Each metric of `names`, or each that fits the kind, by name; nan where it is undefined. Arguments as `Judged` has them.

    >>> import numpy as np
    >>> guess = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    >>> scores("binary", np.array([0, 1, 0, 1]), guess, names=["accuracy", "roc_auc"])
    {'accuracy': 0.5, 'roc_auc': 0.75}
    """
    judged = Judged(kind, target, prediction, 1 if positive is None else positive, threshold)
    each = judged.weights(weight)
    return {found.name: found(judged, each) for found in chosen(kind, names, classes)}
