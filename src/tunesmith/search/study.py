"""`Study`: a search to look at, while it goes on in another process or long after."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from tunesmith.records import RunError, Trial
from tunesmith.records.plain import plain
from tunesmith.runs.lock import held
from tunesmith.runs.reading import read_json
from tunesmith.search import study_settings
from tunesmith.search.ask import Search
from tunesmith.search.driver import folder_of
from tunesmith.search.history import History
from tunesmith.search.journal import FILE, read, replay
from tunesmith.search.journal_book import Book
from tunesmith.search.space import Config, Space

SHOWN = 10  # trials in a table
RUN = "run"  # where a trial of a Task has its run folder
CONFIRMED = "confirmation.json"


class Study:
    """What a search has found: of a folder, or of a search in this process.

    `best` is the trial with the lowest score that the search has seen, at whatever unit. That score is the best of many noisy ones, and so
    better than what the configuration gives again; `confirmation` holds trainings on fresh seeds, where there were any.

    Raises `RunError` for a folder that holds no study, or a damaged one.
    """

    def __init__(self, of: str | Path | Search, *, loader: Callable[[Path], Any] | None = None) -> None:
        self.ended = ""  # why the search ended, where this process carried it out
        self._loader = loader
        self._of = of if isinstance(of, Search) else Path(of)
        self._confirmation: dict[str, Any] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Reads the folder again; another process may search there."""
        if isinstance(self._of, Search):
            search = self._of
            self.book, self.space, self.total, self.folder = search.book, search.space, search.total, search.folder
            self.max_budget = search.max_budget
            self.settings: dict[str, Any] = {} if self.folder is None else study_settings.read_settings(self.folder)
            return
        self.folder = self._of
        self.settings = study_settings.read_settings(self._of)
        self.space = Space.from_json(self.settings["space"])
        self.max_budget, self.total = self.settings["max_budget"], self.settings["total"]
        self.book = Book(self.space, self.max_budget, self.settings["seed"])
        replay(self._of / FILE, read(self._of / FILE)[0], self.book.apply)

    @property
    def trials(self) -> History:
        """All trials, in the order they were begun."""
        return self.book.trials

    @property
    def best(self) -> Trial | None:
        """The trial with the best score; None before the first."""
        return self.trials.best()

    @property
    def best_config(self) -> Config:
        """The configuration of the best trial. Raises `RunError` where no trial has a score."""
        return dict(self._the_best().change)

    @property
    def best_score(self) -> float:
        """Its score, as the search saw it. Raises `RunError` where no trial has a score."""
        return self.trials.value(self._the_best().id)

    @property
    def best_record(self) -> Mapping[str, Any]:
        """All that was measured at the unit with that score."""
        trial = self._the_best()
        return min(trial.records, key=lambda record: _order(record.get("score")))

    def _the_best(self) -> Trial:
        if self.best is None:
            reasons = Counter(trial.reason for trial in self.trials if trial.reason).most_common(1)
            why = f"; {reasons[0][1]} ended with: {reasons[0][0]}" if reasons else ""
            raise RunError(f"{self._said()} has no trial with a score, of {len(self.trials)}{why}")
        return self.best

    @property
    def confirmation(self) -> dict[str, Any] | None:
        """What trainings of the best on fresh seeds gave, beside the default; None where there were none."""
        if self._confirmation is None and self.folder is not None and (self.folder / CONFIRMED).is_file():
            self._confirmation = read_json(self.folder / CONFIRMED)
        return self._confirmation

    @confirmation.setter
    def confirmation(self, value: dict[str, Any]) -> None:
        self._confirmation = value

    def trial_folder(self, trial: int) -> Path:
        """The folder of a trial, whether it is there or not. Raises `RunError` for a study that was in memory alone."""
        if self.folder is None:
            raise RunError("the study was not kept in a folder; search with folder='studies/…'")
        return folder_of(self.folder, trial)

    def model(self) -> Any:
        """The model of the best trial, ready to predict. Raises `RunError` where what was searched leaves none, or it is gone."""
        run = self.trial_folder(self._the_best().id) / RUN
        if not (run / "run.json").is_file():
            raise RunError(f"{self._said()} holds no model: only searches over a Task or data in a folder keep one")
        if self._loader is None:
            raise RunError(f'tunesmith.load("{run}") reads the model of the best trial')
        return self._loader(run)

    def importance(self, method: str = "ped_anova") -> dict[str, float]:
        """How much each parameter matters among the better trials, the greatest first; see `understanding.importance`."""
        from tunesmith.search.understanding import importance

        return importance(self.space, self.trials, method=method)

    def status(self) -> dict[str, Any]:
        """How it stands: trials by state, why they ended, budget units spent, kept of running trials, and left."""
        states = Counter(trial.state for trial in self.trials)
        running = sum(len(out.kept) for out in self.book.out.values())
        spent = self.trials.spent
        return {
            "active": isinstance(self._of, Path) and held(self._of),
            "trials": len(self.trials),
            **{state: states[state] for state in ("running", "paused", "done", "stopped", "failed")},
            "reasons": dict(Counter(trial.reason for trial in self.trials if trial.reason).most_common()),
            "spent": spent,
            "under_way": running,
            "total": self.total,
            "left": None if self.total is None else max(0, self.total - spent - running),
            "max_budget": self.max_budget,
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row a trial: number, state, reason, units, best score, the unit it came at, and the configuration by its names."""
        return [self._row(trial) for trial in self.trials]

    def _row(self, trial: Trial) -> dict[str, Any]:
        value = self.trials.value(trial.id)
        scores = self.trials.scores(trial.id).tolist()
        known = math.isfinite(value)
        return {
            "trial": trial.id,
            "state": trial.state,
            "reason": trial.reason,
            "units": len(scores),
            "score": value if known else None,
            "unit": scores.index(value) + 1 if known else None,
            "parent": trial.parent,
            **{name: plain(trial.change.get(name)) for name in self.space},
        }

    def best_rows(self, most: int = SHOWN) -> list[dict[str, Any]]:
        """The rows of the best trials, best first."""
        return sorted((row for row in self.rows() if row["score"] is not None), key=lambda row: row["score"])[:most]

    def _said(self) -> str:
        return "the search" if self.folder is None else f"the study {self.folder}"

    def __repr__(self) -> str:
        status = self.status()
        best = "no score yet" if self.best is None else f"best {self.best_score:.6g} with {shown(self.best_config)}"
        return f"<{self._said()}: {status['trials']} trials, {status['spent']} units, {best}>"

    def _repr_html_(self) -> str:
        names = ["trial", "state", "units", "score", *self.space.searched]
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(number(row[name]))}</td>" for name in names) + "</tr>"
            for row in self.best_rows()
        )
        return f"<p>{escape(repr(self))}</p><table><tr>{head}</tr>{body}</table>"


def _order(score: Any) -> float:
    value = math.inf if score is None else float(score)
    return value if math.isfinite(value) else math.inf


def number(value: Any) -> str:
    """A value in a table.

    >>> number(0.00012345678), number(None), number((8, 8))
    ('0.000123457', '', '(8, 8)')
    """
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def shown(config: Mapping[str, Any]) -> str:
    """A configuration in a line.

    >>> shown({"optim.lr": 0.001, "model.depth": 2})
    'optim.lr=0.001 model.depth=2'
    """
    return " ".join(f"{name}={number(value)}" for name, value in config.items())
