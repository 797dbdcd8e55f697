"""Trackers that a run is also written to, one file each; the tracker's library is imported only when it is asked for.

A member of `EXPORTERS` opens a live face, `EXPORTERS["tensorboard"].open(information(run))`, which the training loop feeds as it
goes; `export` feeds it a whole run afterwards.
"""

import abc
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from tunesmith.records import Catalog, MissingExtra
from tunesmith.runs import Run
from tunesmith.runs.files import plain


class Exporter(abc.ABC):
    """A run as a tracker takes it in, signal by signal and evaluation by evaluation."""

    @abc.abstractmethod
    def __init__(self, info: Mapping[str, Any], destination: str | Path | None = None) -> None: ...

    @classmethod
    def open(cls, info: Mapping[str, Any], destination: str | Path | None = None) -> Self:
        """`info` is `information(run)`; `destination` is the tracker's own word for where, None its default."""
        return cls(info, destination)

    @abc.abstractmethod
    def signals(self, name: str, steps: Any, values: Any, where: str = "") -> None:
        """Points of a signal, one value a step."""

    @abc.abstractmethod
    def evaluation(self, row: Mapping[str, Any]) -> None: ...

    @abc.abstractmethod
    def scores(self, scores: Mapping[str, Any]) -> None:
        """The final judgement, part by part."""

    @abc.abstractmethod
    def close(self, status: str) -> None: ...


EXPORTERS: Catalog[type[Exporter]] = Catalog("exporter")
EXPORTERS.load(__path__, __name__)


def information(run: Run) -> dict[str, Any]:
    """What a tracker is told at the start: `run.info`, the folder, and the recipe by dotted path."""
    return run.info | {"folder": str(run.folder), "recipe": plain(run.recipe.flat())}


def export(run: Run, to: str, destination: str | Path | None = None, *, points: int | None = None) -> None:
    """Writes a whole run to a tracker: every point, or at most `points` a signal, each then the mean of its neighbours."""
    live = EXPORTERS[to].open(information(run), destination)
    for name, where in run.signals.names():
        if points is None:
            steps, values = run.signals.read(name, where)
        else:
            steps, _, values, _ = run.signals.curve(name, where, points)
        live.signals(name, steps, values, where)
    for row in run.evaluations:
        live.evaluation(row)
    if run.scores:
        live.scores(run.scores)
    live.close(run.status)


class Exports:
    """Several trackers beside a training. One that fails is told of through `notice` and left out from then on."""

    def __init__(self, names: Sequence[str], info: Mapping[str, Any], notice: Callable[[str], None]) -> None:
        self._live = {name: EXPORTERS[name].open(info) for name in names}
        self._notice = notice

    def signals(self, name: str, steps: Any, values: Any, where: str = "") -> None:
        self._each(lambda live: live.signals(name, steps, values, where))

    def evaluation(self, row: Mapping[str, Any]) -> None:
        self._each(lambda live: live.evaluation(row))

    def scores(self, scores: Mapping[str, Any]) -> None:
        self._each(lambda live: live.scores(scores))

    def close(self, status: str) -> None:
        self._each(lambda live: live.close(status))

    def _each(self, call: Callable[[Exporter], None]) -> None:
        for name, live in list(self._live.items()):
            try:
                call(live)
            except Exception as error:  # whatever a tracker's library raises must not end a training
                del self._live[name]
                self._notice(
                    f"{name} takes no more of this run ({type(error).__name__}: {error}); afterwards `export` can write all of it"
                )


def flat(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested recipe by dotted path; a flat one as it is.

    >>> flat({"optim": {"lr": 0.1}, "train.seed": 0})
    {'optim.lr': 0.1, 'train.seed': 0}
    """
    found: dict[str, Any] = {}
    for name, value in recipe.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def tag(name: str, where: str = "") -> str:
    """A signal's name in a tracker."""
    return f"{name}/{where}" if where else name


def numbers(row: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """The numbers of an evaluation or of the scores, by tag; parts of scores are nested."""
    found: dict[str, float] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= numbers(value, f"{prefix}/{name}" if prefix else str(name))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}/{name}" if prefix else name] = float(value)
    return found


def imported(module: str, extra: str) -> ModuleType:
    """A tracker's library. Raises `MissingExtra` where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"the exporter {extra!r} needs {module.partition('.')[0]}, which is not here ({error}); pip install 'tunesmith[{extra}]'"
        ) from error
