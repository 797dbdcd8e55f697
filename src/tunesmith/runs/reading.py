"""The reading side of a run, whether it lies in a folder or in memory."""

import abc
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tunesmith.records import Evidence, Finding, Recipe, Remedy, RunError, Safety, did_you_mean
from tunesmith.runs import face
from tunesmith.runs.signals import Signals, attempts, events

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

Status: TypeAlias = Literal["running", "finished", "paused", "interrupted", "failed"]


class Reading(abc.ABC):
    """What happened in a run. Everything is read anew when asked for, so that a running training shows its progress."""

    _model: Any = None

    @property
    @abc.abstractmethod
    def info(self) -> dict[str, Any]:
        """What is said of the run as a whole: versions, command, fingerprint of the data …"""

    @property
    @abc.abstractmethod
    def recipe(self) -> Recipe:
        """The recipe with the source of each value."""

    @property
    @abc.abstractmethod
    def status(self) -> Status:
        """running, finished, interrupted or failed"""

    @abc.abstractmethod
    def _opened(self) -> AbstractContextManager[Connection]: ...

    @abc.abstractmethod
    def _json(self, name: str) -> Any:
        """A JSON file of the run, None where there is none."""

    @abc.abstractmethod
    def _arrays(self, name: str) -> dict[str, np.ndarray] | None: ...

    @abc.abstractmethod
    def _prediction_parts(self) -> Sequence[str]: ...

    @abc.abstractmethod
    def _said(self) -> str:
        """The run in an error sentence."""

    @property
    def signals(self) -> Signals:
        return Signals(self._opened, self._said())

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        return self._events("evaluation")

    @property
    def findings(self) -> list[Finding]:
        return [found for _, found in self.found_at]

    @property
    def found_at(self) -> list[tuple[int | None, Finding]]:
        """The findings, each with the update at which it was written down."""
        return [(plain.get("step"), finding_of(plain)) for plain in self._events("finding")]

    @property
    def decisions(self) -> list[dict[str, Any]]:
        return self._events("decision")

    @property
    def attempts(self) -> list[dict[str, Any]]:
        with self._opened() as database:
            return attempts(database)

    def history(self, kind: str) -> list[dict[str, Any]]:
        """All evaluations, findings or decisions as plain data, also those that a later attempt superseded."""
        return self._events(kind, superseded=True)

    def _events(self, kind: str, superseded: bool = False) -> list[dict[str, Any]]:
        with self._opened() as database:
            return events(database, kind, superseded)

    @property
    def scores(self) -> dict[str, Any] | None:
        scores: dict[str, Any] | None = self._json("scores.json")
        return scores

    @property
    def slices(self) -> dict[str, Any] | None:
        """How the model does on groups of the judged rows, None where no group was large enough."""
        held = (self._json(f"slices/{part}.json") for part in ("test", "val"))
        return next((told for told in held if told is not None), None)

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The table of the columns, empty where the data have none."""
        return self._json("data/columns.json") or []

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The table of the model's layers."""
        return list((self._json("model.json") or {}).get("layers", []))

    def predictions(self, part: str = "test") -> dict[str, np.ndarray]:
        """The arrays of `predictions/<part>.npz`: rows, target, outputs or probabilities."""
        arrays = self._arrays(f"predictions/{part}.npz")
        if arrays is None:
            raise RunError(
                f"{self._said()} holds no predictions of part {part!r}{did_you_mean(part, self._prediction_parts())}"
            )
        return arrays

    def plot(self) -> "Figure":
        """Loss and metric over the updates, as a matplotlib figure. Raises `MissingExtra` without matplotlib."""
        return face.plot(self, self._said())

    def __rich__(self) -> "Table":
        return face.table(self, self._said())

    def _repr_html_(self) -> str:
        return face.html(self, self._said())

    def __repr__(self) -> str:
        return f"<{self._said()}: {', '.join(f'{name} {value}' for name, value in face.facts(self))}>"

    @property
    def model(self) -> Any:
        """The model with its best weights, where the training that just ended left it."""
        if self._model is None:
            raise RunError(
                f"the model of {self._said()} is not loaded; tunesmith.load(folder) reads it from a run folder"
            )
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._model = model


def finding_of(plain: Mapping[str, Any]) -> Finding:
    """A finding from the plain data it was logged as."""
    fields = {name: plain[name] for name in Finding.__dataclass_fields__ if name in plain}
    fields["evidence"] = tuple(Evidence(**evidence) for evidence in plain.get("evidence", ()))
    fields["remedies"] = tuple(
        Remedy(title=one["title"], safety=Safety(one["safety"]), change=one["change"], values=one["values"])
        for one in plain.get("remedies", ())
    )
    fields["ruled_out"] = tuple(plain.get("ruled_out", ()))
    return Finding(**fields)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file that has to be there."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} is damaged or not readable ({error}); restore it from a copy, or start a new run"
        ) from error
    if not isinstance(read, dict):
        raise RunError(
            f"{path} is damaged: it holds a {type(read).__name__}, not an object; restore it, or start a new run"
        )
    return read


def place_in(folder: Path, name: str, ending: str) -> Path:
    """Where the file `name` of a run lies; `ending` is added where it has none."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise RunError(f"a file of a run has a relative name inside its folder, not {name!r}")
    return folder / (pure if pure.suffix or not ending else pure.with_suffix(ending))
