"""schedule_end: what the learning rate does over the whole run, simulated on a copy of the scheduler.

Sees      the rate of each update from the first to the last, as the program steps its scheduler (once an epoch, or once an update), and
          in the other unit for comparison; marks and lengths that the scheduler holds; the rates of a recipe's own schedule.
Matters   a schedule made for epochs and stepped every update has spent its rate after a few percent of the run; one made for updates
          and stepped once an epoch never leaves its warm-up; one-cycle raises when it is stepped past its end.
Remedies  step it in the unit it was made for; lengths and marks that fit the run.
Limits    a schedule that watches a metric (plateau) cannot be simulated. Restarts that were asked for are left alone. Of a loop that
          builds its own scheduler nothing is known here.
Source    the fault list: share of the run below 1 % of the peak; the rest is the scheduler's own arithmetic.
"""

import copy
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch.optim import lr_scheduler

from tunesmith.blocks import experience
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.records.finding import Severity

LONGEST = 200_000  # scheduler steps that are simulated; assumption: 2 seconds
SPENT = 1e-2  # of the peak: the fault list
GONE = 1e-3  # of the peak, where a rate is as good as none; assumption
HALF = 0.5  # of the run; assumption
WARM = 0.1  # of the run: the rules of thumb, schedule.warmup
RESTARTING = (lr_scheduler.CosineAnnealingWarmRestarts, lr_scheduler.CyclicLR, lr_scheduler.OneCycleLR)
UNIT = Remedy(title="remedy.outputs_schedule_unit", safety=Safety.ADVICE)
LENGTH = Remedy(title="remedy.outputs_schedule_length", safety=Safety.ADVICE)

Rates = np.ndarray[Any, Any]


@check("schedule_end", faults=("lr.bad_schedule",), cost=CHEAP)
def schedule_end(bench: Bench) -> Iterator[Finding]:
    if bench.made is not None:
        yield from _recipe(bench)
        return
    scheduler = bench.program.scheduler
    if scheduler is None:
        raise Inapplicable("the program has no scheduler")
    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
        raise Inapplicable("the schedule watches a metric")
    unit = bench.program.schedule_unit
    rates, raised = simulated(bench, unit)
    if len(rates) < 2:
        raise Inapplicable("the run is too short for a schedule")
    _measure(bench, rates)
    if raised:
        yield _raises(bench, *raised)
        return
    found = list(_shape(bench, rates, scheduler, unit))
    yield from found or _marks(bench, scheduler, unit)


def simulated(bench: Bench, unit: str) -> tuple[Rates, tuple[int, str] | None]:
    """The rate of each update (of the group with the highest), and where and how the scheduler raised."""
    twin = bench.twin()
    optimizer, scheduler = twin.optimizer, twin.scheduler
    updates, epoch = bench.updates, bench.updates_per_epoch
    count = bench.program.epochs if unit == "epoch" else updates
    rates: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in range(min(count, LONGEST)):
            if bench.program.scheduler_first and (raised := _stepped(scheduler, step)):
                return np.array(rates), raised
            rates.append(max((float(group["lr"]) for group in optimizer.param_groups), default=0.0))
            raised = None if bench.program.scheduler_first else _stepped(scheduler, step)
            if raised is not None and step + 1 < count:  # past its end after the last update harms nobody
                return np.array(rates), raised
    found = np.array(rates)
    return (np.repeat(found, epoch)[:updates] if unit == "epoch" else found), None


def _stepped(scheduler: Any, step: int) -> tuple[int, str] | None:
    try:
        scheduler.step()
    except Exception as error:  # whatever a user's own scheduler raises
        return step, f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return None


