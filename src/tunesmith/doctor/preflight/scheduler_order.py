"""scheduler_order: the scheduler is stepped before the optimizer, or in another unit than it was made for.

Sees      the order of the first calls in the program's own loop or step on a copy, or what the program says of itself; the rate
          of the first update against the rate that the optimizer was given; how often the scheduler is stepped against the
          length it was made for (`T_max`, `total_steps`).
Matters   the first rate is never used and every later one comes too early; in the wrong unit the rate is spent after a few
          updates, or never leaves the warm-up.
Remedies  optimizer.step(), then scheduler.step(), once an epoch or once an update, as it was made.
Limits    a schedule without a length of its own says nothing about its unit. Schedules of a recipe are stepped by Tunesmith.
Source    torch.optim, "How to adjust learning rate": the order since torch 1.1.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from torch.optim.lr_scheduler import ReduceLROnPlateau

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import undisturbed
from tunesmith.doctor.preflight.trace import Trace, own_trace, rates_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

ORDER = Remedy(title="remedy.loop_step_scheduler_last", safety=Safety.ADVICE)
UNIT = Remedy(title="remedy.loop_scheduler_unit", safety=Safety.ADVICE)
FAR = 2.0  # times too long or too short a schedule; assumption
LENGTHS = ("T_max", "total_steps")  # `total_iters` is the length of a warm-up as often as that of the run


@check("scheduler_order", faults=("optim.scheduler_before_optimizer", "lr.bad_schedule"), cost=PASS)
def scheduler_order(bench: Bench) -> Iterator[Finding]:
    bench.need_own_loop()
    if bench.program.scheduler is None and bench.program.loop is None and bench.program.step is None:
        raise Inapplicable("the program has no scheduler")
    trace = own_trace(bench) if bench.program.loop is not None or bench.program.step is not None else Trace()
    calls: list[str] = [event.kind for event in trace.of("update", "scheduler")]
    if "scheduler" in calls:
        yield from _seen(trace, calls)
    elif bench.program.scheduler is not None and bench.program.scheduler_first and bench.program.loop is None:
        yield from _said(bench)
    yield from _unit(bench, calls)


def _seen(trace: Trace, calls: list[str]) -> Iterator[Finding]:
    """In the order of the calls themselves."""
    if "update" not in calls or calls.index("scheduler") > calls.index("update"):
        return
    updates = trace.of("update")
    used = updates[0].rates[0] if updates[0].rates else float("nan")
    meant = next((event.rates[0] for event in trace.of("scheduler") if event.rates), float("nan"))
    before = calls.index("update")
    yield _finding("loop.scheduler_first", meant, used, before)


def _said(bench: Bench) -> Iterator[Finding]:
    """What the program says of itself, with the rates that come of it."""
    import warnings

    with undisturbed(bench), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin = bench.twin()
        meant = rates_of(twin.optimizer)[0]
        if not isinstance(twin.scheduler, ReduceLROnPlateau):
            twin.scheduler.step()
        used = rates_of(twin.optimizer)[0]
    yield _finding("loop.scheduler_first", meant, used, 1)


def _finding(message: str, meant: float, used: float, before: int) -> Finding:
    return Finding(
        fault="optim.scheduler_before_optimizer",
        severity="warning",
        message=message,
        values={"meant": meant, "used": used, "before": before},
        evidence=(
            Evidence(name="first_rate_used", value=used, threshold=meant, source="torch.optim"),
            Evidence(name="scheduler_steps_before_first_update", value=before, threshold=0),
        ),
        remedies=(ORDER,),
        status="confirmed",
    )


def length_of(scheduler: Any) -> tuple[str, int] | None:
    """The length a schedule was made for, and by which name it keeps it; None where it has none."""
    parts = getattr(scheduler, "_schedulers", None)
    if parts:  # one after the other, or all at once
        marks = getattr(scheduler, "_milestones", None)
        last = length_of(parts[-1])
        if marks:
            return None if last is None else (last[0], marks[-1] + last[1])
        return max(
            (found for one in parts if (found := length_of(one)) is not None), key=lambda it: it[1], default=None
        )
    for name in LENGTHS:
        value = getattr(scheduler, name, None)
        if isinstance(value, int) and value > 0:
            return name, value
    return None


def _unit(bench: Bench, calls: list[str]) -> Iterator[Finding]:
    """The number of calls in the whole run against the length of the schedule, and against the other unit."""
    program = bench.program
    found = length_of(program.scheduler)
    epochs, updates = program.epochs, bench.updates
    if program.scheduler is None or found is None or updates < FAR * epochs:
        return
    unit = _unit_seen(calls) or program.schedule_unit
    steps, other = (updates, epochs) if unit == "step" else (epochs, updates)
    name, length = found
    fits_other = abs(length - other) <= max(1.0, 0.1 * other)
    if fits_other and not 1 / FAR < length / steps < FAR:
        yield Finding(
            fault="lr.bad_schedule",
            severity="warning",
            message=f"loop.schedule_unit_{unit}",
            values={"name": name, "length": length, "steps": steps, "epochs": epochs, "updates": updates},
            evidence=(Evidence(name="schedule_length", value=length, threshold=steps, source="assumption"),),
            remedies=(UNIT,),
            confidence=0.9,
            status="confirmed",
        )


def _unit_seen(calls: list[str]) -> str:
    """How often the scheduler was stepped: after every update, or after several; "" where that is not to be seen."""
    if calls.count("scheduler") < 2 or calls.count("update") < 2 or "scheduler" not in calls:
        return ""
    runs = [
        later - earlier - 1 for earlier, later in pairwise([i for i, one in enumerate(calls) if one == "scheduler"])
    ]
    return "step" if max(runs) <= 1 else "epoch"
