"""loss.mismatch: the loss is not the right one for the task, the target or the metric.

Sees      a loss of classes that falls below 0 and further and further; a loss so small that the share of wrong answers beside it is
          impossible (each wrong answer costs a cross-entropy at least ln 2); a score that gets worse, or stays where it began, while the loss
          loses nearly all of its height.
Matters   the optimizer does what the loss says, and that is not what is wanted. Or the metric is computed wrongly.
Remedies  the standard loss of the task; look at signs, at the order of the arguments, at what the metric is fed.
Limits    likelihoods of densities are below 0 in sound runs, so a negative loss counts beside a score of classes only, and without one where
          it runs away. Focal and weighted losses may be small beside wrong answers: the bound is taken a quarter as tight. A flat accuracy
          beside a loss that falls a little is learning.
Source    vocabulary of loss.mismatch ([TDC] correlation of loss and metric); the bound: -log p >= ln 2 where p <= 1/2.
"""

import math
from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live_mismatch import seen_inside
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import FEWEST, Curve, View, direction, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

SLACK = 0.25  # focal losses: (1 - p)^2 = 1/4 at p = 1/2
MOSTLY = 0.8  # of the evaluations in the second half; assumption
GONE = 0.5  # of the loss, lost while the score did not move; assumption
OF_CLASSES = ("accuracy", "balanced_accuracy", "f1", "auc", "roc_auc", "precision", "recall", "top_1", "top1")


@rule("loss.mismatch", needs=("loss",))
def loss_mismatch(history: History) -> Iterator[Finding]:
    seen = view(history)
    if not seen.readable or seen.judged is None:
        return
    inside = list(seen_inside(history))
    yield from inside or _below_zero(seen) or _impossible(seen) or _parted(seen) or _always_zero(history)


def of_classes(score: Curve) -> bool:
    name = score.series.name.lower()
    return any(name == one or name.endswith("_" + one) for one in OF_CLASSES)


def _below_zero(seen: View) -> list[Finding]:
    one = seen.judged
    assert one is not None
    if len(one) < 3 or one.end >= 0:
        return []
    classes = (
        any(of_classes(score) for score in (*seen.scores, *seen.own_scores))
        or seen.history.facts.get("classes") is not None
    )
    _, errors, pace = one.fall(0.5)
    runs_away = errors > 4 and pace > 0.8 and one.end < -10 * max(abs(one.start), 1.0)
    if not (classes and (one.level < 0).mean() > 0.3) and not runs_away:
        return []
    return [
        told(
            "loss.mismatch",
            "error",
            "below_zero" if classes else "runs_away",
            {"name": one.name, "start": one.start, "end": one.end},
            confidence=0.85 if classes else 0.7,
            evidence=[number("loss", one.end, 0.0, "a loss of classes is not below 0")],
            remedies=[advice("standard_loss")],
            next_probe="swapped_output",
        )
    ]


def _impossible(seen: View) -> list[Finding]:
    """Losses and shares of right answers of the same part that cannot both be."""
    pairs = [(seen.val, score) for score in seen.scores] + [(seen.train, score) for score in seen.own_scores]
    for loss, score in pairs:
        if (
            loss is None
            or score.series.name not in ("accuracy", "top_1", "top1")
            or loss.series.part != score.series.part
        ):
            continue
        top = 100.0 if score.level.max() > 1.5 else 1.0
        both, first, second = np.intersect1d(loss.series.steps, score.series.steps, return_indices=True)
        costs, shares = loss.series.values[first], score.series.values[second] / top
        below = (costs >= 0) & (costs < 0.3 * SLACK * math.log(2) * (1 - shares))
        share = float(np.median(shares[len(both) // 2 :])) if len(both) else 1.0
        bound = SLACK * math.log(2) * (1 - share)
        if len(both) >= 2 and below[len(both) // 2 :].mean() > MOSTLY:
            return [
                told(
                    "loss.mismatch",
                    "warning",
                    "impossible",
                    {"name": loss.name, "loss": loss.end, "score": score.name, "value": share, "bound": 4 * bound},
                    confidence=0.5,
                    evidence=[number("loss", loss.end, 4 * bound, "ln 2 for each wrong answer")],
                    remedies=[advice("standard_loss"), advice("check_metric")],
                    next_probe="swapped_output",
                )
            ]
    return []


def _parted(seen: View) -> list[Finding]:
    """The loss won much, a score of the same part nothing."""
    for loss, scores in ((seen.val, seen.scores), (seen.train, seen.own_scores)):
        if loss is None or len(loss) < 3 or loss.start <= 0 or loss.drop < max(GONE * loss.start, 6 * loss.noise):
            continue
        moved = [score for score in scores if score.drop > max(3 * score.noise, 0.03 * abs(score.start), 0.01)]
        still = [
            score
            for score in scores
            if score not in moved and of_classes(score) and len(score) >= FEWEST and low(score)
        ]
        if still and not moved and loss.end < loss.start - 0.5 * loss.drop and not _guesses(loss, still[0]):
            score = still[0]
            return [
                told(
                    "loss.mismatch",
                    "warning",
                    "parted",
                    {
                        "name": loss.name,
                        "start": loss.start,
                        "end": loss.end,
                        "score": score.name,
                        "first": score.start,
                        "last": score.end,
                    },
                    confidence=0.5,
                    evidence=[number("score_won", score.drop, max(3 * score.noise, 0.01), "noise of the curve")],
                    remedies=[advice("standard_loss"), advice("check_metric")],
                    next_probe="swapped_output",
                )
            ]
    return []


def _guesses(loss: Curve, score: Curve) -> bool:
    """Whether the loss came down to what guessing costs, and the score is that of guessing: they do agree."""
    share = score.end / (100.0 if float(score.level.max()) > 1.5 else 1.0)
    return score.series.name == "accuracy" and 0 < share < 1 and 0.9 < loss.end / -math.log(share) < 1.3


def _always_zero(history: History) -> list[Finding]:
    """A score that is exactly 0 at every value, while the loss of the same output loses most of its height."""
    for score in history.curves:
        if direction(score) >= 0 or len(score) < 3 or bool((score.values != 0).any()) or score.name not in OF_CLASSES:
            continue
        for loss in history.all("loss", score.part):
            same = loss.where == "" if not score.where else loss.where != "" and score.where.startswith(loss.where)
            if same and len(loss) >= 3 and 0 < loss.values[-1] < min(GONE * loss.values[0], math.log(2)):
                return [
                    told(
                        "loss.mismatch",
                        "warning",
                        "always_zero",
                        {
                            "name": loss.column or loss.name,
                            "start": float(loss.values[0]),
                            "end": float(loss.values[-1]),
                            "score": score.column or score.name,
                        },
                        confidence=0.5,
                        evidence=[number(score.name, 0.0, 0.0, "exactly 0", where=score.where)],
                        remedies=[advice("check_metric")],
                    )
                ]
    return []


def low(score: Curve) -> bool:
    """Whether there was much left to win for a score whose best is 1 (or 100)."""
    top = 100.0 if float(score.level.max()) > 1.5 else 1.0
    return float(np.median(score.level)) < 0.6 * top
