"""Attempts of a log put together: what is another run, what went on after a stop, what only counts anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tunesmith.runs.history import Floats
from tunesmith.runs.notice import Notice
from tunesmith.runs.readers.gathering import Attempt, Key, Lane
from tunesmith.runs.readers.points import FIELDS, Column

FEW = 3  # assumption: the first and last values of a curve that its ends are judged by
Columns = dict[Key, Column]


@dataclass(slots=True)
class Pieces:
    """One run: its attempts in order, each with what is to be added to its steps and epochs."""

    attempts: list[Columns] = field(default_factory=list)
    shifts: list[tuple[float, float]] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)  # which attempts took the place of the end of the one before
    notices: list[Notice] = field(default_factory=list)


def joined(lanes: Mapping[str, Lane]) -> list[Columns]:
    """The attempts of all lanes of a run, side by side by number."""
    most = max(len(lane.attempts) for lane in lanes.values())
    found: list[Columns] = [{} for _ in range(most)]
    for lane in lanes.values():
        for number, attempt in enumerate(lane.attempts):
            found[number] |= columns_of(attempt)
    return [one for one in found if one]


def columns_of(attempt: Attempt) -> Columns:
    return {key: points.column() for key, points in attempt.columns.items()}


def sorted_out(attempts: Sequence[Columns], losses: Sequence[Key]) -> list[Pieces]:
    """Runs among the attempts. `losses` are the columns that tell whether a training began anew, the best first."""
    runs: list[Pieces] = []
    for now in attempts:
        before = runs[-1].attempts[-1] if runs else None
        if before is None:
            runs.append(Pieces([now], [(0.0, 0.0)]))
        elif not now.keys() & before.keys() or one_row(now):
            runs[-1].attempts[-1] = beside(before, now)
        elif goes_on_inside(before, now):
            runs[-1].resumed.append(len(runs[-1].attempts))
            runs[-1].attempts.append(now)
            runs[-1].shifts.append(runs[-1].shifts[-1])
        elif carries_on(before, now, losses):
            runs[-1].shifts.append(shifted(runs[-1], now))
            runs[-1].attempts.append(now)
        else:
            runs.append(Pieces([now], [(0.0, 0.0)]))
    for run in runs:
        count = sum(shift != (0.0, 0.0) for shift in run.shifts)
        if count:
            run.notices.append(Notice("readers.counted_on", times=count))
    return runs


def ends(columns: Columns) -> tuple[float, float, float]:
    """First and last position, and the usual distance, by steps where there are any, else by epochs."""
    for name in ("steps", "epochs"):
        told = [x for column in columns.values() if len(x := getattr(column, name)) and not np.isnan(x).all()]
        if told:
            longest = max(told, key=len)
            gaps = np.diff(np.unique(longest[~np.isnan(longest)]))
            return (
                float(min(np.nanmin(x) for x in told)),
                float(max(np.nanmax(x) for x in told)),
                float(np.median(gaps)) if len(gaps) else 1.0,
            )
    return 0.0, 0.0, 1.0


def one_row(columns: Columns) -> bool:
    """A single row that is not at the start: a last evaluation that counts otherwise."""
    rows = np.unique(np.concatenate([column.rows for column in columns.values()]))
    return len(rows) == 1 and ends(columns)[0] > 1


def goes_on_inside(before: Columns, now: Columns) -> bool:
    """Whether `now` begins well after the start of `before` and not after its end: from a checkpoint of it."""
    first, last, gap = ends(before)
    begins = ends(now)[0]
    return first + 1.5 * gap < begins <= last + gap


def carries_on(before: Columns, now: Columns, losses: Sequence[Key]) -> bool:
    """Whether the loss at the start of `now` lies nearer to the end than to the start of `before`, on a logarithmic scale."""
    key = next((key for key in losses if key in before and key in now), None)
    if key is None:
        return False
    old, new = finite(before[key]), finite(now[key])
    if len(old) < FEW or not len(new):
        return False
    began, ended, begins = (float(np.median(values)) for values in (old[:1], old[-FEW:], new[:1]))
    if min(began, ended, begins) <= 0:
        return False
    far = abs(np.log(begins / began))
    return bool(
        abs(np.log(begins / ended)) < 0.5 * far and far > 0.1
    )  # assumption: clearly nearer to one end than to the other


def finite(column: Column) -> Floats:
    return column.values[np.isfinite(column.values)]


def shifted(run: Pieces, now: Columns) -> tuple[float, float]:
    """What to add so that `now` begins one distance after the end of the run so far."""
    step, epoch = run.shifts[-1]
    for_steps = for_epochs = 0.0
    for name in ("steps", "epochs"):
        last = max(
            (np.nanmax(x) for c in run.attempts[-1].values() if not np.isnan(x := getattr(c, name)).all()),
            default=np.nan,
        )
        first = min((np.nanmin(x) for c in now.values() if not np.isnan(x := getattr(c, name)).all()), default=np.nan)
        if not np.isnan(last - first):
            gap = ends(run.attempts[-1])[2] if name == "steps" else 1.0
            move = last - first + (gap if first < gap or name == "epochs" else 0.0)
            if name == "steps":
                for_steps = move
            else:
                for_epochs = move
    return step + for_steps, epoch + for_epochs


def beside(before: Columns, now: Columns) -> Columns:
    """Columns of both; those of a lone row stand at the end of the run."""
    if not now.keys() & before.keys() and not one_row(now):
        return before | now
    steps = max((np.nanmax(c.steps) for c in before.values() if not np.isnan(c.steps).all()), default=np.nan)
    epochs = max((np.nanmax(c.epochs) for c in before.values() if not np.isnan(c.epochs).all()), default=np.nan)
    added = {key: replace(c, steps=np.full(len(c), steps), epochs=np.full(len(c), epochs)) for key, c in now.items()}
    return before | {key: chained([before[key], one]) if key in before else one for key, one in added.items()}


def chained(columns: Sequence[Column]) -> Column:
    """One after the other."""
    if len(columns) == 1:
        return columns[0]
    whole = {name: np.concatenate([getattr(c, name) for c in columns]) for name in FIELDS}
    return replace(columns[0], **whole, counted=sum(c.counted for c in columns), broken=sum(c.broken for c in columns))
