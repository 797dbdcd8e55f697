"""Metrics of the order of scores: ROC-AUC and average precision.

For several classes each is taken against the rest, for several labels each by itself, and the plain mean is given
(`multi_class="ovr", average="macro"` of scikit-learn), over those that have both a yes and a no.
"""

import numpy as np

from tunesmith.blocks.metrics.definition import METRICS, Metric
from tunesmith.blocks.metrics.judged import Array, Judged, Standing, mean, standings

RANKED = ("multiclass", "binary", "multilabel")


def _area(above: Standing) -> float:
    """The share of pairs of a yes and a no in the right order, ties half. Hanley & McNeil, Radiology 143 (1982) 29."""
    if not (above.yes > 0 and above.no > 0):
        return float("nan")
    wrong = (
        above.no_above + above.through - above.yes_through
    ) / 2  # the strictly higher no, and half of the equal ones
    return float(1 - above.own @ wrong / (above.yes * above.no))


def _average_precision(above: Standing) -> float:
    """Σ (Rₙ - Rₙ₋₁) Pₙ over the distinct scores, no interpolation."""
    if not (above.yes > 0 and above.no > 0):
        return float("nan")
    precision = np.divide(above.yes_through, above.through, out=np.zeros_like(above.own), where=above.through > 0)
    return float(above.own @ precision / above.yes)


def roc_auc(judged: Judged, weight: Array) -> float:
    """The share of pairs of a yes and a no that the scores put in the right order, ties half.

    Use: how well scores rank, whatever the threshold; flatters where a yes is rare: there average_precision.
    Source: Hanley & McNeil, Radiology 143, 1982, page 29.
    """
    return mean(np.array([_area(above) for above in standings(judged, weight)]))


def average_precision(judged: Judged, weight: Array) -> float:
    """Σ (Rₙ - Rₙ₋₁) Pₙ over the distinct scores, without interpolation: the area below precision against recall.

    Use: rankings where a yes is rare; a coin has the share of the yes, not ½.
    Source: as scikit-learn's average_precision_score.
    """
    return mean(np.array([_average_precision(above) for above in standings(judged, weight)]))


METRICS.add("roc_auc")(Metric("roc_auc", "max", RANKED, roc_auc))
METRICS.add("average_precision")(Metric("average_precision", "max", RANKED, average_precision))
