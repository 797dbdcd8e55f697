"""A run that is followed: where it stands, in a few numbers, and what is new since the last look."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.records import TunesmithError
from tunesmith.reports.live.places import Place
from tunesmith.runs import Run
from tunesmith.runs.following import News, last_events, latest, news, place_of
from tunesmith.runs.following import Place as Row
from tunesmith.runs.reading import finding_of

EVALUATIONS, FINDINGS, DECISIONS = 40, 200, 60  # shown at most, the latest
SETTLED_SECONDS = 2.0  # a file written to so lately may have been written to again within the grain of its clock
ROW = (
    "epoch",
    "step",
    "train_loss",
    "val_loss",
    "metric",
    "score",
    "best",
    "lr",
    "seconds",
    "memory_mb",
    "eta_seconds",
)


class FollowedRun:
    """The state of a run between two looks. A look that finds its files untouched opens nothing."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.run = Run(place.folder)
        self.summary: dict[str, Any] = {}
        self.row: Row | None = None
        self.info: dict[str, Any] = {}
        self._seen: Any = None
        self._found: Counter[str] = Counter()
        self._told: dict[str, Any] = {}  # of the log: evaluation, best, step, loss

    def look(self, now: float) -> News | None:
        """What was written since the last look; None for nothing. The summary is that of now."""
        stamp = stamps(self.place.folder)
        was_running = self.summary.get("status") == "running"
        if stamp == self._seen and not was_running and self.summary:
            return None
        found = self._read() if stamp != self._seen or self.row is None else None
        settled = all(at is None or now - at[0] / 1e9 > SETTLED_SECONDS for at in stamp)
        self._seen = stamp if settled else None
        self._summarise()
        return found

    def _read(self) -> News | None:
        self.info = self.run.info
        if self.row is None:
            self._begin()
            return None
        found = news(self.run, self.row)
        if not found.whole:
            self._begin()
            return found
        self.row = found.place
        for _, kind, body in found.events:
            self._event(kind, body)
        if ("loss", "") in found.points:
            steps, values = found.points["loss", ""]
            self._told |= {"step": int(steps[-1]), "loss": float(values[-1])}
        return found if found.points or found.events else None

    def _begin(self) -> None:
        """Reads the last of each kind, and nothing else."""
        self.row = place_of(self.run)
        self._told, self._found = {}, Counter()
        if (last := latest(self.run, "loss")) is not None:
            self._told |= {"step": last[0], "loss": last[1]}
        best = last_events(self.run, "evaluation", 1, "json_extract(e.body, '$.best')")
        for kind, rows in (
            ("evaluation", best),
            ("evaluation", last_events(self.run, "evaluation", 1)),
            ("finding", last_events(self.run, "finding", FINDINGS)),
        ):
            for _, body in rows:
                self._event(kind, body)

    def _event(self, kind: str, body: Mapping[str, Any]) -> None:
        if kind == "evaluation":
            self._told["evaluation"] = row_of(body)
            if body.get("step") is not None:
                self._told["step"] = max(self._told.get("step", 0), body["step"])
            if body.get("best"):
                self._told["best"] = row_of(body)
        elif kind == "finding":
            self._found[str(body.get("severity"))] += 1

    def _summarise(self) -> None:
        told, info = self._told, self.info
        status = self.run.status
        evaluation = told.get("evaluation") or {}
        self.summary = {
            "id": self.place.id,
            "kind": "run",
            "name": self.place.folder.resolve().name,
            "status": status,
            "obeys": status == "running" and bool(info.get("obeys")),
            **{name: info.get(name) for name in ("title", "model", "created", "ending", "reason", "steps", "epochs")},
            **{name: finite(told.get(name)) for name in ("step", "loss", "evaluation", "best")},
            "epoch": evaluation.get("epoch"),
            "eta_seconds": evaluation.get("eta_seconds") if status == "running" else None,
            "found": {name: self._found[name] for name in ("error", "warning", "note")},
        }

    def details(self) -> dict[str, Any]:
        """What the page of the run begins with: the names of its signals, and the latest of what happened."""
        row = place_of(self.run)
        return {
            "row": list(row),
            "signals": [list(one) for one in self.run.signals.names()],
            "evaluations": [event_of(*one) for one in self._last("evaluation", EVALUATIONS)],
            "findings": [event_of(*one) for one in self._last("finding", FINDINGS)],
            "decisions": [event_of(*one) for one in self._last("decision", DECISIONS)],
        }

    def _last(self, kind: str, most: int) -> list[tuple[int, str, dict[str, Any]]]:
        return [(number, kind, body) for number, body in last_events(self.run, kind, most)]


def stamps(folder: Path) -> tuple[tuple[int, int] | None, ...]:
    """When the files of a run were written last, and how long they are."""
    return tuple(stamp(folder / name) for name in ("run.json", "log.sqlite", "log.sqlite-wal"))


def stamp(path: Path) -> tuple[int, int] | None:
    """Nanoseconds and bytes; None where there is no such file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def row_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluation as the page shows it."""
    return {name: finite(body[name]) for name in ROW if body.get(name) is not None}


def event_of(number: int, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluation, a finding or a decision as plain data for the page; text is text there, never markup."""
    if kind == "evaluation":
        return {"number": number, "kind": kind, **row_of(body)}
    if kind == "finding":
        return {"number": number, "kind": kind, **told_of(body)}
    change = {str(name): str(value) for name, value in (body.get("change") or {}).items()}
    told = {name: str(body.get(name) or "") for name in ("what", "because")}
    return {"number": number, "kind": kind, "step": body.get("step"), "change": change, **told}


def told_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """A finding in words."""
    told = {name: body.get(name) for name in ("fault", "severity", "status", "step")}
    told |= {"confidence": finite(body.get("confidence")), "remedies": []}
    try:
        found = finding_of(body)
        told["remedies"] = [
            {"title": remedy.text("en"), "change": {str(name): str(value) for name, value in remedy.change.items()}}
            for remedy in found.remedies
        ]
        return told | {"because": found.because}
    except (TunesmithError, KeyError, TypeError, ValueError):  # of another version
        return told | {"because": str(body.get("because") or body.get("message") or "")}


def finite(value: Any) -> Any:
    """JSON has no NaN: None stands for it.

    >>> finite(float("nan")), finite(0.5), finite({"a": float("inf")})
    (None, 0.5, {'a': None})
    """
    if isinstance(value, Mapping):
        return {name: finite(held) for name, held in value.items()}
    return None if isinstance(value, float) and value - value != 0 else value
