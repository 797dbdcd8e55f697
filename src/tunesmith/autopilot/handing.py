"""What is handed over: one net, one simple model, or an ensemble; kept in a folder, and ready to predict from raw data."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.autopilot.simple.storing import unstored
from tunesmith.data.spec import Array, Part, Prepared, spec_from_json
from tunesmith.records import DataError, RunError
from tunesmith.runs.tuning import HANDED

if TYPE_CHECKING:
    from torch import nn

    from tunesmith.training.predicting import Predictions

DATA = "data.json"  # how the inputs are made, for the simple models


def width(prepared: Prepared) -> int:
    """Classes of a task; columns of a simple model's answer where there are none."""
    return len(prepared.classes or ()) or max(prepared.outputs, 2)


def raw(file: Path, part: Part, prepared: Prepared) -> Array:
    """What the simple model in a file says of a part: probabilities, or values in the target's unit."""
    from tunesmith.training.judgement import in_units

    return in_units(unstored(file, prepared.spec, prepared.kind).predict(part, width(prepared)), prepared)


def softened(said: Array, temperature: float) -> Array:
    """Probabilities whose logarithms are divided by a temperature, as they are at 1. Guo et al., arXiv:1706.04599, equation 9."""
    from tunesmith.ensembles import distilling

    return said if temperature == 1.0 else distilling.softened(said, temperature)


class Handed:
    """Predicts with the members of a tuning, averaged by their weights.

    `model`: an instance of your own net, where it is not a built-in one. Raises `RunError` for a folder where nothing was handed over yet.
    """

    def __init__(self, folder: str | Path, *, model: "nn.Module | None" = None, device: str = "cpu") -> None:
        from tunesmith.data import Pipeline

        self.folder = Path(folder)
        file = self.folder / HANDED
        if not file.is_file():
            raise RunError(
                f"{self.folder} has handed nothing over yet; go on with it: tunesmith tune --folder {self.folder} --resume"
            )
        self.plain: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        data = json.loads((self.folder / DATA).read_text(encoding="utf-8"))
        self.spec = spec_from_json(data["spec"])
        self.pipeline = None if data["pipeline"] is None else Pipeline.from_json(data["pipeline"])
        self.kind: str = self.plain["kind"]
        self.classes: tuple[Any, ...] | None = None if self.plain["classes"] is None else tuple(self.plain["classes"])
        self.members = [(one, self._member(one, model, device)) for one in self.plain["members"]]

    def _member(self, one: dict[str, Any], model: "nn.Module | None", device: str) -> Any:
        import copy

        from tunesmith.training import predicting

        if one["kind"] == "net":
            place, step = self.folder / one["place"], one.get("step")
            return predicting.load(place, model=copy.deepcopy(model), device=device, step=step)
        return unstored(self.folder / one["place"], self.spec, self.kind)

    @property
    def model(self) -> "nn.Module":
        """The net, where one net alone is handed over. Raises `RunError` for anything else."""
        if len(self.members) != 1 or self.members[0][0]["kind"] != "net":
            raise RunError(f"{self.folder} hands over no single net but {self!r}; use predict")
        found: nn.Module = self.members[0][1].model
        return found

    def predict(self, data: Any) -> "Predictions":
        """Labels with calibrated probabilities, or values in the target's unit; of a data file, a frame or arrays."""
        from tunesmith.ensembles.averaging import average
        from tunesmith.training.predicting import Predictions, of_chances

        said, rows, notices = self._said(data)
        whole = average(said, [one["weight"] for one, _ in self.members], kind=self.kind)
        if self.kind in ("regression", "multi_regression"):
            return Predictions(classes=None, values=whole, rows=rows, notices=notices)
        chances = softened(whole, self.plain["temperature"])
        positive, threshold = self.plain["positive"], self.plain["threshold"]
        return of_chances(chances, self.kind, self.classes, positive, threshold, rows, notices)

    __call__ = predict

    def _said(self, data: Any) -> tuple[list[Array], Array | None, tuple[str, ...]]:
        found: list[Array] = []
        rows: Array | None = None
        notices: tuple[str, ...] = ()
        for one, member in self.members:
            if one["kind"] == "net":
                member.temperature = 1.0  # the average is calibrated, not its members
                told = member.predict(data)
                rows, notices = told.rows, told.notices
                found.append(told.values if told.probabilities is None else told.probabilities)
                continue
            if self.pipeline is None:
                raise DataError("a simple model of arrays of your own needs the pipeline, which this folder has not")
            part = self.pipeline.transform(data)
            rows, notices = part.rows, tuple(self.pipeline.told)
            said = member.predict(part, len(self.classes or ()) or 2)
            found.append(said if self.classes is not None else np.asarray(self.pipeline.decode(said)))
        return found, rows, notices

    def __repr__(self) -> str:
        members = ", ".join(f"{one['name']} {one['weight']:.2f}" for one, _ in self.members)
        return f"<handed over in {self.folder}: {members}>"
