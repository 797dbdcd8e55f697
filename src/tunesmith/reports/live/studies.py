"""A search that is followed: its journal is read on from where the last look ended."""

import heapq
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from tunesmith.records import DataError, RunError
from tunesmith.records.plain import plain
from tunesmith.reports.live.places import Place, trial_place
from tunesmith.reports.live.runs import finite, stamp
from tunesmith.runs.lock import held
from tunesmith.search.journal import FILE
from tunesmith.search.journal_book import Book
from tunesmith.search.space import Space
from tunesmith.search.study_settings import read_settings

BEST, ENDED, RUNNING, REASONS = 20, 10, 64, 12  # rows shown at most
DRAWN = 8  # curves of trials, of the best and of those that run
LONG = 500  # points of a curve
PIECE = 1 << 22  # bytes read at once


class FollowedStudy:
    """The state of a search between two looks."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.settings = read_settings(place.folder)
        self.summary: dict[str, Any] = {}
        self._begin()

    def _begin(self) -> None:
        settings = self.settings
        self.book = Book(Space.from_json(settings["space"]), settings["max_budget"], settings["seed"])
        self.best: list[tuple[int, float]] = []  # units spent, and the best score from there on
        self.sign = 0  # of the metric against the score; 0 while none is known
        self.metric = "score"
        self._read_to = 0
        self._seen: Any = None
        self._active = False

    def look(self) -> bool:
        """Whether something is new; the summary is that of now."""
        path, active = self.place.folder / FILE, held(self.place.folder)
        now = stamp(path)
        if now == self._seen and active == self._active and self.summary:
            return False
        self.settings = read_settings(self.place.folder)
        if now is not None and now[1] < self._read_to:
            self._begin()
        changed = self._read(path) or active != self._active or not self.summary
        self._seen, self._active = now, active
        if changed:
            self._summarise()
        return changed

    def _read(self, path: Path) -> bool:
        """Takes the whole lines that came, piece by piece; one that is not whole waits."""
        came, size = False, PIECE
        try:
            with path.open("rb") as file:
                while True:
                    file.seek(self._read_to)
                    piece = file.read(size)
                    lines = piece[: piece.rfind(b"\n") + 1]
                    if not lines and len(piece) == size:  # one line, longer than that
                        size *= 2
                        continue
                    if not lines:
                        return came
                    for line in lines.splitlines(keepends=True):
                        if not self._take(line):
                            return came
                        self._read_to += len(line)
                        came = True
        except FileNotFoundError:
            return came

    def _take(self, line: bytes) -> bool:
        try:
            event = json.loads(line)
            self.book.apply(event)
        except (ValueError, TypeError, LookupError, DataError):
            return False  # never came whole to the disk; whoever goes on with the search writes over it
        if event.get("event") == "told":
            self._told(event)
        return True

    def _told(self, event: dict[str, Any]) -> None:
        value = self.book.trials.value(event["trial"])
        if math.isfinite(value) and (not self.best or value < self.best[-1][1]):
            self.best.append((self.book.trials.spent, value))
        if not self.sign:
            for record in event["records"]:
                if "metric" in record and record.get("value") is not None:
                    self.metric = str(record["metric"])
                    self.sign = -1 if record["value"] == -record["score"] and record["value"] else 1

    def _shown(self, score: float) -> float | None:
        """A score as the metric has it."""
        return finite((self.sign or 1) * score)  # type: ignore[no-any-return]

    def _summarise(self) -> None:
        trials, out = self.book.trials, self.book.out
        states = Counter(trial.state for trial in trials)
        under_way = sum(len(one.kept) for one in out.values())
        best = trials.best()
        self.summary = {
            "id": self.place.id,
            "kind": "study",
            "name": self.place.folder.resolve().name,
            "title": str(self.settings.get("subject") or ""),
            "status": "running" if self._active else self._rest(),
            "obeys": self._active and "subject" in self.settings,  # a search of ask and tell is not driven by us
            "trials": len(trials),
            "states": {name: states[name] for name in ("running", "paused", "done", "stopped", "failed")},
            "spent": trials.spent,
            "under_way": under_way,
            "total": self.settings.get("total"),
            "max_budget": self.settings["max_budget"],
            "metric": self.metric,
            "higher": self.sign < 0,
            "best": None if best is None else self._row(best.id),
        }

    def _rest(self) -> str:
        total = self.settings.get("total")
        return "finished" if not self.book.out and (total is None or self.book.trials.spent >= total) else "interrupted"

    def details(self) -> dict[str, Any]:
        """What the page of the search shows."""
        trials, out = self.book.trials, self.book.out
        scored = [one.id for one in trials if one.state != "failed" and math.isfinite(trials.value(one.id))]
        best = heapq.nsmallest(BEST, scored, key=lambda id: (trials.value(id), id))
        running = list(out)[:RUNNING]
        ended = [one.id for one in trials if one.state in ("stopped", "failed")][-ENDED:]
        reasons = Counter((trial.state, trial.reason) for trial in trials if trial.reason)
        drawn = list(dict.fromkeys([*best[:DRAWN], *running[:DRAWN]]))
        return {
            "summary": self.summary,
            "sampler": self.settings.get("sampler"),
            "budget": self.settings.get("budget"),
            "parameters": list(self.book.space.searched),
            "so_far": [[units, self._shown(score)] for units, score in self.best],
            "curves": [{"trial": id, "running": id in out, "scores": self._curve(id)} for id in drawn],
            "running": [self._row(id) for id in running],
            "rows": [self._row(id) for id in best],
            "ended": [self._row(id) for id in reversed(ended)],
            "reasons": [[state, reason, count] for (state, reason), count in reasons.most_common(REASONS)],
        }

    def _curve(self, id: int) -> list[list[Any]]:
        """Score by unit, those under way too."""
        kept = [record.get("score") for record in self.book.out[id].kept] if id in self.book.out else []
        scores = [*self.book.trials.scores(id).tolist(), *(math.nan if one is None else float(one) for one in kept)]
        every = math.ceil(len(scores) / LONG) or 1
        return [[unit + 1, self._shown(scores[unit])] for unit in range(0, len(scores), every)]

    def _row(self, id: int) -> dict[str, Any]:
        trial, out, value = self.book.trials[id], self.book.out.get(id), self.book.trials.value(id)
        kept = [] if out is None else [float(one["score"]) for one in out.kept if one.get("score") is not None]
        value = min([value, *kept])
        return {
            "trial": id,
            "state": trial.state,
            "reason": trial.reason,
            "units": len(trial.records) + (0 if out is None else len(out.kept)),
            "upto": None if out is None else out.proposal.upto,
            "score": self._shown(value),
            "config": {name: written(trial.change.get(name)) for name in self.book.space.searched},
            "run": trial_place(self.place, id) is not None,
        }


def written(value: Any) -> Any:
    """A value of a configuration; lists as text.

    >>> written((64, 32)), written(0.001)
    ('[64, 32]', 0.001)
    """
    told = plain(value)
    return told if told is None or isinstance(told, bool | int | float | str) else json.dumps(told)


def opened(place: Place) -> FollowedStudy:
    """The study. Raises `RunError` where it cannot be read."""
    try:
        return FollowedStudy(place)
    except (KeyError, TypeError) as error:
        raise RunError(f"{place.folder} is damaged ({error}); restore it from a copy") from error
