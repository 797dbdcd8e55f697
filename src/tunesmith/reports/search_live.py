"""A search while it goes on: a table on a terminal, else a plain line whenever a trial rests or is over."""

import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from tunesmith.records import Trial
from tunesmith.reports.display import forgiving
from tunesmith.search.study import number, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tunesmith.search.ask import Search

REDRAW_SECONDS = 0.25
REASONS = 4  # shown, the most frequent first
RUNNING = 8  # running trials shown


class PlainSearch:
    """One line for each trial that rests or is over, no control characters: for logs and pipes."""

    def __init__(self, stream: TextIO | None = None, *, seconds: float | None = None) -> None:
        self.stream = forgiving(sys.stdout if stream is None else stream)
        self.pace = Pace(seconds)
        self._out: dict[int, int] = {}  # trials under way, and the number of the proposal

    def __call__(self, search: "Search") -> None:
        now = {trial: out.number for trial, out in search.book.out.items()}
        for trial, proposal in self._out.items():
            if now.get(trial) != proposal:
                print(line(search, search.trials[trial], self.pace), file=self.stream, flush=True)
        self._out = now

    def close(self) -> None:
        """Nothing to let go of."""


class QuietSearch:
    """Says nothing."""

    def __call__(self, search: "Search") -> None: ...

    def close(self) -> None: ...


class TerminalSearch:
    """A table that is drawn anew in its place."""

    def __init__(self, stream: TextIO | None = None, *, seconds: float | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self.pace = Pace(seconds)
        self._drawn = 0.0
        self._live = Live(console=Console(file=sys.stdout if stream is None else stream), auto_refresh=False)
        self._live.start()
        self._search: Search | None = None

    def __call__(self, search: "Search") -> None:
        self._search = search
        if time.monotonic() - self._drawn >= REDRAW_SECONDS:
            self._draw()

    def _draw(self) -> None:
        if self._search is not None:
            self._live.update(table(self._search, self.pace), refresh=True)
        self._drawn = time.monotonic()

    def close(self) -> None:
        """Draws the end, and leaves it standing."""
        self._draw()
        self._live.stop()


SearchDisplay = PlainSearch | QuietSearch | TerminalSearch


def choose_search(*, json: bool = False, quiet: bool = False, seconds: float | None = None) -> SearchDisplay:
    """The display that fits: on standard error under `--json`; a table only on a terminal."""
    if quiet:
        return QuietSearch()
    stream = sys.stderr if json else sys.stdout
    return TerminalSearch(stream, seconds=seconds) if stream.isatty() else PlainSearch(stream, seconds=seconds)


class Pace:
    """How long it will take: by the time that is over, or by the units that were trained since the display began."""

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds
        self._began = time.monotonic()
        self._from: int | None = None

    def left(self, search: "Search") -> float | None:
        """Seconds left; None while nobody can know."""
        spent = search.trials.spent + sum(len(out.kept) for out in search.book.out.values())
        self._from = spent if self._from is None else self._from
        took = time.monotonic() - self._began
        if self.seconds is not None:
            return max(0.0, self.seconds - took)
        if search.total is None or spent <= self._from:
            return None
        return took / (spent - self._from) * max(0, search.total - spent)


def line(search: "Search", trial: Trial, pace: Pace) -> str:
    """What a trial came to, and where the search stands."""
    told = f"trial {trial.id} {trial.state} at {len(trial.records)}/{search.max_budget}"
    told += f" ({trial.reason})" if trial.reason else f": {scored(search, trial)}"
    return " · ".join([told, *standing(search, pace)])


def standing(search: "Search", pace: Pace) -> list[str]:
    """Best, units and time, in words."""
    best = search.best
    parts = [f"best {scored(search, best)} (trial {best.id})" if best is not None else "no score yet"]
    total = "" if search.total is None else f"/{search.total}"
    parts.append(f"{search.trials.spent}{total} units")
    left = pace.left(search)
    return parts if left is None else [*parts, f"{duration(left)} left"]


def scored(search: "Search", trial: Trial) -> str:
    """The best score of a trial, as the metric that it is where it is one."""
    best = min(trial.records, key=lambda record: _order(record), default=None)
    if best is None:
        return "no score"
    if "metric" in best and "value" in best:
        return f"{best['metric']} {number(float(best['value']))}"
    return f"score {number(float(best['score']))}"


def _order(record: Mapping[str, Any]) -> float:
    value = float("inf") if record.get("score") is None else float(record["score"])
    return value if value == value else float("inf")


def duration(seconds: float) -> str:
    """
    >>> duration(42), duration(200), duration(8000)
    ('42 s', '3 min', '2.2 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def table(search: "Search", pace: Pace) -> "RenderableType":
    """The search as a table: where it stands, what runs, why trials ended."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    states = Counter(trial.state for trial in search.trials)
    grid.add_row("search", Text(" · ".join(standing(search, pace))))
    if search.best is not None:
        grid.add_row("best", Text(shown(search.best.change)))
    grid.add_row("trials", Text(", ".join(f"{count} {state}" for state, count in states.items()) or "none yet"))
    for out in list(search.book.out.values())[:RUNNING]:
        done = out.proposal.start + len(out.kept)
        words = f"{done}/{out.proposal.upto} units  {shown(out.proposal.config)}"
        grid.add_row(f"trial {out.proposal.trial}", Text(words, no_wrap=True, overflow="ellipsis"))
    reasons = Counter(trial.reason for trial in search.trials if trial.reason)
    for reason, count in reasons.most_common(REASONS):
        grid.add_row(f"{count} ended", Text(reason, no_wrap=True, overflow="ellipsis"))
    return grid
