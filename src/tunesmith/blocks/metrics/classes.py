"""Metrics of decided classes and labels: accuracy, balanced accuracy, precision, recall, F1.

For a binary task precision, recall and F1 are those of the positive class, else the plain mean over classes or labels
(macro): over those that occur in truth or prediction, where a ratio without a denominator counts 0, as in scikit-learn.
"""

import numpy as np

from tunesmith.blocks.metrics.definition import METRICS, Metric
from tunesmith.blocks.metrics.judged import CLASS_KINDS, Array, Judged, Tally, mean, ratio, tally

DECIDED = ("multiclass", "binary", "multilabel")


def right(judged: Judged) -> Array:
    """Whether each row is right; with several labels, all of them."""
    same = judged.decided == judged.target
    return np.asarray(same if judged.kind in CLASS_KINDS else same.all(axis=1), dtype=np.float64)


def balanced_accuracy(judged: Judged, weight: Array) -> float:
    """The mean recall of the classes that occur in the truth."""
    counts = tally(judged, weight)
    return mean(ratio(counts.right, counts.true))


def _precision(counts: Tally) -> Array:
    return ratio(counts.right, counts.decided)


def _recall(counts: Tally) -> Array:
    return ratio(counts.right, counts.true)


def _f1(counts: Tally) -> Array:
    """2 TP / (2 TP + FP + FN)."""
    return ratio(2 * counts.right, counts.true + counts.decided)


def _macro(values: Array, counts: Tally) -> float:
    occurs = counts.true + counts.decided > 0
    return mean(np.nan_to_num(values[occurs], nan=0.0))


def precision(judged: Judged, weight: Array) -> float:
    """TP / (TP + FP): of the rows called a class, the share that is one.

    Use: where a false alarm is dear; says nothing of what was missed, so beside recall.
    """
    counts = tally(judged, weight)
    values = _precision(counts)
    return float(values[judged.positive]) if judged.kind == "binary" else _macro(values, counts)


def recall(judged: Judged, weight: Array) -> float:
    """TP / (TP + FN): of the rows of a class, the share that was found.

    Use: where a miss is dear; calling everything the class makes it 1, so beside precision.
    """
    counts = tally(judged, weight)
    values = _recall(counts)
    return float(values[judged.positive]) if judged.kind == "binary" else _macro(values, counts)


def f1(judged: Judged, weight: Array) -> float:
    """2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall; `f1:<label>` is that of one class.

    Use: rare classes, where accuracy is high for doing nothing.
    Source: van Rijsbergen, Information Retrieval, 1979, chapter 7.
    """
    counts = tally(judged, weight)
    values = _f1(counts)
    return float(values[judged.positive]) if judged.kind == "binary" else _macro(values, counts)


def f1_macro(judged: Judged, weight: Array) -> float:
    """The plain mean of the F1 of every class or label.

    Use: where a rare class matters as much as a common one.
    """
    counts = tally(judged, weight)
    return _macro(_f1(counts), counts)


def f1_micro(judged: Judged, weight: Array) -> float:
    """Over all answers together; with one class a row it equals the accuracy."""
    counts = tally(judged, weight)
    return float(ratio(2 * counts.right.sum(), counts.true.sum() + counts.decided.sum()))


def f1_of(index: int, judged: Judged, weight: Array) -> float:
    """The F1 of one class or label."""
    return float(_f1(tally(judged, weight))[index])


METRICS.add("accuracy")(Metric("accuracy", "max", (*DECIDED, "language"), rows=right))
METRICS.add("balanced_accuracy")(Metric("balanced_accuracy", "max", ("multiclass", "binary"), balanced_accuracy))
METRICS.add("f1")(Metric("f1", "max", DECIDED, f1, of_class=f1_of))
for _function in (precision, recall, f1_macro, f1_micro):
    METRICS.add(_function.__name__)(Metric(_function.__name__, "max", DECIDED, _function))
