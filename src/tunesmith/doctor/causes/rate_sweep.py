"""rate_sweep: the learning rate is too high, or too low.

Sees      the program trained at a tenth, a hundredth, a thousandth of its rate, and at ten, a hundred … times it. Which way comes first is read
          off how far the weights went, and off a range test on a snapshot: the rate rises by a constant factor with every update until the
          loss leaves its lowest level.
Matters   too long a step goes over the minimum, and units die or weights run away; with too short a one the budget ends before the loss has
          moved.
Remedies  the rate that cured; warm-up where only the first updates are too long.
Limits    a rate that could be better is no fault: only a program that falls short is looked at. More epochs mend a low rate as well: then both
          are told.
Source    Smith, arXiv:1506.01186, section 3.3 (range test); paired trainings with common random numbers.
"""

import math
from collections.abc import Iterator

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.range_test import rates_at_which_the_loss_falls
from tunesmith.doctor.preflight.courses import Course, Variation

FAR = 1.0  # of their own length that the weights went: further is a hint of long steps; assumption
STANDS = 0.02  # of their own length that the weights went in all: they stand; assumption, as preflight's short_run


@experiment("rate_sweep", faults=("lr.too_high", "lr.too_low"), remedy="remedy.causes_rate")
def rate_sweep(case: Case) -> Iterator[Change]:
    if not hasattr(case.bench.program.optimizer, "param_groups"):
        return
    yield from sorted([*_lower(case), *_higher(case)], key=lambda one: -one.likely)


def _lower(case: Case) -> Iterator[Change]:
    likely = max(0.1, case.suspected("lr.too_high", "loss.diverging", "loss.spike", "loss.oscillating"))
    base = case.base()
    if wild(base):
        likely = max(likely, 0.4)
    limit = rates_at_which_the_loss_falls(case)
    if limit is not None:
        likely = min(0.9, 2 * likely) if limit < 1.0 else 0.5 * likely
    if base.finite and base.moved < STANDS:
        likely = 0.02
    for factor in _below(limit):
        yield at_rate(case, factor, likely)
        likely *= 0.7


def _below(limit: float | None) -> tuple[float, ...]:
    """Factors to try: the decades around the place where the loss fell furthest, if it was found; else the next three."""
    if limit is None or limit >= 0.1:
        return (0.1, 0.01, 0.001)
    place = math.floor(math.log10(limit))
    return (10.0**place, 10.0 ** (place - 1), 10.0 ** (place + 1))


def _higher(case: Case) -> Iterator[Change]:
    base = case.base()
    stands = base.finite and base.moved < STANDS
    likely = max(0.5 if stands else 0.15, case.suspected("lr.too_low", "loss.not_decreasing"))
    if wild(base):
        likely = 0.02
    for factor in (10.0, 100.0, 1e3, 1e4, 1e5) if stands else (10.0, 100.0):
        yield at_rate(case, factor, likely)
        likely *= 0.8 if stands else 0.5


def wild(one: Course) -> bool:
    """Whether a training ended without a number, or its weights went further than their own length."""
    return not one.finite or one.moved > FAR


def at_rate(case: Case, factor: float, likely: float) -> Change:
    """The program at `factor` times its rate."""
    groups = case.bench.program.optimizer.param_groups
    rate = float(groups[0].get("lr", math.nan))
    name = f"rate × {factor:g}"
    return Change(
        name,
        likely,
        Variation(name, rate=factor),
        recipe={"optim.lr": rate * factor} if math.isfinite(rate) else {},
        values={"rate": rate, "other": rate * factor},
        fault="lr.too_high" if factor < 1 else "lr.too_low",
    )