def _measure(bench: Bench, rates: Rates) -> None:
    """The rate at 0, 10, 50 and 100 % of the run."""
    for share in (0, 10, 50, 100):
        bench.measured[f"schedule.rate_at_{share}"] = float(rates[min(len(rates) - 1, share * len(rates) // 100)])


def _raises(bench: Bench, step: int, error: str) -> Finding:
    unit = bench.program.schedule_unit
    total = bench.program.epochs if unit == "epoch" else bench.updates
    return Finding(
        fault="lr.bad_schedule",
        severity="error",
        message="outputs.schedule_raises",
        values={"step": step + 1, "unit": unit, "total": total, "error": error},
        evidence=(Evidence(name="scheduler_steps", value=step + 1, threshold=total, source="length of the run"),),
        remedies=(LENGTH,),
        status="confirmed",
    )


def _shape(bench: Bench, rates: Rates, scheduler: Any, unit: str) -> Iterator[Finding]:
    """What is wrong with the course of the rate itself."""
    peak = float(rates.max())
    if not peak > 0:
        yield _finding("error", "outputs.rate_zero", {"updates": len(rates)}, "peak_rate", peak, 0.0)
        return
    other = _other(bench, unit)
    gone, spent = float((rates < GONE * peak).mean()), float((rates < SPENT * peak).mean())
    values: dict[str, Any]
    last = int(np.flatnonzero(rates >= GONE * peak)[-1]) + 1
    rising = _rises_again(rates, peak) if not _restarts(scheduler) else 0
    if rising >= 2 and unit == "step":
        values = {"times": rising, "updates": len(rates), "epochs": bench.program.epochs}
        yield _finding("warning", "outputs.rate_swings", values, "rises_from_near_0", rising, 1, UNIT)
    elif rising:
        values = {"share": _first_low(rates, peak) / len(rates), "updates": len(rates)}
        yield _finding("warning", "outputs.rate_rises_again", values, "rises_from_near_0", rising, 0, LENGTH)
    elif gone > HALF and rates[0] > GONE * peak and last < len(rates):
        fits = other is not None and float((other < GONE * other.max()).mean()) < HALF
        message = "outputs.rate_gone_unit" if fits and unit == "step" else "outputs.rate_gone"
        values = {"share": gone, "update": last, "updates": len(rates), "epochs": bench.program.epochs}
        yield _finding(
            "warning", message, values, "share_of_run_below_a_thousandth", gone, HALF, UNIT if fits else LENGTH, 0.9
        )
    elif spent > HALF and rates[0] > SPENT * peak:
        fits = other is not None and float((other < SPENT * other.max()).mean()) < 0.35
        early = int(np.flatnonzero(rates >= SPENT * peak)[-1]) + 1 < 0.25 * len(rates)
        values = {"share": spent, "updates": len(rates), "epochs": bench.program.epochs}
        severity: Severity = "warning" if early or (fits and unit == "step") else "note"
        yield _finding(
            severity,
            "outputs.rate_spent",
            values,
            "share_of_run_below_a_hundredth",
            spent,
            HALF,
            UNIT if fits else LENGTH,
        )
    elif (marked := _early_marks(bench, rates, other, peak, unit)) is not None:
        yield marked
    else:
        yield from _warming(bench, rates, peak, other, unit)


def _other(bench: Bench, unit: str) -> Rates | None:
    """The rates in the other unit; None where it raises there."""
    rates, raised = simulated(bench, "epoch" if unit == "step" else "step")
    return None if raised is not None or len(rates) < 2 else rates


def _restarts(scheduler: Any) -> bool:
    if isinstance(scheduler, RESTARTING):
        return True
    inner = getattr(scheduler, "_schedulers", ())
    return any(_restarts(one) for one in inner) or isinstance(scheduler, lr_scheduler.LambdaLR)


def _rises_again(rates: Rates, peak: float) -> int:
    """How often the rate climbs from below a twentieth of its peak to above a half of it, after it has been there before."""
    count, low, been = 0, False, False
    for rate in rates:
        if rate > 0.5 * peak:
            count += int(low and been)
            low, been = False, True
        elif rate < 0.05 * peak:
            low = True
    return count


def _first_low(rates: Rates, peak: float) -> int:
    high = int(np.flatnonzero(rates > 0.5 * peak)[0])
    return high + int(np.flatnonzero(rates[high:] < 0.05 * peak)[0])


def _early_marks(bench: Bench, rates: Rates, other: Rates | None, peak: float, unit: str) -> Finding | None:
    """All decay inside the first epochs' worth of updates, where the same schedule stepped by epochs spreads over the run."""
    if unit != "step" or other is None or bench.program.epochs < 3:
        return None
    falls = np.flatnonzero(np.diff(rates) < 0)
    theirs = np.flatnonzero(np.diff(other) < 0)
    if not len(falls) or not len(theirs) or rates[-1] > 0.5 * peak:
        return None
    ends, instead = (int(falls[-1]) + 2) / len(rates), (int(theirs[-1]) + 2) / len(other)
    if ends > 0.1 or instead < 0.4:
        return None
    values = {"share": ends, "updates": len(rates), "rate": float(rates[-1] / peak), "epochs": bench.program.epochs}
    return _finding(
        "warning", "outputs.decay_early_unit", values, "share_of_run_at_the_last_decay", ends, 0.1, UNIT, 0.8
    )


def _warming(bench: Bench, rates: Rates, peak: float, other: Rates | None, unit: str) -> Iterator[Finding]:
    """A warm-up that never ends, or takes most of the run."""
    top = int(rates.argmax())
    rises = rates[0] < 0.5 * peak and bool((np.diff(rates[: top + 1]) >= 0).all())
    meant = float(other.max()) if other is not None else peak
    if unit == "epoch" and meant > 2 * peak:
        values = {"peak": peak, "meant": meant, "epochs": bench.program.epochs}
        yield _finding("warning", "outputs.warmup_unit", values, "peak_over_meant_peak", peak / meant, 0.5, UNIT, 0.85)
    elif rises and top >= 0.9 * len(rates) - 1:
        yield _finding(
            "warning", "outputs.warmup_never_ends", {"updates": len(rates)}, "share_of_warm_up", 1.0, WARM, LENGTH, 0.7
        )
    elif rises and top > WARM * len(rates) and not isinstance(bench.program.scheduler, RESTARTING):
        severity: Severity = "note"
        share = top / len(rates)
        yield _finding(severity, "outputs.warmup_long", {"share": share}, "share_of_warm_up", share, WARM, LENGTH, 0.4)


def _marks(bench: Bench, scheduler: Any, unit: str) -> Iterator[Finding]:
    """Marks and lengths that the run does not reach."""
    total = bench.program.epochs if unit == "epoch" else bench.updates
    other = bench.updates if unit == "epoch" else bench.program.epochs
    marks: Sequence[float] = sorted(getattr(scheduler, "milestones", ()))
    beyond = [mark for mark in marks if mark >= total]
    if marks and len(beyond) == len(marks):
        severity: Severity = "warning" if total > 1 else "note"
        values = {"marks": ", ".join(map(str, marks)), "total": total, "unit": unit}
        yield _finding(severity, "outputs.marks_beyond", values, "first_mark", float(marks[0]), total, LENGTH, 0.8)
    elif beyond:
        values = {"marks": ", ".join(map(str, beyond)), "total": total, "unit": unit}
        yield _finding(
            "note", "outputs.marks_beyond", values, "first_mark_beyond", float(beyond[0]), total, LENGTH, 0.4
        )
    length = getattr(scheduler, "T_max", None)
    if isinstance(scheduler, lr_scheduler.CosineAnnealingLR) and length is not None and length > 2 * total:
        confused = unit == "epoch" and 0.5 <= length / other <= 2.0
        values = {"length": float(length), "total": total, "unit": unit, "left": _left(length, total)}
        severity = "warning" if confused or length >= 5 * total else "note"
        yield _finding(
            severity,
            "outputs.length_beyond",
            values,
            "T_max",
            float(length),
            2.0 * total,
            UNIT if confused else LENGTH,
            0.8,
        )


def _left(length: float, total: int) -> float:
    """Share of the first rate that a half cosine has left at the end of the run."""
    return (1 + math.cos(math.pi * total / length)) / 2


def _recipe(bench: Bench) -> Iterator[Finding]:
    """The rates of a recipe's own schedule, where they do not listen to the run."""
    assert bench.made is not None
    plan = bench.made.plan
    recipe = bench.recipe
    assert recipe is not None
    if plan.rates.watches:
        raise Inapplicable("the schedule listens to the run")
    steps = np.linspace(0, plan.steps - 1, min(plan.steps, 2000)).astype(int)
    rates = np.array([float(plan.rates.factor(int(step))) for step in steps])
    if len(rates) < 2 or not float(rates.max()) > 0:
        raise Inapplicable("the run is too short for a schedule")
    _measure(bench, rates)
    gone = float((rates < GONE * rates.max()).mean())
    top = int(rates.argmax())
    if gone > HALF and rates[0] > GONE * rates.max():
        values = {
            "share": gone,
            "update": int(steps[np.flatnonzero(rates >= GONE * rates.max())[-1]]),
            "updates": plan.steps,
        }
        yield _finding(
            "warning",
            "outputs.rate_gone",
            values | {"epochs": plan.epochs},
            "share_of_run_below_a_thousandth",
            gone,
            HALF,
            LENGTH,
        )
    elif rates[0] < 0.5 * rates.max() and top >= len(rates) - 1:
        yield _finding(
            "warning", "outputs.warmup_never_ends", {"updates": plan.steps}, "share_of_warm_up", 1.0, WARM, LENGTH
        )
    for note in experience.lint(recipe, rows=len(bench.train), batch=bench.program.batch_size, updates=plan.steps):
        if note.id == "sched.marks":
            said = {"path": note.path, "value": str(note.value), "says": note.text, "total": plan.steps}
            yield _finding(
                "note", "outputs.recipe_marks", said, note.path, _number(note.value), _number(note.bound), LENGTH, 0.5
            )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _finding(
    severity: Severity,
    message: str,
    values: dict[str, Any],
    name: str,
    value: float,
    bound: float,
    remedy: Remedy = LENGTH,
    confidence: float = 0.8,
) -> Finding:
    return Finding(
        fault="lr.bad_schedule",
        severity=severity,
        message=message,
        values=copy.copy(values),
        evidence=(
            Evidence(name=name, value=float(value), threshold=float(bound), source="the schedule simulated to the end"),
        ),
        remedies=(remedy,),
        status="confirmed",
        confidence=confidence,
    )
