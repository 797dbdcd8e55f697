"""The loss and the score of an answer that knows nothing."""

import math
from dataclasses import dataclass

import numpy as np

from tunesmith.doctor.diagnosis.views import Curve, View

NEAR = 0.02  # of the loss: vocabulary of loss.plateau_at_chance
USUAL = (
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    10,
    20,
    26,
    50,
    100,
    200,
    256,
    1000,
)  # numbers of classes that a bare log may be held against
SCORES = {"r2": 0.0, "auc": 0.5, "roc_auc": 0.5, "mcc": 0.0, "kappa": 0.0}  # of a constant answer, whatever the data
AROUND = {
    "r2": 0.05,
    "auc": 0.06,
    "roc_auc": 0.06,
    "mcc": 0.05,
    "kappa": 0.05,
}  # sampling of some hundred rows; assumption


@dataclass(frozen=True, slots=True)
class Chance:
    """A loss of chance, and where it comes from: "facts", "classes", "table"."""

    loss: float
    classes: int | None
    source: str


def known(seen: View) -> Chance | None:
    """What the facts of the run say of chance."""
    facts = seen.history.facts
    if isinstance(facts.get("chance_loss"), int | float) and facts["chance_loss"] > 0:
        return Chance(float(facts["chance_loss"]), facts.get("classes"), "facts")
    classes = facts.get("classes")
    if isinstance(classes, int) and classes > 1:
        return Chance(math.log(classes), classes, "classes")
    return None


def guessed(level: float) -> Chance | None:
    """Chance at ln C of a usual number of classes, where the level is that to 1 %."""
    for count in USUAL:
        if abs(level - math.log(count)) < 0.01 * math.log(count):
            return Chance(math.log(count), count, "table")
    return None


def scores_at_chance(seen: View) -> tuple[Curve, float] | None:
    """A held score that stays at that of a constant answer through the second half, and that value."""
    for score in (*seen.scores, *seen.own_scores):
        if len(score) < 3:
            continue
        half = score.level[len(score) // 2 :]
        name = score.series.name.lower()
        for word, value in SCORES.items():
            if name == word or name.endswith("_" + word):
                if float(np.median(half)) <= value + AROUND[word]:
                    return score, value
                break
    return None


def stands_still(score: Curve) -> bool:
    """Whether a score is one value through the second half: a constant answer."""
    half = score.level[len(score) // 2 :]
    return len(half) >= 3 and float(half.max() - half.min()) <= 1e-9 + 1e-6 * abs(float(half[0]))
