"""rate: another learning rate.

Does      the rate times a tenth, a hundredth, a thousandth, or ten, a hundred … times it, the likelier way first; the decade that
          comes nearest to the usual rate before the others that way; where a run breaks also three decades further down.
Mends     a run that diverges, stands or ends before it has learnt.
Limits    decades, and half a decade around the one that helps most; more is tuning, for which there is the rate finder.
Source    the experiment `rate_sweep`; Smith, arXiv:1506.01186, section 3.3.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.blocks import experience
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.range_test import smoothed
from tunesmith.doctor.causes.rate_sweep import STANDS, at_rate, rate_sweep, wild
from tunesmith.doctor.repair.surgery.catalogue import surgery
from tunesmith.records import Program, UnknownName

HIGHEST = 1e7  # factor, of a range test of a run that stands; assumption
STEPS = 84  # updates of it: twelve a decade
FELL = 0.98  # of its start, to which the loss falls at least, where it falls; as in range_test
FIRST = 0.05  # by which the way to the usual rate is likelier than other decades that way; assumption
FURTHER = (1e-4, 1e-5, 1e-6)  # factors, each less likely than the one before


def _lines(before: Program, after: Program, values: Mapping[str, Any]) -> list[str]:
    told = []
    for place, (old, new) in enumerate(zip(before.optimizer.param_groups, after.optimizer.param_groups, strict=False)):
        told.append(f'optimizer.param_groups[{place}]["lr"] = {new["lr"]:.4g}  # was {old["lr"]:.4g}')
    return told


@surgery(
    "rate",
    faults=(
        "lr.too_high",
        "lr.too_low",
        "loss.diverging",
        "loss.spike",
        "loss.oscillating",
        "loss.not_decreasing",
        "loss.wrong_reduction",
        "grad.exploding",
        "lr.bad_schedule",
        "optim.missing_zero_grad",
    ),
    lines=_lines,
    anew=False,
)
def rate(case: Any) -> Iterator[Change]:
    base = case.base()
    if base.finite and base.moved == 0.0:
        return  # where no weight moves at all, a longer step is none
    known = {change.name: change for change in rate_sweep(case)}
    yield from known.values()
    factor = to_usual(case.bench.program.optimizer)
    moving = where_it_moves(case) if known and base.finite and base.moved < STANDS else None
    if moving is not None and moving != factor:  # it comes first where experience says something quite else
        yield at_rate(case, moving, 0.9 if 0.05 < moving / factor < 20 else 0.99)
    if known and factor != 1.0:
        fault = "lr.too_high" if factor < 1 else "lr.too_low"
        likely = max((one.likely for one in known.values() if one.fault == fault), default=0.1)
        yield at_rate(case, factor, min(0.95, likely + FIRST))
    if known and wild(base):
        likely = min((one.likely for one in known.values() if one.fault == "lr.too_high"), default=0.1)
        yield from (at_rate(case, each, likely * 0.7**place) for place, each in enumerate(FURTHER, 1))


def where_it_moves(case: Any) -> float | None:
    """The power of ten a decade below the rate at which the loss was lowest, of a range test far up; None where it never fell."""
    if case.bench.program.loop is not None:
        return None
    decades = round(math.log10(HIGHEST))
    factors = [10.0 ** (decades * place / STEPS) for place in range(STEPS + 1)]
    means = smoothed(case.bench, factors)
    if len(means) < STEPS // 8 or min(means) > FELL * means[0]:
        return None
    lowest = factors[min(range(len(means)), key=means.__getitem__)]
    return float(10.0 ** max(1, math.floor(math.log10(lowest)) - 1))


def to_usual(optimizer: Any) -> float:
    """The power of ten that brings a rate to where one starts by experience, from below just past it; 1 where that is near, or unknown."""
    rate = float(optimizer.param_groups[0].get("lr", math.nan)) if optimizer.param_groups else math.nan
    try:
        start = float(experience.start("optim.lr", optimizer=type(optimizer).__name__.lower()))
    except UnknownName:  # an optimizer that no rule of thumb speaks of
        return 1.0
    if not 0 < rate < math.inf:
        return 1.0
    decades = math.log10(start / rate)
    return 10.0 ** (math.ceil(decades) if decades > 1 else round(decades))
