"""loss.plateau_at_chance: the loss is stuck at that of an answer that knows nothing.

Sees      the training loss within 2 % of the loss of chance for most of the run and at its end: the entropy of the labels or ln C where
          these are known, ln of a usual number of classes (0.693 for two) or a flat loss beside a score of chance where they are not.
Matters   nothing is learnt from the inputs.
Remedies  look at the output activation and the loss, at the start weights, at whether the weights move, at whether the inputs say anything.
Limits    silent where the loss falls at the end: some tasks leave chance late. A loss of ln C by accident cannot be told from chance
          without a score.
Source    vocabulary of loss.plateau_at_chance; Karpathy, A Recipe for Training Neural Networks (loss at init).
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.chance import NEAR, guessed, known, scores_at_chance, stands_still
from tunesmith.doctor.diagnosis.smoothing import flat_from
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import FEWEST, Curve, View, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

MOST = 0.6  # of the run at that level; assumption
BEGAN = 0.05  # of the loss of chance, from the first value; assumption
FLAT = 0.04  # of its level, that the loss may have fallen in all where only a score says that it is chance; assumption


@rule("loss.plateau_at_chance", needs=("loss",))
def loss_plateau_at_chance(history: History) -> Iterator[Finding]:
    seen = view(history)
    one = seen.judged
    if one is None or len(one) < FEWEST or not seen.readable or not np.isfinite(one.series.values[-1]):
        return
    found = chance_of(seen, one)
    if found is None:
        return
    chance, source, sure = found
    values = {"level": one.end, "chance": chance, "share": _share_near(one, chance), "name": one.name}
    yield told(
        "loss.plateau_at_chance",
        "error" if sure else "warning",
        f"at_chance_{source}",
        values,
        confidence=0.95 if sure else 0.75,
        evidence=[number("loss", one.end, chance * (1 + NEAR), "vocabulary")],
        remedies=[advice("chance_causes")],
        next_probe="one_batch",
    )


def chance_of(seen: View, one: Curve) -> tuple[float, str, bool] | None:
    """The loss of chance at which the run is stuck, how that is known, and whether surely."""
    fallen, errors, _ = one.fall()
    if errors > 4 and fallen > 0.005 * abs(one.end):  # it is on its way
        return None
    bound = known(seen)
    if bound is not None and one.sign == 1:
        return (
            (bound.loss, bound.source, True)
            if _share_near(one, bound.loss) >= MOST and _near(one, bound.loss)
            else None
        )
    by_score = scores_at_chance(seen)
    dead = any(
        stands_still(score) for score in seen.scores if score.series.name in ("accuracy", "balanced_accuracy", "f1")
    )
    table = guessed(one.end)
    if table is not None and _share_near(one, table.loss) >= MOST:
        sure = by_score is not None or dead or _low(seen, table.classes)
        began_there = (
            abs(one.start - table.loss) < BEGAN * table.loss
        )  # logarithms lie close: without a score the start must be there too
        if sure or (not seen.scores and began_there):
            return table.loss, "table", sure
    still = flat_from(one.level, max(4 * one.noise, FLAT * abs(one.end))) <= len(one) / 3
    if (by_score or dead) and still and abs(one.end) > 0.2 * abs(one.start):
        return one.end, "score", by_score is not None
    return None


def _near(one: Curve, chance: float) -> bool:
    return abs(one.end - chance) < NEAR * abs(chance) + 2 * one.noise


def _share_near(one: Curve, chance: float) -> float:
    return float(np.mean(np.abs(one.level - chance) < NEAR * abs(chance) + 2 * one.noise))


def _low(seen: View, classes: int | None) -> bool:
    """An accuracy that is near that of guessing among the classes."""
    return any(
        score.series.name == "accuracy" and classes is not None and float(np.median(score.level[-3:])) < 1.5 / classes
        for score in (*seen.scores, *seen.own_scores)
    )
