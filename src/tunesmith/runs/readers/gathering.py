"""From batches of rows to runs and their attempts, in one pass and bounded memory.

The position of a row is its step and its epoch. Where steps count anew in each epoch, or go back because another attempt
or another run begins, is seen here; what it means is decided once all is read.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.records import DataError, did_you_mean
from tunesmith.runs.history import Floats
from tunesmith.runs.readers import words
from tunesmith.runs.readers.batches import Batch, unstacked
from tunesmith.runs.readers.naming import part_word, role_of, split
from tunesmith.runs.readers.points import Points
from tunesmith.runs.readers.roles import Role, parse_role

EPOCHAL = 1e8  # seconds; larger ones are counted since 1970
LASTING = frozenset(("elapsed", "used", "total", "wall", "since", "walltime", "time", "runtime"))
MOST_RUNS = 1000  # assumption: more different names are no names of runs
MOST_ATTEMPTS = 400  # assumption: what goes back more often is counted on
Key = tuple[str, str]  # a column, and the part that its row belongs to


@dataclass(slots=True)
class Attempt:
    """Rows in a row whose steps do not go back."""

    columns: dict[Key, Points] = field(default_factory=dict)
    step: float = np.nan  # of the last row
    epoch: float = np.nan
    step_epoch: float = np.nan  # the epoch of the last row with a step of its own
    rows: int = 0


@dataclass(slots=True)
class Lane:
    """Rows of one run that count steps for themselves: all of them, or those of one part."""

    attempts: list[Attempt] = field(default_factory=lambda: [Attempt()])


class Gathering:
    """Takes batches, holds what was read."""

    def __init__(self, source: str, mapping: Mapping[str, str]) -> None:
        self.source = source
        self.asked = {_plain(column): parse_role(text) for column, text in mapping.items()}
        self.names = {_plain(column): column for column in mapping}
        self.roles: dict[str, Role] = {}
        self.frames: dict[str, list[str]] = {"step": [], "epoch": [], "run": [], "part": []}
        self.runs: dict[str, dict[str, Lane]] = {}
        self.percent: set[str] = set()
        self.settings: dict[str, tuple[float, float, int]] = {}  # lowest, highest and number of values of a setting
        self.texts: dict[str, str] = {}  # first text of a column
        self.by_course = False  # a column counts the steps by its values, not by its name
        self.named_rows = ""  # a column of words, another in each row
        self.last_run: dict[str, str] = {}
        self.rows = 0
        self.anew = False  # steps count anew in each epoch
        self.zeroed = False  # some of them are 0 because an epoch had begun and no step was told yet
        self.seconds: float | None = None

    def take(self, batches: Iterable[Batch]) -> "Gathering":
        for whole in batches:
            for batch in unstacked(whole):
                self.add(batch)
        return self

    def add(self, batch: Batch) -> None:
        """One batch."""
        self._meet(batch)
        self.percent |= batch.percent
        where = self._groups(batch)
        rows = np.arange(self.rows, self.rows + batch.rows, dtype=np.float64)
        step, epoch = self._frame(batch, "step"), self._frame(batch, "epoch")
        curves = {c: cells for c, cells in batch.numbers.items() if self.roles[c].kind == "value"}
        for (run, lane, part), at in where.items():
            lanes = self.runs.setdefault(run, {})
            self._put(lanes.setdefault(lane, Lane()), at, part, rows, step, epoch, curves)
        self.rows += batch.rows
        self._keep_settings(batch)

    def unknown(self) -> None:
        """Raises where a person named a column that the log does not have."""
        seen = {_plain(column) for column in self.roles}
        for plain, column in self.names.items():
            if plain not in seen:
                raise DataError(f"no column {column!r} in {self.source}{did_you_mean(column, self.roles)}")

    def role(self, column: str) -> Role:
        """What a person said, else what the name says."""
        return self.asked.get(_plain(column)) or role_of(column)

    def asked_for(self, column: str) -> bool:
        """Whether a person gave this column its role."""
        return _plain(column) in self.asked

    # what the columns are

    def _meet(self, batch: Batch) -> None:
        """Roles of columns seen for the first time."""
        new = [column for column in [*batch.numbers, *batch.texts] if column not in self.roles]
        for column in dict.fromkeys(new):
            role = self.role(column)
            asked = _plain(column) in self.asked
            if role.kind in ("step", "epoch") and not asked and not self._counts(column, role, batch):
                role = Role(
                    kind="fact",
                    name={"step": "steps", "epoch": "epochs"}[role.kind]
                    if _plural(column)
                    else "_".join(split(column)),
                )
            if role.kind == "part" and not asked and not _is_part(batch.texts.get(column, [])):
                role = Role(kind="ignore")
            self.roles[column] = role
            if role.kind in self.frames:
                self.frames[role.kind].append(column)
        if new:
            self.frames["step"].sort(key=_rank)
            if not self.frames["run"] and not self.rows:
                self._runs_by_course(batch)
            if not self.frames["step"] and not self.frames["epoch"] and not self.rows:
                self._count_by_course(batch)

    def _counts(self, column: str, role: Role, batch: Batch) -> bool:
        """Whether the values of a column can count steps or epochs: whole numbers (epochs may be broken) that do not stand still."""
        if column not in batch.numbers:
            return False
        values, present = batch.numbers[column]
        seen = values[present]
        if not len(seen) or not np.isfinite(seen).all() or seen.min() < -1:
            return False
        if role.kind == "step" and (seen != np.round(seen)).any():
            return False
        still = len(seen) > 2 and seen.min() == seen.max()
        if still and (role.kind == "step" or _plural(column)) and present.mean() > 0.5:
            return False
        return bool(np.mean(np.diff(seen) >= 0) >= 0.5) if len(seen) > 1 else True

    def _count_by_course(self, batch: Batch) -> None:
        """Without a column named so, one of whole numbers that always grow counts the steps."""
        for column, (values, present) in batch.numbers.items():
            role = self.roles[column]
            if (
                (role.kind == "fact" and role.name not in ("steps", "epochs"))
                or _plain(column) in self.asked
                or (role.known and role.kind == "value")
                or not present.all()
                or batch.rows < 3
            ):
                continue
            if (values == np.round(values)).all() and (np.diff(values) > 0).all() and values[0] >= 0:
                if column.casefold() in ("", "index") or column.startswith("Unnamed"):
                    self.roles[column] = Role(kind="ignore")  # numbers of rows, as pandas writes them
                    continue
                self.roles[column] = Role(kind="step", known=False)
                self.frames["step"].append(column)
                self.by_course = True
                return

    def _runs_by_course(self, batch: Batch) -> None:
        """A column of few words that tells rows of one step apart, as the names of models side by side."""
        step, epoch = self._frame(batch, "step"), self._frame(batch, "epoch")
        at = list(zip(np.nan_to_num(step, nan=-1).tolist(), np.nan_to_num(epoch, nan=-1).tolist(), strict=True))
        if len(set(at)) == len(at) or batch.lanes or not (self.frames["step"] or self.frames["epoch"]):
            return
        for column, cells in batch.texts.items():
            told = self.roles[column].kind in ("value", "fact") and 1 < len(set(cells)) <= batch.rows / 2
            if told and all(cells) and len(set(zip(at, cells, strict=True))) == len(at):
                self.roles[column] = Role(kind="run", name="run")
                self.frames["run"].append(column)
                return

    def _keep_settings(self, batch: Batch) -> None:
        for column, cells in batch.texts.items():
            self.texts.setdefault(column, next((text for text in cells if text), ""))
            if (
                self.rows == batch.rows >= 3
                and len(set(cells)) == len(cells)
                and all(cell[:1].isalpha() and ":" not in cell for cell in cells)
            ):
                self.named_rows = column
        for column, (values, present) in batch.numbers.items():
            role = self.roles[column]
            if role.kind == "time":
                self._keep_time(column, values[present])
            if role.kind in ("fact", "ignore") and present.any():
                seen = values[present]
                low, high, number = self.settings.get(column, (np.inf, -np.inf, 0))
                self.settings[column] = min(low, float(seen.min())), max(high, float(seen.max())), number + len(seen)

    def _keep_time(self, column: str, seen: Floats) -> None:
        """Seconds since the start, where a column of them only grows."""
        grows = len(seen) > 2 and np.isfinite(seen).all() and (np.diff(seen) >= 0).all() and seen[-1] > seen[0]
        said = set(split(column))
        if grows and seen[0] < EPOCHAL and said & LASTING and "ms" not in said:
            self.seconds = float(seen[-1])

    # where the rows are

    def _groups(self, batch: Batch) -> dict[tuple[str, str, str], npt.NDArray[np.intp]]:
        """The rows of each run, lane and part."""
        lanes = batch.lanes or [""] * batch.rows
        if not self.frames["run"] and not self.frames["part"] and not batch.lanes:
            return {("", "", ""): np.arange(batch.rows)}
        runs = self._run_names(batch)
        marked = self.frames["part"][0] if self.frames["part"] else ""
        parts = batch.texts.get(marked) or [""] * batch.rows
        found: dict[tuple[str, str, str], list[int]] = {}
        for row, (run, lane, text) in enumerate(zip(runs, lanes, parts, strict=True)):
            part = _part(text)
            found.setdefault((run, lane or part, part), []).append(row)
        if len({run for run, _, _ in found} | self.runs.keys()) > MOST_RUNS:
            named = ", ".join(self.frames["run"])
            raise DataError(
                f"{self.source} holds more than {MOST_RUNS} runs by {named}; say `--map '{self.frames['run'][0]}=ignore'`"
            )
        return {key: np.array(at) for key, at in found.items()}

    def _run_names(self, batch: Batch) -> list[str]:
        names = [""] * batch.rows
        for column in self.frames["run"]:
            cells = batch.texts.get(column)
            if cells is None and column in batch.numbers:
                cells = [f"{value:g}" if there else "" for value, there in zip(*batch.numbers[column], strict=True)]
            if cells:
                cells = self._said_before(column, cells)
                names = [
                    f"{name}, {column} {cell}" if name else f"{column} {cell}"
                    for name, cell in zip(names, cells, strict=True)
                ]
        return names

    def _said_before(self, column: str, cells: list[str]) -> list[str]:
        """A row that names no run belongs to the one named last."""
        found, last = [], self.last_run.get(column, "")
        for cell in cells:
            last = cell or last
            found.append(last)
        self.last_run[column] = last
        return found

    def _frame(self, batch: Batch, kind: str) -> Floats:
        """The step (or epoch) each row tells, NaN where it tells none."""
        found = np.full(batch.rows, np.nan)
        for column in self.frames[kind]:
            if column in batch.numbers:
                found = np.where(np.isnan(found), batch.numbers[column][0], found)
        return found

    def _put(
        self,
        lane: Lane,
        at: npt.NDArray[np.intp],
        part: str,
        rows: Floats,
        step: Floats,
        epoch: Floats,
        curves: Mapping[str, Any],
    ) -> None:
        """Rows `at` of a batch into the attempts of their lane."""
        rows, step, epoch = rows[at], step[at].copy(), epoch[at].copy()
        _rejoined(lane, step)
        for begin, end in self._stretches(lane, step, epoch):
            attempt = lane.attempts[-1]
            steps, epochs = self._carried(attempt, step[begin:end], epoch[begin:end])
            for column, (values, present) in curves.items():
                there = present[at[begin:end]]
                if there.any():
                    mine = at[begin:end][there]
                    points = attempt.columns.setdefault((column, part), Points())
                    points.extend(rows[begin:end][there], steps[there], epochs[there], values[mine])

    def _stretches(self, lane: Lane, step: Floats, epoch: Floats) -> Iterator[tuple[int, int]]:
        """Where the attempts among the rows begin and end; opens a new attempt between them."""
        begin = 0
        for row in self._candidates(lane.attempts[-1], step, epoch):
            if row >= begin and self._goes_back(lane.attempts[-1], begin, row, step, epoch):
                if row > begin:
                    yield begin, row
                if len(lane.attempts) >= MOST_ATTEMPTS:
                    raise DataError(
                        f"in {self.source} steps go back more than {MOST_ATTEMPTS} times; say which column counts them, "
                        "for example `--map COLUMN=step`, or `--map COLUMN=run` where several runs stand side by side"
                    )
                lane.attempts.append(Attempt())
                begin = row
        if begin < len(step):
            yield begin, len(step)

    @staticmethod
    def _candidates(attempt: Attempt, step: Floats, epoch: Floats) -> list[int]:
        """Rows whose step or epoch lies below that of the row before."""
        found: set[int] = set()
        for told, last in ((step, attempt.step), (epoch, attempt.epoch)):
            own = np.flatnonzero(~np.isnan(told))
            before = np.concatenate([[last], told[own][:-1]])
            found.update(own[told[own] < before].tolist())
        return sorted(found)

    def _goes_back(self, attempt: Attempt, begin: int, row: int, step: Floats, epoch: Floats) -> bool:
        """Whether another attempt begins at a row; where one row alone lies outside the order, it is put beside its neighbour."""
        last_step, step_epoch = attempt.step, attempt.step_epoch
        own = begin + np.flatnonzero(~np.isnan(step[begin:row]))
        told = begin + np.flatnonzero(~np.isnan(epoch[begin:row]))
        last_epoch = epoch[told[-1]] if len(told) else attempt.epoch
        if len(own):
            last_step = step[own[-1]]
            before = told[told <= own[-1]]
            step_epoch = epoch[before[-1]] if len(before) else attempt.epoch
        now = epoch[row] if not np.isnan(epoch[row]) else last_epoch
        if not np.isnan(step[row]) and not np.isnan(last_step):
            if step[row] < last_step:
                if now > step_epoch:
                    self.anew = True
                    return False
                return not _stray(step, row, float(last_step))
            if not (self.anew and now < last_epoch):
                return False
        return (
            bool(now < last_epoch)
            and not _stray(epoch, row, float(last_epoch))
            and not (now > last_epoch - 0.02 and now % 1)
        )

    def _carried(self, attempt: Attempt, step: Floats, epoch: Floats) -> tuple[Floats, Floats]:
        """Steps and epochs of all rows: those without take the last told; a new epoch whose steps count anew begins at 0."""
        epochs = _filled(epoch, attempt.epoch)
        own = ~np.isnan(step)
        if self.anew and len(step):
            rises = np.diff(epochs, prepend=attempt.epoch) > 0
            self.zeroed |= bool((rises & ~own).any())
            step = np.where(rises & ~own, 0.0, step)
        steps = _filled(step, attempt.step)
        if len(step):
            attempt.step, attempt.epoch, attempt.rows = float(steps[-1]), float(epochs[-1]), attempt.rows + len(step)
            if own.any():
                attempt.step_epoch = float(epochs[np.flatnonzero(own)[-1]])
        return steps, epochs


def _rejoined(lane: Lane, step: Floats) -> None:
    """Takes back an attempt of one row, opened at the end of a batch, where the next batch goes on from before it."""
    if len(lane.attempts) < 2 or lane.attempts[-1].rows > 1:
        return
    before, lone = lane.attempts[-2:]
    own = step[~np.isnan(step)]
    if len(own) and own[0] >= before.step and own[0] - lone.step >= 2:
        for key, points in lone.columns.items():
            for rows, _, _, values in points.waiting:
                at = np.full(len(rows), before.step), np.full(len(rows), before.epoch)
                before.columns.setdefault(key, Points()).extend(rows, *at, values)
        lane.attempts.pop()


def _filled(told: Floats, last: float) -> Floats:
    at = np.maximum.accumulate(np.where(np.isnan(told), -1, np.arange(len(told))))
    return np.where(at >= 0, told[at], last)


def _stray(told: Floats, row: int, last: float) -> bool:
    """Whether what follows a lower row goes on from before it: then it is a value on another count, as of an evaluation. Mends the row."""
    after = row
    while after < len(told) and (np.isnan(told[after]) or told[after] == told[row]):
        after += 1
    if after == len(told) or told[after] < last or told[after] - told[row] < 2:
        return False
    told[row:after][~np.isnan(told[row:after])] = last
    return True


def _plain(column: str) -> str:
    return " ".join(column.split()).casefold()


def _plural(column: str) -> bool:
    names = split(column)
    return bool(names) and names[-1] in words.PLURAL


def _rank(column: str) -> int:
    """Columns that count steps, the most lasting count first."""
    said = set(split(column))
    marks = (
        {"global", "total", "gstep"},
        {"step", "steps"},
        {"iteration", "iterations", "iter", "iters", "it"},
        {"update", "updates"},
    )
    return next((rank for rank, mark in enumerate(marks) if said & mark), len(marks))


def _part(text: str) -> str:
    return next((part for word in split(text) if (part := part_word(word))), text.strip().casefold()) if text else ""


def _is_part(cells: list[str]) -> bool:
    seen = [part_word(word) for cell in set(cells) if cell for word in split(cell)[:1]]
    return bool(seen) and sum(map(bool, seen)) >= len(seen) / 2
