"""fit.overfit: training goes on getting better while the held part gets worse.

Sees      the held loss at the end above its best by more than its noise and by a good share of its level, while the training loss falls
          on; where the best was. With a score beside it: whether the score fell too, or only the certainty of wrong answers grew.
Matters   the last weights are worse than those of an earlier moment, and the time since was spent for nothing.
Remedies  take the weights of the best moment; stop early; more data, augmentation, decay or dropout, a smaller net.
Limits    needs a held part. Silent where the held loss is falling again at the end (double descent, late generalisation), where the whole
          rise is within the noise of a small held part, and for a held loss above the training loss that does not rise: that is a gap.
          A higher held loss with a score that held is a note, unless it ends above its start.
Source    vocabulary of fit.overfit; double descent: Nakkiran et al., arXiv:1912.02292; grokking: Power et al., arXiv:2201.02177.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.smoothing import noise, smooth
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import FEWEST, Curve, View, view
from tunesmith.records import Finding
from tunesmith.records.finding import Severity
from tunesmith.runs.history import History

NOISES = 4.0  # deviations of the held curve; assumption
GAP, GAP_SHARE = 2.0, 0.1  # times the training loss, and of the way that was made; assumption
SMALL, LARGE = 0.05, 0.5  # of the best held loss: a note from the first on, a warning from the second; assumption


NEAR = 2  # evaluations either side: half the width of the smoothing


@rule("fit.overfit", needs=("loss",))
def fit_overfit(history: History) -> Iterator[Finding]:
    seen = view(history)
    if not seen.readable or not seen.vals:
        return
    risen = [(val, *found) for val in seen.vals if (found := rise(val)) is not None and _trains_on(seen, val)]
    if len(risen) * 2 <= len(seen.vals):
        yield from _gap(seen)
        return
    val, amount, where = max(risen, key=lambda one: one[1] / max(abs(one[0].best), 1e-12))
    worse = _worse_score(seen)
    relative = amount / max(abs(val.best), 1e-12)
    undone = val.end > val.start  # all that the held loss ever won
    severity: Severity = "warning" if relative > LARGE and (worse is not False or undone) else "note"
    place = lowest(val, where)
    at = float(val.at[place])
    values = {
        "best": float(val.level[place]),
        "end": val.end,
        "axis": seen.axis,
        "at": at,
        "name": val.name,
        "share": min(relative, 99.0),
    }
    values |= {"groups": len(seen.vals), "risen": len(risen)}
    message = "overfit_groups" if len(seen.vals) > 1 else "overfit" if worse is not False else "overfit_certainty"
    yield told(
        "fit.overfit",
        severity,
        message,
        values,
        confidence=min(0.95, 0.6 + 0.2 * relative),
        evidence=[
            number(
                "val_loss", val.end, val.best + max(NOISES * val.noise, SMALL * abs(val.best)), "noise of the curve"
            ),
            number("val_loss_best", float(val.level[place]), at=at),
        ],
        remedies=[advice("take_best", axis=seen.axis, at=at), advice("regularise")],
        next_probe="longer_run" if severity == "note" else None,
        places=[at],
    )


def _gap(seen: View) -> Iterator[Finding]:
    """A held loss that does not rise, but stands far above a training loss that goes on."""
    train, val = seen.train, seen.val
    if train is None or val is None or min(len(train), len(val)) < 2 * FEWEST or train.end <= 0 or val.start <= 0:
        return
    ratio = val.end / train.end
    if ratio < GAP or val.end - train.end < GAP_SHARE * max(train.drop, val.drop):
        return
    yield told(
        "fit.overfit",
        "note",
        "gap",
        {"name": val.name, "held": val.end, "train": train.end, "ratio": ratio},
        confidence=0.35,
        evidence=[number("held_over_train", ratio, GAP, "assumption")],
        remedies=[advice("regularise")],
        next_probe="clean_subset",
    )


def rise(val: Curve) -> tuple[float, int] | None:
    """How far a held loss has risen since its best, and where that was; None where it has not, or falls again."""
    if len(val) < FEWEST + 1:
        return None
    course = smooth(val.level) if len(val) >= 7 else val.level
    where = int(np.argmin(course))
    after = val.level[where + 1 :]
    if len(after) < 3:
        return None
    best = float(course[where])
    end = float(np.median(val.level[-min(3, len(after)) :]))
    wobble = max(val.noise, noise(after), noise(val.level[len(val) // 3 :]))
    amount = end - best
    if amount < NOISES * wobble or amount < SMALL * abs(best) or amount < 0.02 * val.drop:
        return None
    top = float(np.max(smooth(after))) if len(after) >= 3 else float(after.max())
    if top - end > 0.35 * (top - best) and top - end > 3 * wobble:  # it is falling again
        return None
    if np.mean(after > best + 0.3 * amount) < 0.5:  # the end alone is high
        return None
    return amount, where


def lowest(val: Curve, near: int) -> int:
    """The evaluation with the lowest loss among the neighbours of the smoothed curve's best: the weights to go back to."""
    first = max(near - NEAR, 0)
    return first + int(np.argmin(val.level[first : near + NEAR + 1]))


def _trains_on(seen: View, val: Curve) -> bool:
    """Whether the training loss is lower now than where the held one was best; taken as so where there is none."""
    train = seen.train
    if train is None:
        return True
    where = float(val.at[int(np.argmin(smooth(val.level)))])
    before = train.level[train.at <= where]
    then = float(np.median(before[-3:])) if len(before) else train.start
    return train.end <= then + train.noise


def _worse_score(seen: View) -> bool | None:
    """Whether the held score is worse at the end than at its best; None without one."""
    answers = []
    for score in seen.scores:
        if len(score) >= FEWEST:
            answers.append(score.lost > max(3 * score.noise, 0.1 * score.drop))
    return any(answers) if answers else None
