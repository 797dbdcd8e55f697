"""The mean of -log of the probability that the truth was given."""

import numpy as np

from tunesmith.blocks.metrics.definition import METRICS, Metric
from tunesmith.blocks.metrics.judged import CLASS_KINDS, Array, Judged


def surprise(judged: Judged) -> Array:
    """-log p of each row in nats; with several labels the mean over them. A certain error counts as the type's
    epsilon."""
    given = judged.prediction
    tiny = np.finfo(given.dtype if np.issubdtype(given.dtype, np.floating) else np.float64).eps
    given = np.clip(given.astype(np.float64), tiny, 1 - tiny)
    if judged.kind in CLASS_KINDS:
        return np.asarray(-np.log(given[np.arange(len(judged)), judged.target]))
    return np.asarray(-np.where(judged.target > 0.5, np.log(given), np.log1p(-given)).mean(axis=1))


METRICS.add("log_loss")(Metric("log_loss", "min", ("multiclass", "binary", "multilabel", "language"), rows=surprise))
