"""lr.bad_schedule: the base rate is fine, its course is not.

Sees      a rate that falls below a thousandth of its peak before half of the run; one that stays below a tenth of its planned peak for
          most of it; one that is raised again and again while the loss leaps with each raise and does not get lower; a loss that has
          been flat at a constant rate (where decay should have begun), and a fall right after a cut that came late. In a watched run:
          a deep net of attention under an adaptive optimizer whose first updates, at the full rate, leap, and that learns nothing after.
Matters   a rate of nothing trains nothing; a rate held too long leaves the loss at its noise; a violent restart undoes what was won.
Remedies  step the schedule in its unit (updates or epochs), with a length that fits the run; a constant rate until the rest works.
Limits    needs the rate in the log. Warm restarts whose loss gets lower from cycle to cycle are as they should be. A late cut and a flat
          loss are notes: many good recipes look so.
Source    vocabulary of lr.bad_schedule; Karpathy, A Recipe for Training Neural Networks; restarts: Loshchilov and Hutter, arXiv:1608.03983;
          warm-up: Xiong et al., arXiv:2002.04745; Liu et al., arXiv:1908.03265.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis import live
from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.origins import born
from tunesmith.doctor.diagnosis.rates import NOTHING, Course, course
from tunesmith.doctor.diagnosis.smoothing import flat_from
from tunesmith.doctor.diagnosis.telling import advice, change, number, told
from tunesmith.doctor.diagnosis.views import View, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

EARLY = 0.5  # of the run, before which the rate is gone; assumption
PLANNED = 0.1  # of the planned rate, that is never reached; assumption
LEAP = 0.05  # of the weights in one of the first updates, in the median layer: fifty times the usual; assumption
DEEP = 3  # layers of attention; assumption
WILD = 0.3  # of what was won, that a raise of the rate undoes; assumption


@rule("lr.bad_schedule", needs=("lr",))
def lr_bad_schedule(history: History) -> Iterator[Finding]:
    yield from born(history, "lr.bad_schedule")
    yield from _cold(history)
    seen = view(history)
    rate = course(seen)
    if rate is None or not seen.readable:
        return
    yield from _gone(seen, rate)
    if not history.facts.get("running"):
        yield from _never_there(seen, rate)
    yield from _wild(seen, rate)
    yield from _late(seen, rate)


def _cold(history: History) -> Iterator[Finding]:
    """No warm-up, where the first updates did the damage."""
    ran, longest, rate = live.progress(history), live.leap(history), course(view(history))
    kinds = [str(kind) for _, kind in history.facts.get("layers") or ()]
    attends = sum("Attention" in kind for kind in kinds)
    adaptive = "adam" in str(live.part(history, "settings").get("name")).lower()
    if ran is None or longest is None or not ran.stuck or attends < DEEP or not adaptive or longest < LEAP:
        return
    if rate is not None and rate.values[0] < 0.5 * rate.peak:
        return  # it was warmed up
    yield live.told(
        "lr.bad_schedule",
        "warning",
        "cold_start",
        {"leap": longest, "layers": attends, "end": ran.end},
        confidence=0.75,
        evidence=[live.number("update_ratio_first", longest, LEAP, "assumption")],
        remedies=[live.advice("warm_up")],
        next_probe="flat_schedule",
    )


def _gone(seen: View, rate: Course) -> Iterator[Finding]:
    at, span = rate.gone, float(rate.at[-1] - rate.at[0])
    if at is None or span <= 0 or len(rate.at) < 4:
        return
    share = (at - float(rate.at[0])) / span
    if share > EARLY:
        return
    values = {"axis": seen.axis, "at": at, "share": share, "last": float(rate.values[-1]), "peak": rate.peak}
    yield told(
        "lr.bad_schedule",
        "error" if share < 0.25 else "warning",
        "rate_gone",
        values,
        confidence=0.95 if share < 0.25 else 0.85,
        evidence=[number("rate", float(rate.values[-1]), NOTHING * rate.peak, "a thousandth of the peak", at=at)],
        remedies=[change("constant_rate", {"schedule.name": "constant"}), advice("unit_of_schedule")],
        next_probe="flat_schedule",
        places=[at],
    )


def _never_there(seen: View, rate: Course) -> Iterator[Finding]:
    """Still warming up at the end: rising all the time, and far below the planned rate where that is known."""
    planned = seen.history.facts.get("lr")
    rises = bool((np.diff(rate.values) >= 0).all()) and rate.values[-1] > 1.2 * rate.values[0]
    low = isinstance(planned, int | float) and rate.peak < PLANNED * float(planned)
    if len(rate.values) < 4 or not (rises or low):
        return
    late = rate.values[len(rate.values) // 2 :]
    if not low and not (late[-1] > 1.1 * late[0] and rate.values[-1] >= rate.peak):
        return
    values = {
        "first": float(rate.values[0]),
        "last": float(rate.values[-1]),
        "planned": float(planned) if low and planned is not None else rate.peak,
    }
    yield told(
        "lr.bad_schedule",
        "warning",
        "rate_below_plan" if low else "rate_still_rising",
        values,
        confidence=0.75,
        evidence=[number("rate_peak", rate.peak, values["planned"], "planned")],
        remedies=[change("constant_rate", {"schedule.name": "constant"}), advice("unit_of_schedule")],
        next_probe="flat_schedule",
    )


def _wild(seen: View, rate: Course) -> Iterator[Finding]:
    raised, one = rate.raises(), seen.judged
    if len(raised) < 2 or one is None or len(one) < 8:
        return
    lows = np.array([float(part.min()) for part in _cycles(one.at, one.level, rate.at[raised]) if len(part)])
    if len(lows) < 2 or lows[-1] < lows[0] - 0.1 * one.drop:
        return  # lower from cycle to cycle
    tops = np.array([float(part.max()) for part in _cycles(one.at, one.level, rate.at[raised])[1:] if len(part)])
    undone = float(np.median(tops) - np.median(lows)) / one.scale if len(tops) else 0.0
    if undone < WILD:
        return
    yield told(
        "lr.bad_schedule",
        "warning",
        "rate_wild",
        {"count": len(raised), "undone": min(undone, 99.0), "axis": seen.axis, "at": float(rate.at[raised[0]])},
        confidence=0.7,
        evidence=[number("undone_by_raises", undone, WILD, "assumption")],
        remedies=[change("constant_rate", {"schedule.name": "constant"})],
        next_probe="flat_schedule",
        places=[float(rate.at[index]) for index in raised[:5]],
    )


def _cycles(at: np.ndarray, level: np.ndarray, cuts: np.ndarray) -> list[np.ndarray]:
    return list(np.split(level, np.searchsorted(at, cuts)))


def _late(seen: View, rate: Course) -> Iterator[Finding]:
    """A constant rate under a flat loss, whose noise it sets; or a cut after a long flat stretch that brought a fall."""
    train = seen.train
    if train is None or len(train) < 12 or train.drop <= 6 * train.noise:
        return
    for index in rate.cuts():
        at = float(rate.at[index])
        before, after = train.level[train.at < at], train.level[train.at >= at]
        if len(before) < 8 or len(after) < 2:
            continue
        flat = flat_from(before, max(4 * train.noise, 0.03 * train.drop))
        fell = float(np.median(before[-3:])) - float(np.median(after[:3]))
        if len(before) - flat >= max(6, len(train) // 5) and fell > max(6 * train.noise, 0.05 * train.drop):
            since = float(train.at[flat])
            yield told(
                "lr.bad_schedule",
                "note",
                "cut_late",
                {"axis": seen.axis, "since": since, "at": at, "fell": fell},
                confidence=0.5,
                evidence=[number("fall_after_cut", fell, 6 * train.noise, "noise of the curve", at=at)],
                remedies=[advice("decay_from", axis=seen.axis, at=since)],
                next_probe="flat_schedule",
                places=[since, at],
            )
            return
    if not rate.constant or abs(train.end) < 0.02 * abs(train.start):
        return
    flat = flat_from(train.level, max(4 * train.noise, 0.03 * train.drop))
    if flat >= len(train) or train.span <= 0 or train.noise < 0.005 * abs(train.end):
        return
    since = float(train.at[flat])
    if (train.at[-1] - since) / train.span > 0.4:
        yield told(
            "lr.bad_schedule",
            "note",
            "decay_due",
            {"axis": seen.axis, "at": since, "level": train.end, "noise": train.noise, "rate": rate.peak},
            confidence=0.4,
            evidence=[number("flat_since", since), number("noise", train.noise)],
            remedies=[advice("decay_from", axis=seen.axis, at=since)],
            next_probe="flat_schedule",
            places=[since],
        )
