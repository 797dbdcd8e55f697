"""lr.too_high: the step is too long for the curvature or the noise of the gradient.

Sees      in a log: a loss that leaps above its start in the first updates and then stands high, and a loss that never came back to its best
          after the rate was raised (with the checkpoint to go back to). Inside a run: a first update longer than the weights themselves
          with weights that grow many times; updates that are a large share of the weights in most layers, or a rate beyond twice the
          inverse of the top curvature, each together with a loss that does not get on.
Matters   the run diverges, or stands on a high plateau, or its last part undoes the first.
Remedies  three to ten times lower; warm-up; decay from where the loss became flat; after a late rate that was too high, go back.
Limits    a high number of the rate alone is no evidence; where a run is stuck it weighs (`clues`). Output, scale of the inputs and start
          weights give the same curves: confirmed only by a run at a lower rate. Curvature speaks of plain SGD and momentum alone.
Source    vocabulary of lr.too_high: ratio about 1e-3 is usual, mean update above 1e-1 [TDC]; edge of stability 2 / lr: Cohen et al.,
          arXiv:2103.00065.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.inside import first_values, growth, over_layers, typical
from tunesmith.doctor.diagnosis.origins import born
from tunesmith.doctor.diagnosis.rates import course
from tunesmith.doctor.diagnosis.telling import advice, number, rate_change, told
from tunesmith.doctor.diagnosis.views import FEWEST, View, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

LONG = 0.25  # of the weights in an update; [TDC] has 0.1, which sound recurrent nets pass
WHOLE = 1.5  # of the weights in the first update; measured: sound runs of the open part stay below 0.5, full-batch methods aside
GROWN = 4.0  # times the length of the weights at the start; measured: sound runs of the open part stay below 3
EDGE = 4.0  # rate times curvature: twice the edge of stability; assumption, sound runs sit at it
LEAP = 2.0  # times the first loss, within the first tenth; assumption
HIGH = 0.5  # of the first loss, at which it then stands; assumption


@rule("lr.too_high", needs=("loss", "update_ratio", "hessian_top"))
def lr_too_high(history: History) -> Iterator[Finding]:
    yield from born(history, "lr.too_high")
    seen = view(history)
    if not seen.readable:
        return
    yield from _inside(seen)
    yield from _leapt(seen)
    yield from _raised_late(seen)


def _idle(seen: View) -> bool:
    """Whether the loss does not get on: it stands or grows in the second half."""
    train = seen.train
    if train is None or len(train) < FEWEST:
        return False
    _, errors, _ = train.fall(0.5)
    return errors < 2 and (abs(train.end) > 0.3 * abs(train.start) or train.end > train.start)


def _inside(seen: View) -> Iterator[Finding]:
    optimizer = str(seen.history.facts.get("optimizer", "")).lower()
    rate = seen.rate_at(seen.train.at[-1]) if seen.train is not None else None
    first, grown = first_values(seen.history, "update_ratio"), growth(seen.history, "weight_norm")
    idle = _idle(seen)
    if (
        first is not None
        and first > WHOLE
        and "lbfgs" not in optimizer
        and (idle or (grown is not None and grown > GROWN))
    ):
        yield told(
            "lr.too_high",
            "warning",
            "first_update_long",
            {"ratio": first, "grown": grown or 1.0, "usual": 1e-3},
            confidence=0.85,
            evidence=[
                number("update_ratio_first", first, WHOLE, "an update as long as the weights"),
                number("weights_grown", grown or 1.0, GROWN, "measured on sound runs"),
            ],
            remedies=[rate_change("lower_rate", rate, 0.1), advice("warm_up")],
            next_probe="rate_sweep",
        )
        return
    if not idle or "lbfgs" in optimizer:
        return
    ratios = over_layers(seen.history, "update_ratio")
    if ratios is not None and float(np.median(ratios)) > LONG:
        middle = float(np.median(ratios))
        yield told(
            "lr.too_high",
            "warning",
            "updates_long",
            {"ratio": middle, "usual": 1e-3},
            confidence=0.7,
            evidence=[number("update_ratio", middle, LONG, "[TDC]")],
            remedies=[rate_change("lower_rate", rate, 0.1)],
            next_probe="rate_sweep",
        )
        return
    top = typical(seen.history, "hessian_top")
    if top is not None and rate is not None and optimizer.startswith("sgd") and top * rate > EDGE:
        yield told(
            "lr.too_high",
            "warning",
            "beyond_edge",
            {"product": top * rate, "edge": 2.0},
            confidence=0.7,
            evidence=[number("lr_times_curvature", top * rate, EDGE, "arXiv:2103.00065")],
            remedies=[rate_change("lower_rate", rate, 0.3)],
            next_probe="rate_sweep",
        )


def _leapt(seen: View) -> Iterator[Finding]:
    """Up in the first updates, and high ever since."""
    curves = [one for one in seen.history.all("loss", where="") if one.part in ("train", "")]
    fine = max(curves, key=len, default=None)
    if fine is None or len(fine.finite) < 8 or fine.finite.values[0] <= 0 or seen.train is None:
        return
    one = fine.finite
    early = one.high[: max(3, len(one) // 10)]
    peak, first = float(early.max()), float(one.values[0])
    level = seen.train.end
    _, errors, _ = seen.train.fall(0.5)
    if peak < LEAP * first or level < HIGH * first or level > peak or errors >= 2:
        return
    at = float(one.steps[int(np.argmax(early))])
    yield told(
        "lr.too_high",
        "warning",
        "leapt_at_start",
        {"first": first, "peak": peak, "level": level, "axis": seen.axis, "at": at},
        confidence=0.5,
        evidence=[number("loss_peak", peak, LEAP * first, "assumption", at=at)],
        remedies=[rate_change("lower_rate", seen.rate_at(at), 0.1), advice("warm_up")],
        next_probe="rate_sweep",
        places=[at],
    )


def _raised_late(seen: View) -> Iterator[Finding]:
    """The loss never came back to its best after the rate was raised once."""
    rate, train = course(seen), seen.train
    if rate is None or train is None or len(train) < 8:
        return
    raised = rate.late_raises()
    if len(raised) != 1:
        return
    at = float(rate.at[raised[0]])
    before, after = train.level[train.at < at], train.level[train.at >= at]
    if len(before) < 3 or len(after) < 3:
        return
    best = float(np.median(np.sort(before)[:3]))
    now = float(np.min(after))
    if now < best + 3 * train.noise or now < best + 0.05 * train.drop:
        return
    yield told(
        "lr.too_high",
        "warning",
        "raised_late",
        {"axis": seen.axis, "at": at, "best": best, "now": now, "rate": float(rate.values[raised[0]])},
        confidence=0.75,
        evidence=[number("loss_after_raise", now, best + 3 * train.noise, "noise of the curve", at=at)],
        remedies=[
            advice("back_to", axis=seen.axis, at=at),
            rate_change("lower_rate", float(rate.values[raised[0]]), 0.3),
        ],
        next_probe="flat_schedule",
        places=[at],
    )
