"""The schedule of a program written down, so that a short training can follow the whole of it.

The first tenth of a run with warm-up and decay is a training at another rate; squeezed into fewer updates the schedule shows what its peak
rate does.
"""

import copy
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch.optim.lr_scheduler import ReduceLROnPlateau

from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.courses import undisturbed
from tunesmith.doctor.repair.finders.groups import peaks

MOVED = ("momentum", "betas")  # what a schedule sets beside the rate
LONGEST = 200_000  # updates that are written down; assumption: seconds


class Moment(NamedTuple):
    """What the schedule holds at one update: of each group its rate as a factor of the peak, and what else moves."""

    factors: tuple[float, ...]
    others: tuple[dict[str, Any], ...]


def written_down(bench: Bench) -> list[Moment] | None:
    """The schedule update by update; None where there is none that can be told beforehand, and the rate stays at its peak."""
    return bench.kept("finders.schedule", lambda: _written(bench))


def _written(bench: Bench) -> list[Moment] | None:
    program = bench.program
    skipped = program.scheduler is None or isinstance(program.scheduler, ReduceLROnPlateau)
    if skipped or program.loop is not None or bench.updates > LONGEST:
        return None
    top = peaks(bench)
    table: list[Moment] = []
    with undisturbed(bench), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no update is made between the steps of the copied scheduler
        twin = bench.twin()
        if bench.made is not None:
            twin.scheduler.set_rates()  # those of the first update: a recipe's optimizer stands at its peak
        ended = False
        for step in range(bench.updates):
            if program.scheduler_first and not ended and _due(bench, step):
                ended = _ended(twin)
            groups = twin.optimizer.param_groups
            factors = tuple(float(group["lr"]) / peak if peak else 0.0 for group, peak in zip(groups, top, strict=True))
            others = tuple({name: copy.copy(group[name]) for name in MOVED if name in group} for group in groups)
            table.append(Moment(factors, others))
            if not program.scheduler_first and not ended and _due(bench, step + 1):
                ended = _ended(twin)
    return table


def _due(bench: Bench, step: int) -> bool:
    return bench.program.schedule_unit == "step" or step % bench.updates_per_epoch == 0


def _ended(twin: Twin) -> bool:
    """Moves the schedule on; whether it is past its end (one-cycle), where its last rate stays."""
    try:
        twin.scheduler.step()
    except ValueError:
        return True
    return False


def at(table: Sequence[Moment], done: int, steps: int) -> Moment:
    """The moment of the whole schedule that belongs to update `done` of `steps`.

    >>> [at([Moment((f,), ()) for f in (0.0, 1.0, 2.0, 3.0)], done, 2).factors[0] for done in (0, 1)]
    [1.0, 3.0]
    """
    return table[min(int((done + 0.5) * len(table) / steps), len(table) - 1)]


def hold(twin: Twin, moment: Moment, top: Sequence[float], factor: float) -> None:
    """Sets the rates of a copy to those of a moment, times `factor`."""
    for group, share, others, peak in zip(twin.optimizer.param_groups, moment.factors, moment.others, top, strict=True):
        group["lr"] = peak * share * factor
        group.update(others)
