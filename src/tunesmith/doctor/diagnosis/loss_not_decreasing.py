"""loss.not_decreasing: the loss hardly moves, or has not moved for most of the run.

Sees      a training loss (held loss where there is none) that fell by less than 5 % of its start and stands still at the end; or one that
          has been flat for at least two thirds of the run within its noise, which is told as a note: it may have arrived.
Matters   the time is spent for nothing: either something is wrong, or the run could have ended long ago.
Remedies  look for the cause of a loss that never moved; of one that stopped, lower the rate where it became flat, or end there.
Limits    a log cannot tell "stuck" from "arrived": that needs another run, or a score to compare with. Long plateaus may still drop.
Source    vocabulary of loss.not_decreasing ([TDC]: less than 5 % over a window); flatness against the noise of second differences.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.loss_plateau_at_chance import chance_of
from tunesmith.doctor.diagnosis.smoothing import flat_from
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import FEWEST, Curve, View, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

LITTLE = 0.05  # of the start [TDC]
LONG = 2 / 3  # of the run, flat; assumption
NEARLY_ALL, MANY = 0.9, 50  # of the run, in points: time spent for nothing, whatever the reason; assumption
ENOUGH = 12  # points before a flat stretch is spoken of; assumption


@rule("loss.not_decreasing", needs=("loss",))
def loss_not_decreasing(history: History) -> Iterator[Finding]:
    seen = view(history)
    one = seen.judged
    if one is None or len(one) < FEWEST or not seen.readable or not np.isfinite(one.series.values[-1]):
        return
    if one.lost > max(0.5 * one.drop, 6 * one.noise) and one.end > one.start:
        return  # it grows: loss.diverging
    if chance_of(seen, one) is not None:
        return
    fell = (one.start - one.end) * one.sign
    if fell < LITTLE * abs(one.start) + 2 * one.noise * (len(one) < 20) and not _scores_moved(seen):
        values = {"start": one.start, "end": one.end, "share": fell / max(abs(one.start), 1e-12), "name": one.name}
        yield told(
            "loss.not_decreasing",
            "warning"
            if seen.train is not None
            else "note",  # a first evaluation comes after the first epoch: it may have arrived
            "not_decreasing",
            values,
            confidence=0.85 if seen.train is not None else 0.5,
            evidence=[number("loss_fall", fell, LITTLE * abs(one.start), "[TDC] 5 %")],
            remedies=[advice("not_decreasing_causes")],
            next_probe="rate_sweep",
        )
        return
    if not _scores_moved(seen):
        yield from _stalled(seen, one)
    yield from _held_gained_nothing(seen)


def _stalled(seen: View, one: Curve) -> Iterator[Finding]:
    """Flat for most of the run: arrived, or stuck."""
    if len(one) < ENOUGH:
        return
    index = flat_from(one.level, max(4 * one.noise, 0.02 * one.drop))
    share = 1 - (one.at[index] - one.at[0]) / one.span if index < len(one) and one.span > 0 else 0.0
    if share < LONG or abs(one.end) < 0.02 * abs(one.start):  # as good as nothing left to win
        return
    at = float(one.at[index])
    values = {"axis": seen.axis, "at": at, "level": one.end, "share": share, "name": one.name}
    long = share > NEARLY_ALL and len(one) >= MANY and 4 * one.noise < 0.1 * one.drop
    yield told(
        "loss.not_decreasing",
        "warning" if long else "note",
        "stalled",
        values,
        confidence=0.7 if long else 0.6,
        evidence=[number("flat_share", share, LONG, "assumption", at=at)],
        remedies=[advice("decay_from", axis=seen.axis, at=at)],
        next_probe="flat_schedule" if seen.rate is None else "rate_sweep",
        places=[at],
    )


def _held_gained_nothing(seen: View) -> Iterator[Finding]:
    """Epochs that won nothing on the held part: it began as good as it ends."""
    scores = [score for score in seen.scores if len(score) >= ENOUGH]
    held = [val for val in seen.vals if len(val) >= ENOUGH]
    if not scores or not held:
        return
    score = scores[0]
    won = (float(np.median(score.down[:3])) - float(np.median(score.down[-3:]))) if score.sign else 0.0
    flat = float(np.median(held[0].level[:3])) - held[0].best
    if won > 3 * max(score.noise, 1e-12) or flat > 0.15 * abs(held[0].start) + 2 * held[0].noise:
        return
    yield told(
        "loss.not_decreasing",
        "note",
        "held_gained_nothing",
        {
            "name": score.name,
            "first": float(np.median(score.level[:3])),
            "last": float(np.median(score.level[-3:])),
            "best": score.best,
            "count": len(score),
        },
        confidence=0.6,
        evidence=[number("score_won", won, 3 * score.noise, "noise of the curve")],
        remedies=[advice("take_first_or_change")],
    )


def _scores_moved(seen: View) -> bool:
    """Whether a score got better by more than its noise: then something is learnt, whatever the loss says."""
    return any(
        score.drop > max(6 * score.noise, 0.02 * abs(score.start) + 1e-9) for score in (*seen.scores, *seen.own_scores)
    )
