"""update_ratio: the first updates are too long for the loss to fall, or so short that the whole run moves nothing.

Sees      the loss over the program's first updates on a copy. Only where it does not fall: the same updates at a tenth, a hundredth and a
          thousandth of the rate, or at ten to a million times it, each with two orders of the rows; the length of an update over that
          of its weights, by weight matrix, and how far the run could move them at most.
Matters   with a rate far off nothing after the first minute is worth its time.
Remedies  the rate at which the loss fell; warm-up where the first steps alone are too long.
Limits    a rate under which the loss falls at all is not spoken of (`short_run` compares scores), nor one that standardised data would
          mend. The rates are those of the schedule as it is, so a peak after a warm-up is not reached. Losses that are not positive are
          left out.
Source    vocabulary of lr.too_high and lr.too_low; a length ratio of about 1e-3 is usual: Karpathy, CS231n notes, "ratio of
          weights:updates".
"""

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import Course, Variation, course, feeding, moments, undisturbed
from tunesmith.doctor.preflight.scoring import NUMBERS, need_step
from tunesmith.doctor.preflight.seeing import quiet
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity

STEPS = 60  # updates; assumption
FEWEST = 10  # below which a run is too short for this
TAIL = 10  # updates whose loss is the last one
STANDS = 0.98  # of the first loss: the program's own updates do not get below it; assumption
FALLS = 0.8  # of the first loss: those at another rate do; assumption
GROWS = 2.0  # times the first loss: diverging, vocabulary of loss.diverging
REACH = 0.05  # of the length of the weights that the whole run could move them; assumption: below, it is no training
LOWER = (0.1, 0.01, 0.001)
HIGHER = (10.0, 1e2, 1e3, 1e4, 1e5, 1e6)
USUAL = 1e-3  # of the ratio: Karpathy


@check("update_ratio", faults=("lr.too_high", "lr.too_low"), cost=PASS)
def update_ratio(bench: Bench) -> Iterator[Finding]:
    if bench.program.loop is not None:
        raise Inapplicable("the updates of a loop of its own are not seen one by one")
    need_step(bench)
    steps = min(STEPS, bench.updates)
    if steps < FEWEST:
        raise Inapplicable(f"{steps} updates are too few")
    base = course(bench, Variation(), steps)
    if not base.losses or not 0 < base.losses[0] < math.inf:
        raise Inapplicable("the first loss is not a positive number")
    if _last(base) < STANDS * base.losses[0] or (base.broke and math.isfinite(_last(base))):
        return  # it falls; or the program raises, which others tell
    bases = [base, course(bench, Variation(), steps, seed=1)]
    if not all(_stands(one) for one in bases) or _data_are_to_blame(bench, steps):
        return
    reach = (
        max(one.moved for one in bases if one.finite) * bench.updates / steps if any(o.finite for o in bases) else 1.0
    )
    for factor in HIGHER if reach < REACH else LOWER:
        change = Variation(f"rate × {factor:g}", rate=factor)
        found = [course(bench, change, steps)]
        if not _falls(found[0]):
            continue
        found.append(course(bench, change, steps, seed=1))
        if _falls(found[1]):
            yield _finding(bench, bases, found, factor, reach, steps)
            return


def _data_are_to_blame(bench: Bench, steps: int) -> bool:
    """Whether the same updates bring the loss down where inputs or targets are standardised: other checks tell of those."""
    changes = [Variation("standardised inputs", inputs=True)] if moments(bench) is not None else []
    if bench.kind in NUMBERS:
        changes.append(Variation("standardised targets", targets=True))
    return any(_falls(course(bench, change, steps)) for change in changes)


def _last(one: Course) -> float:
    """The mean loss of the last updates; infinite where one is not finite."""
    last = float(np.mean(one.losses[-TAIL:])) if one.losses else math.inf
    return last if math.isfinite(last) else math.inf


def _stands(one: Course) -> bool:
    return _last(one) >= STANDS * one.losses[0]


def _falls(one: Course) -> bool:
    return one.finite and _last(one) <= FALLS * one.losses[0]


def ratio(bench: Bench) -> float:
    """The median over weight matrices and updates of the length of an update over that of its weights."""
    twin, found = bench.twin(), []
    kept = [each for each in twin.model.parameters() if each.requires_grad and each.dim() > 1]
    with undisturbed(bench), quiet():
        for window in islice(feeding(bench), 5):
            was = [each.detach().clone() for each in kept]
            twin.step(window if len(window) > 1 else window[0])
            for before, each in zip(was, kept, strict=True):
                length = float(before.norm())
                if length > 0:
                    found.append(float((each.detach() - before).norm()) / length)
    finite = [value for value in found if math.isfinite(value)]
    return float(np.median(finite)) if finite else math.inf


def _finding(
    bench: Bench, bases: Sequence[Course], found: Sequence[Course], factor: float, reach: float, steps: int
) -> Finding:
    high = factor < 1
    start, last = bases[0].losses[0], max(_last(one) for one in bases)
    better = max(_last(one) for one in found)
    measured = ratio(bench)
    bench.measured["update_ratio"] = measured
    severity: Severity = "error" if high and last > GROWS * start else "warning"
    rate = float(bench.program.optimizer.param_groups[0].get("lr", math.nan))
    values = {"start": start, "last": last, "better": better, "factor": factor, "steps": steps, "ratio": measured}
    change = {"optim.lr": rate * factor} if bench.recipe is not None and math.isfinite(rate) else {}
    title = "remedy.network_lower_rate" if high else "remedy.network_higher_rate"
    return Finding(
        fault="lr.too_high" if high else "lr.too_low",
        severity=severity,
        message="network.rate_too_high" if high else "network.rate_too_low",
        values=values | {"reach": reach},
        evidence=(
            Evidence(name="last_loss", value=last, threshold=STANDS * start, source="assumption"),
            Evidence(name="last_loss_changed", value=better, threshold=FALLS * start, where=f"rate × {factor:g}"),
            Evidence(name="update_over_weight", value=measured, threshold=USUAL, source="CS231n"),
        ),
        remedies=(Remedy(title=title, safety=Safety.RISKY, change=change, values={"factor": factor}),),
        confidence=0.9 if severity == "error" else 0.8,
        status="confirmed",
    )
