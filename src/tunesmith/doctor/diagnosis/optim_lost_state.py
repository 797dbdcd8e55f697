"""optim.lost_state: a resumed run lost moments, schedule position, data position or random state.

Sees      where another attempt went on: a rate off the line of before, a loss that leaps beyond its noise and takes time to come back, a
          second moment that starts anew (`adam_surprise` far above 1), the same losses over again (a stretch of batches repeated). In a
          watched run: the optimizer is made anew again and again over the same weights; its moments are younger than the run; it begins with
          empty moments though updates were made before, or on weights that were loaded and already solve the task.
Matters   the run pays for the way back, or follows another schedule than planned; a repeated stretch is trained on twice.
Remedies  save and load model, optimizer, scheduler, scaler, position in the data and random state together.
Limits    needs the place of the resume: from the attempts of a run folder, or from steps that go back in a log. A leap within the noise is
          not told; a rate lowered on purpose looks like one off its line. Weights that were loaded before the watch began look like any
          start; weights of another run, to be tuned further on the same task on purpose, look like a resume.
Source    vocabulary of optim.lost_state.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live_lost_state import seen_inside
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import View, view
from tunesmith.records import Finding
from tunesmith.runs.history import History, Series

RATIO = 1.5  # of the rate expected from the values before; assumption
LEAP = 6.0  # deviations of the loss; assumption
BACK = 0.2  # of what was won, lost at the resume; assumption


@rule("optim.lost_state", needs=("loss", "lr"))
def optim_lost_state(history: History) -> Iterator[Finding]:
    inside = list(seen_inside(history))
    yield from inside
    seen = view(history)
    if inside or not seen.readable:
        return
    for at in history.resumed:
        found = _rate_off(seen, at) or _leap(seen, at) or _moments(seen, at)
        if found is not None:
            yield found
            return


def _around(one: Series, at: float, count: int) -> tuple[Series, Series]:
    kept = one.finite
    before, after = kept.where_true(kept.steps < at), kept.where_true(kept.steps >= at)
    first, last = np.arange(len(before)) >= len(before) - count, np.arange(len(after)) < count
    return before.where_true(first), after.where_true(last)


def _rate_off(seen: View, at: float) -> Finding | None:
    if seen.rate is None:
        return None
    before, after = _around(seen.rate, at, 5)
    if len(before) < 3 or len(after) < 1 or before.values[-1] <= 0:
        return None
    step = float(np.median(np.diff(before.values) / np.maximum(np.diff(before.steps), 1e-12)))
    expected = float(before.values[-1] + step * (after.steps[0] - before.steps[-1]))
    expected = max(expected, 0.2 * float(before.values[-1]))
    now = float(after.values[0])
    if max(now / expected, expected / max(now, 1e-300)) < RATIO:
        return None
    return told(
        "optim.lost_state",
        "warning",
        "rate_off_line",
        {"axis": seen.axis, "at": at, "rate": now, "expected": expected},
        confidence=0.8,
        evidence=[number("rate", now, expected, "line of the values before", at=at)],
        remedies=[advice("save_all_state")],
        status="suspected",
        places=[at],
    )


def _leap(seen: View, at: float) -> Finding | None:
    curves = [one for one in seen.history.all("loss", where="") if one.part in ("train", "")]
    one = max(curves, key=len, default=None)
    if one is None or seen.train is None:
        return None
    before, after = _around(one, at, 20)
    if len(before) < 4 or len(after) < 1:
        return None
    level = float(np.median(before.values[-8:]))
    wobble = max(1.4826 * float(np.median(np.abs(before.values - np.median(before.values)))), 1e-12)
    peak = float(np.median(after.values[: max(1, min(3, len(after)))]))
    won = max(seen.train.start - level, 0.0)
    if peak - level < LEAP * wobble or peak - level < BACK * won:
        return None
    return told(
        "optim.lost_state",
        "warning",
        "leap_at_resume",
        {"axis": seen.axis, "at": at, "before": level, "after": peak},
        confidence=0.75,
        evidence=[number("loss", peak, level + LEAP * wobble, "noise before the resume", at=at)],
        remedies=[advice("save_all_state")],
        places=[at],
    )


def _moments(seen: View, at: float) -> Finding | None:
    one = seen.history.get("adam_surprise")
    if one is None:
        return None
    before, after = _around(one, at, 5)
    if len(before) < 3 or not len(after):
        return None
    usual, now = float(np.median(before.values)), float(after.values.max())
    if now < max(3 * usual, 3.0):
        return None
    return told(
        "optim.lost_state",
        "warning",
        "moments_anew",
        {"axis": seen.axis, "at": at, "now": now, "usual": usual},
        confidence=0.8,
        evidence=[number("adam_surprise", now, 3 * usual, "three times the usual", at=at)],
        remedies=[advice("save_all_state")],
        places=[at],
    )
