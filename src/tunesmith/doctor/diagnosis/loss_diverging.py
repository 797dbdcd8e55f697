"""loss.diverging: the training loss grows instead of falling.

Sees      the level at the end far above the best level before: beyond the noise, and more than half of the way down is lost again. A loss
          that ends above its start is an error, one that was lower before is a warning.
Matters   every further update makes the model worse; the best weights are those of a checkpoint in the past.
Remedies  go back to the checkpoint before the turn; a rate three to ten times lower; warm-up; clipping where only rare steps are long.
Limits    silent where the held score goes on improving (a curriculum that grows harder), where the last value alone is high (a spike),
          for runs of fewer than four points, for two players and agents.
Source    vocabulary of loss.diverging (last window above 2 x best [TDC]), made free of scale: half of the way, 6 deviations of the noise.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.smoothing import smooth
from tunesmith.doctor.diagnosis.telling import advice, number, rate_change, told
from tunesmith.doctor.diagnosis.views import FEWEST, Curve, View, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

HALF = 0.5  # of the way down, lost again; assumption
NOISES = 6.0  # deviations of a level; assumption
TWICE = 2.0  # [TDC]


@rule("loss.diverging", needs=("loss",))
def loss_diverging(history: History) -> Iterator[Finding]:
    seen = view(history)
    train = seen.train
    if train is None or len(train) < FEWEST or not seen.readable:
        return
    lost, turn = train.lost, train.best_index
    if lost < NOISES * train.noise or lost < HALF * train.drop or len(train) - turn < 3:
        return
    if not _rises(train, turn) or (_scores_improve(seen, float(train.at[turn])) and train.end < train.start):
        return
    above_start = train.end > train.start + NOISES * train.noise and train.end > TWICE * abs(train.best)
    if not above_start and lost < 0.2 * abs(train.best):  # a wobble of a curve that hardly moved; assumption
        return
    at = float(train.at[turn])
    values = {"best": train.best, "end": train.end, "start": train.start, "axis": seen.axis, "at": at}
    yield told(
        "loss.diverging",
        "error" if above_start else "warning",
        "diverging" if turn else "diverging_at_once",
        values,
        confidence=0.95 if above_start else 0.8,
        evidence=[
            number("loss", train.end, train.best + HALF * train.drop, "half of the way down"),
            number("loss_best", train.best, at=at),
        ],
        remedies=([advice("back_to", axis=seen.axis, at=at)] if turn else [])
        + [rate_change("lower_rate", seen.rate_at(at), 0.1)],
        next_probe="rate_sweep",
        places=[at],
    )


def _rises(train: Curve, turn: int) -> bool:
    """Whether the rise is more than one high value: the last three, or half of what follows the best, stand above the line."""
    after = smooth(train.level)[turn + 1 :]
    if not len(after):
        return False
    line = train.best + max(HALF * train.drop, NOISES * train.noise) * 0.5
    return bool(np.mean(after > line) > 0.4 and (after[-3:] > line).all())


def _scores_improve(seen: View, since: float) -> bool:
    """Whether a held score got better after that place."""
    for score in (*seen.scores, *seen.vals):
        later = score.at > since
        if later.sum() >= 3 and not later.all():
            was, now = float(np.min(score.down[~later])), float(np.median(score.down[-3:]))
            if now < was - 2 * score.noise:
                return True
    return False
