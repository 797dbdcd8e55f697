"""A run's record, also fed to the trackers its recipe names."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from tunesmith.records import Finding, Recipe
from tunesmith.runs import MemoryWriter, Run, RunWriter


class Fanned:
    """Writes to the run, and passes signals and evaluations on to live exporters."""

    def __init__(self, writer: RunWriter | MemoryWriter, run: Any, recipe: Recipe) -> None:
        self.writer = writer
        self.live = [_opened(name, run, recipe) for name in recipe.run.exporters] if isinstance(run, Run) else []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for exporter in self.live:
            exporter.close("finished" if error is None else "failed")

    def begin_attempt(self, first_step: int, mark: int = 0, command: str | None = None) -> int:
        return self.writer.begin_attempt(first_step, mark)

    def add(self, name: str, steps: Any, values: Any, where: str = "") -> None:
        self.writer.add(name, steps, values, where)
        for exporter in self.live:
            exporter.signals(f"{name}/{where}" if where else name, steps, values)

    def flush(self) -> None:
        self.writer.flush()

    def mark(self) -> int:
        return self.writer.mark()

    def evaluation(self, row: Mapping[str, Any]) -> None:
        self.writer.evaluation(row)
        for exporter in self.live:
            exporter.evaluation(row)

    def finding(self, finding: Finding, step: int = 0) -> None:
        self.writer.finding(finding, step)

    def decision(self, what: str, because: str, change: Mapping[str, Any] | None = None, step: int = 0) -> None:
        self.writer.decision(what, because, change, step)


def _opened(name: str, run: Any, recipe: Recipe) -> Any:
    from tunesmith.integrations import EXPORTERS

    return EXPORTERS[name].open(run.info | {"folder": str(run.folder), "recipe": recipe.model_dump()})
