"""rate: another learning rate.

Does      the rate times a tenth, a hundredth, a thousandth, or ten, a hundred … times it, the likelier way first; where a run breaks
          also three decades further down.
Mends     a run that diverges, stands or ends before it has learnt.
Limits    decades alone: between them is tuning.
Source    the experiment `rate_sweep`; Smith, arXiv:1506.01186, section 3.3.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rate_sweep import at_rate, rate_sweep, wild
from tunesmith.doctor.repair.surgery.catalogue import surgery
from tunesmith.records import Program

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
    likely, known = 1.0, set[str]()
    for change in rate_sweep(case):
        known.add(change.name)
        if change.fault == "lr.too_high":
            likely = min(likely, change.likely)
        yield change
    if not known or not wild(base):
        return
    for place, factor in enumerate(FURTHER, 1):
        change = at_rate(case, factor, likely * 0.7**place)
        if change.name not in known:
            yield change
