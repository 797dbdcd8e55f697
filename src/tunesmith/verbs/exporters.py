"""A run's record, also fed to the trackers its recipe names."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.records import Finding, Recipe
from tunesmith.runs import MemoryWriter, Run, RunWriter

if TYPE_CHECKING:
    from tunesmith.integrations import Exports


class Fanned:
    """Writes to the run, and passes signals and evaluations on to the live trackers there are."""

    def __init__(self, writer: RunWriter | MemoryWriter, live: "Exports | None") -> None:
        self.writer = writer
        self.live = live

    def begin_attempt(self, first_step: int, mark: int = 0) -> int:
        return self.writer.begin_attempt(first_step, mark)

    def add(self, name: str, steps: Any, values: Any, where: str = "") -> None:
        self.writer.add(name, steps, values, where)
        if self.live is not None:
            self.live.signals(name, steps, values, where)

    def flush(self) -> None:
        self.writer.flush()

    def mark(self) -> int:
        return self.writer.mark()

    def place(self) -> int:
        return self.writer.place()

    def evaluation(self, row: Mapping[str, Any]) -> None:
        self.writer.evaluation(row)
        if self.live is not None:
            self.live.evaluation(row)

    def finding(self, finding: Finding, step: int = 0) -> None:
        self.writer.finding(finding, step)

    def decision(self, what: str, because: str, change: Mapping[str, Any] | None = None, step: int = 0) -> None:
        self.writer.decision(what, because, change, step)

    def close(self, status: str, scores: Mapping[str, Any] | None) -> None:
        """Tells the trackers how the run ended."""
        if self.live is not None:
            if scores is not None:
                self.live.scores(scores)
            self.live.close(status)


def trackers(run: Run | MemoryWriter, recipe: Recipe, notice: Callable[[str], None]) -> "Exports | None":
    """The trackers the recipe names, opened. Raises `MissingExtra` or `UnknownName` before anything is trained."""
    if not recipe.run.exporters or not isinstance(run, Run):
        return None
    from tunesmith.integrations import Exports, information

    return Exports(recipe.run.exporters, information(run), notice)
