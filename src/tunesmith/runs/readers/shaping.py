"""From what was gathered to histories: axes, curves, facts, notices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunesmith.records import DataError
from tunesmith.runs.history import LONGEST, Axis, Floats, History, Per, Series
from tunesmith.runs.notice import Notice
from tunesmith.runs.readers.attempts import Columns, Pieces, chained, joined, sorted_out
from tunesmith.runs.readers.behaviour import OF_THE_RUN, Judged, Seen, is_curve, judged, main_losses
from tunesmith.runs.readers.gathering import Gathering, Key
from tunesmith.runs.readers.points import Column
from tunesmith.runs.readers.roles import Role
from tunesmith.runs.readers.settings import UNSET

FEW_ROWS = 3  # assumption: from so many values of one position on, they are taken to follow each other within it


@dataclass(frozen=True, slots=True)
class Log:
    """What a reader knows beside the rows."""

    reader: str
    title: str
    facts: Mapping[str, Any]
    notices: tuple[Notice, ...] = ()
    epoch_length: float | None = None  # steps of an epoch, where the log tells them
    share_of_epoch: bool = False  # these steps are batches or rows, whichever: only their share of an epoch counts


def histories(gathered: Gathering, log: Log) -> list[History]:
    """One history for each run. Raises `DataError` where there is no curve of a training."""
    gathered.unknown()
    attempts = {run: joined(lanes) for run, lanes in gathered.runs.items()}
    found = judged(seen_in(gathered, attempts), gathered.percent)
    refuse_tables_of_runs(gathered, found)
    if not any(is_curve(role) for role in found.roles.values()):
        raise DataError(no_curve(gathered))
    losses = main_losses(found.roles)
    runs = [(name, pieces) for name, several in attempts.items() if several for pieces in sorted_out(several, losses)]
    made = [
        history(gathered, found, replace(log, title=titled(log.title, name, runs, i)), pieces)
        for i, (name, pieces) in enumerate(runs)
    ]
    made = [one for one in made if any(curve.name not in ("epoch", "lr") for curve in one.curves)]
    if len(made) > 1:
        said = Notice("readers.several_runs", count=len(made))
        made = [replace(one, notices=(said, *one.notices)) for one in made]
    return made


def titled(title: str, name: str, runs: Sequence[tuple[str, Pieces]], number: int) -> str:
    same = [i for i, (other, _) in enumerate(runs) if other == name]
    count = f"run {same.index(number) + 1} of {len(same)}" if len(same) > 1 else ""
    told = ", ".join(text for text in (name, count) if text)
    return f"{title}: {told}" if told else title


def seen_in(gathered: Gathering, attempts: Mapping[str, list[Columns]]) -> dict[Key, Seen]:
    """Every column over all attempts of all runs."""
    every: dict[Key, list[Column]] = {}
    for several in attempts.values():
        for one in several:
            for key, column in one.items():
                every.setdefault(key, []).append(column)
    found = {}
    for key, columns in every.items():
        role = gathered.role(key[0])
        if not role.part and key[1] and role.name not in OF_THE_RUN:
            role = role.at(key[1])
        values, rows = (np.concatenate([getattr(column, name) for column in columns]) for name in ("values", "rows"))
        found[key] = Seen(role, values[np.isfinite(values)], rows, gathered.asked_for(key[0]))
    return found


def no_curve(gathered: Gathering) -> str:
    columns = [column for column in gathered.roles if column]
    shown = ", ".join(columns[:12]) + (f" … ({len(columns)} in all)" if len(columns) > 12 else "") or "none"
    return (
        f"{gathered.source} is no training curve: among its columns ({shown}) none is a loss or a score over steps or epochs; "
        "if one is, say which with `--map 'COLUMN=train loss'`"
    )


def refuse_tables_of_runs(gathered: Gathering, found: Judged) -> None:
    """Rows that stand for whole runs (settings that change from row to row, no step), or data sets."""
    counted = gathered.frames["step"] or gathered.frames["epoch"]
    if gathered.asked or (counted and not gathered.by_course) or gathered.rows < 2:
        return
    changing = [
        c
        for c, (low, high, number) in gathered.settings.items()
        if gathered.roles[c].kind == "fact" and low < high and number > gathered.rows / 2
    ]
    unknown = [key[0] for key, role in found.roles.items() if role.kind == "value" and not role.known]
    curves = [key[0] for key, role in found.roles.items() if is_curve(role)]
    changing += [gathered.named_rows] if gathered.named_rows else []
    if changing or (not counted and len(unknown) > 2 + 2 * len(curves)):
        named = ", ".join((changing or unknown)[:6])
        raise DataError(
            f"{gathered.source} is no training curve but a table: no column counts steps or epochs, and {named} change from row to row; "
            "if its rows follow each other in one training, say so with `--map 'COLUMN=train loss'`"
        )


def history(gathered: Gathering, found: Judged, log: Log, pieces: Pieces) -> History:
    """One run."""
    whole, starts = put_together(pieces)
    place = Places(gathered, log, whole)
    curves = [made for key, column in whole.items() if (made := curve(found, place, key, column)) is not None]
    curves = by_held(place, curves)
    curves += derived(found, curves)
    epochs = place.epoch_curve(whole)
    notices = [*log.notices, *pieces.notices, *place.notices, *found.notices]
    resumed = tuple(sorted({float(place.at_one(*start)) for start in starts}))
    if resumed:
        notices.append(
            Notice(
                "readers.resumed", times=len(resumed), where=", ".join(f"{x:g}" for x in resumed[:5]), axis=place.axis
            )
        )
    if any(column.counted > len(column) for column in whole.values()):
        notices.append(
            Notice("readers.condensed", points=max(column.counted for column in whole.values()), kept=LONGEST)
        )
    return History(
        curves=tuple(curves + ([epochs] if epochs is not None else [])),
        reader=log.reader,
        title=log.title,
        axis=place.axis,
        facts=facts(gathered, found, log, place),
        resumed=resumed,
        notices=tuple(dict.fromkeys(notices)),
        roles=shown(gathered, found, whole),
    )


def put_together(pieces: Pieces) -> tuple[Columns, list[tuple[float, float]]]:
    """The attempts as one; of what two attempts hold the later one counts. And where later ones went on: step, epoch."""
    whole: dict[Key, list[Column]] = {}
    starts = []
    for number, (attempt, (step, epoch)) in enumerate(zip(pieces.attempts, pieces.shifts, strict=True)):
        if number in pieces.resumed:
            starts.append(start_of(attempt, step, epoch))
            whole = {key: [cut(column, *starts[-1]) for column in columns] for key, columns in whole.items()}
        for key, column in attempt.items():
            whole.setdefault(key, []).append(replace(column, steps=column.steps + step, epochs=column.epochs + epoch))
    return {key: chained(columns) for key, columns in whole.items()}, starts


def start_of(attempt: Columns, step: float, epoch: float) -> tuple[float, float]:
    steps = [np.nanmin(c.steps) for c in attempt.values() if len(c) and not np.isnan(c.steps).all()]
    epochs = [np.nanmin(c.epochs) for c in attempt.values() if len(c) and not np.isnan(c.epochs).all()]
    return (float(min(steps)) + step if steps else np.nan, float(min(epochs)) + epoch if epochs else np.nan)


def cut(column: Column, step: float, epoch: float) -> Column:
    if not np.isnan(step) and not np.isnan(column.steps).all():
        later = (
            (column.epochs > epoch)
            if not np.isnan(epoch) and (np.diff(column.steps) < 0).any()
            else column.steps >= step
        )
    else:
        later = column.epochs >= epoch
    return column.part(~later)


class Places:
    """The axis of a run, and where on it a value stands."""

    def __init__(self, gathered: Gathering, log: Log, whole: Columns) -> None:
        self.notices: list[Notice] = []
        self.anew = gathered.anew
        steps = np.concatenate([c.steps for c in whole.values()] or [np.empty(0)])
        epochs = np.concatenate([c.epochs for c in whole.values()] or [np.empty(0)])
        self.has_step, self.has_epoch = (bool(len(x)) and float(np.mean(~np.isnan(x))) >= 0.5 for x in (steps, epochs))
        self.steps, self.epochs = (
            (float(np.nanmin(x)), float(np.nanmax(x))) if there else None
            for x, there in ((steps, self.has_step and not self.anew), (epochs, self.has_epoch))
        )
        if (
            self.has_step
            and self.has_epoch
            and not self.anew
            and len(np.unique(steps)) < len(np.unique(np.floor(epochs)))
        ):
            self.has_step = False  # a count that is the same at the end of each epoch
        self.length, self.base = 1.0, 0.0
        self.axis: Axis = "step" if self.has_step else "epoch" if self.has_epoch else "row"
        if self.has_step and self.anew and self.has_epoch:
            told = log.epoch_length or 0.0
            self.length = max(told, float(np.nanmax(steps)), 1.0)
            if float(np.nanmin(steps)) == 0 and not told and not gathered.zeroed:
                self.length += 1
            self.base = np.floor(float(np.nanmin(epochs)))
            if log.share_of_epoch:
                self.axis = "epoch"
            else:
                self.notices.append(Notice("readers.counted_anew", length=self.length))
        elif self.axis == "row":
            self.notices.append(Notice("readers.rows_counted"))

    def of(self, column: Column, held: bool) -> Floats:
        """Positions of the values of a column; `held` marks a part that is passed over at the end of an epoch."""
        if self.axis == "row":
            return column.rows
        if self.anew and self.has_step and self.has_epoch:
            steps = np.where(np.isnan(column.steps), 0.0, column.steps)
            if held and len(steps) > 1 and (steps == steps[0]).all():
                steps = np.full(len(steps), self.length)
            return self._within(steps, column.epochs)
        at = column.steps if self.axis == "step" else spread(column.epochs, column.rows)
        return np.where(np.isnan(at), np.nanmin(at) if not np.isnan(at).all() else 0.0, at)

    def at_one(self, step: float, epoch: float) -> float:
        if self.anew and self.has_step and self.has_epoch:
            return float(self._within(np.array([step]), np.array([epoch]))[0])
        return step if self.axis == "step" else epoch

    def reached(self, told: Mapping[str, Any]) -> bool | None:
        """Whether the planned epochs, or else steps, were reached; None where none were planned."""
        planned, span = (told["epochs"], self.epochs) if "epochs" in told else (told.get("steps"), self.steps)
        if planned is None or span is None:
            return None
        return bool(span[1] - np.floor(span[0]) + 1 >= planned or span[1] >= planned)

    def _within(self, steps: Floats, epochs: Floats) -> Floats:
        passed = np.where(np.isnan(epochs), self.base, np.floor(epochs)) - self.base
        inside = np.minimum(steps, self.length)
        if self.axis == "epoch":
            return np.asarray(passed + inside / self.length, np.float64)
        return np.asarray(passed * self.length + inside, np.float64)

    def epoch_curve(self, whole: Columns) -> Series | None:
        """Epochs over steps, where the log has both."""
        if self.axis != "step" or not self.has_epoch:
            return None
        longest = max(whole.values(), key=len)
        longest = longest.part(~np.isnan(longest.epochs))
        at, epochs = self.of(longest, False), longest.epochs
        return (
            series_of(
                Role(name="epoch"), "update", "epoch", at, replace(longest, values=epochs, low=epochs, high=epochs)
            )
            if len(longest)
            else None
        )


def spread(epochs: Floats, rows: Floats) -> Floats:
    """Epochs at which many values stand: one after the other within it."""
    if len(epochs) < FEW_ROWS or np.isnan(epochs).any():
        return epochs
    found, counts = np.unique(epochs, return_counts=True)
    if np.median(counts) < FEW_ROWS - 1 or (epochs != np.floor(epochs)).any():
        return epochs
    at = np.searchsorted(found, epochs)
    order = np.argsort(epochs, kind="stable")
    ranks = np.empty(len(epochs))
    ranks[order] = np.arange(len(epochs)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(epochs - 1 + (ranks + 1) / counts[at], np.float64)


def curve(found: Judged, place: Places, key: Key, column: Column) -> Series | None:
    role = found.roles[key]
    if role.kind != "value" or not len(column):
        return None
    factor = found.factors.get(key, 1.0)
    if factor != 1.0:
        column = replace(column, values=column.values * factor, low=column.low * factor, high=column.high * factor)
    held = role.part in ("val", "test")
    at = place.of(column, held)
    return series_of(role, "evaluation" if held else role.per or per_of(place, column, at), key[0], at, column)


def per_of(place: Places, column: Column, at: Floats) -> Per:
    """Whether a value stands for an epoch: at most about one value an epoch over two epochs or more."""
    if place.axis == "row":
        return "epoch"
    epochs = column.epochs if place.has_epoch else at
    if place.axis == "step" and not place.has_epoch:
        return "update"
    distinct = len(np.unique(np.floor(epochs[~np.isnan(epochs)])))
    if distinct <= 1 and len(column) <= 1:
        return "update" if place.axis == "step" else "epoch"
    return "epoch" if distinct >= 2 and column.counted <= 1.2 * distinct else "update"


def by_held(place: Places, curves: list[Series]) -> list[Series]:
    """Without epochs, a training curve told as seldom as an evaluation is one value to each of them."""
    if place.axis != "step" or place.has_epoch:
        return curves
    held = max((len(one) for one in curves if one.per == "evaluation" and one.part in ("val", "test")), default=0)
    return [
        replace(one, per="epoch") if one.per == "update" and held >= 0.8 * len(one) and held > 1 else one
        for one in curves
    ]


def series_of(role: Role, per: Per, name: str, at: Floats, column: Column) -> Series:
    """In the order of the positions; of one position the last value holds."""
    order = np.argsort(at, kind="stable")
    at = at[order]
    last = np.append(at[1:] != at[:-1], True)
    kept = order[last]
    return Series(
        name=role.name, part=role.part, where=role.where, column=name, per=per, steps=at[last], values=column.values[kept],
        low=column.low[kept], high=column.high[kept], counted=column.counted,
    )  # fmt: skip


def derived(found: Judged, curves: list[Series]) -> list[Series]:
    """Sums and means of curves at the positions that all of them have."""
    made = []
    for one in found.derived:
        parts = [c for c in curves for k in one.keys if c.column == k[0] and (c.part in (one.role.part, "test"))]
        if len(parts) != len(one.keys):
            continue
        at = parts[0].steps
        for part in parts[1:]:
            at = np.intersect1d(at, part.steps)
        if not len(at):
            continue
        stacks = {
            name: np.stack([getattr(p, name)[np.searchsorted(p.steps, at)] for p in parts])
            for name in ("values", "low", "high")
        }
        combined: dict[str, Any] = {
            name: stack.sum(0) if one.how == "sum" else stack.mean(0) for name, stack in stacks.items()
        }
        name = parts[0].column if len(parts) == 1 else f"{one.how} of {few([p.column for p in parts])}"
        about: dict[str, Any] = {
            "part": one.role.part,
            "column": name,
            "per": parts[0].per,
            "counted": parts[0].counted,
        }
        made.append(Series(name=one.role.name, steps=at, **combined, **about))
    return made


def few(names: Sequence[str]) -> str:
    """Up to three names, of more the ends.

    >>> few(["a", "b", "c", "d"])
    'a … d'
    """
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"


def facts(gathered: Gathering, found: Judged, log: Log, place: Places) -> dict[str, Any]:
    """What the log says beside its curves."""
    told: dict[str, Any] = {}
    for column, (low, high, _) in gathered.settings.items():
        role = gathered.roles[column]
        if role.kind == "fact" and low == high and role.name in SETTABLE and 0 < low < UNSET:
            told.setdefault(role.name, int(low) if low == int(low) else low)
    if place.anew and place.axis == "step" and place.length > 1:
        told["steps_per_epoch"] = int(place.length)
    if gathered.seconds is not None:
        told["seconds"] = gathered.seconds
    told |= found.facts | dict(log.facts)
    if "finished" not in told and (reached := place.reached(told)) is not None:
        told["finished"] = reached
    return told


SETTABLE = frozenset(["batch_size", "epochs", "steps", "classes", "steps_per_epoch", "rows", "parameters", "seed"])


def shown(gathered: Gathering, found: Judged, whole: Columns) -> dict[str, str]:
    """What each column was taken for, in words a person can put behind `--map COLUMN=`; a name of the log's own in quotes."""
    roles = {}
    for column, role in gathered.roles.items():
        if not column:
            continue  # the index that pandas writes
        keys = [key for key in found.roles if key[0] == column]
        if keys:
            texts = dict.fromkeys(str(found.roles[key]) if found.roles[key].known else "not known" for key in keys)
            roles[column] = ", ".join(texts)
        else:
            roles[column] = "setting" if role.kind == "fact" else str(role) if role.kind != "value" else "empty"
    return roles
