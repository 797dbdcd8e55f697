"""A trained model with everything it needs to predict: preprocessing, classes, temperature, threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tunesmith.blocks import models
from tunesmith.data import Pipeline
from tunesmith.data.spec import Part, spec_from_json
from tunesmith.records import CheckpointError, DataError, ModelError, Recipe, RunError
from tunesmith.records.sections import LoraTable
from tunesmith.runs import MemoryWriter, Run
from tunesmith.training.adapters import insert
from tunesmith.training.batch import Batch, from_loader, moved, outputs_of
from tunesmith.training.checkpoint import kept_weights
from tunesmith.training.evaluate import judging, probabilities
from tunesmith.training.feeds import Rows
from tunesmith.training.precision import Precision

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What a model says of N rows: labels and probabilities (N, C) for classes, values for a regression."""

    classes: tuple[Any, ...] | None
    labels: list[Any] | None = None  # of several labels: a list of those that apply, row by row
    probabilities: Array | None = None
    values: Array | None = None  # (N,) or (N, K), in the target's own unit
    rows: Array | None = None
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values if self.values is not None else self.labels or ())

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: classes, and one prediction a row."""
        if self.values is not None:
            return {"classes": None, "predictions": [{"value": value} for value in self.values.tolist()]}
        assert self.labels is not None
        assert self.probabilities is not None
        told = [
            {"label": plain(label), "probabilities": row}
            for label, row in zip(self.labels, self.probabilities.tolist(), strict=True)
        ]
        return {"classes": [plain(label) for label in self.classes or ()], "predictions": told}


class Predictor:
    """A model ready to predict.

    >>> predictor = load("runs/adult-1")  # doctest: +SKIP
    >>> predictor.predict("new.csv").labels  # doctest: +SKIP
    """

    def __init__(
        self,
        model: nn.Module,
        described: dict[str, Any],
        pipeline: Pipeline | None,
        recipe: Recipe,
        scores: dict[str, Any] | None,
        device: torch.device,
    ) -> None:
        self.model = model.to(device)
        self.kind: str = described["kind"]
        self.classes: tuple[Any, ...] | None = tuple(described["classes"]) if described["classes"] is not None else None
        self.positive: int | None = described["positive"]
        self.spec = spec_from_json(described["spec"])
        self.loss_name: str = described.get("loss", "")
        self.pipeline = pipeline
        self.device = device
        self.precision = Precision(
            recipe.train.precision if recipe.train.precision in ("fp32", "fp64") else "fp32", device
        )
        self.batch_size = 512 if recipe.eval.batch_size == "auto" else int(recipe.eval.batch_size)
        self.temperature: float = (scores or {}).get("temperature") or 1.0
        self.threshold: float | None = (scores or {}).get("threshold")

    def predict(self, data: Any) -> Predictions:
        """Predictions of a data file, a frame, arrays, tensors, a `Dataset` or a `DataLoader`, preprocessing included.

        Raises `DataError` for columns that are missing; columns too many and levels not seen before are told in `notices`.
        """
        part, notices = self._part(data)
        if self.kind == "language" and isinstance(part, Part):
            return self._surprise(part, tuple(notices))
        outputs = self._outputs(part)
        rows = part.rows if isinstance(part, Part) else None
        return self.decided(outputs, rows, tuple(notices))

    __call__ = predict

    def _surprise(self, part: Part, notices: tuple[str, ...]) -> Predictions:
        """-log p of a token of each text, its mean over the labels; rows in pieces are put together."""
        from tunesmith.training.token_judgement import classes_last, foretold

        found = []
        with judging(self.model):
            for batch in self._batches(part):
                logits = classes_last(outputs_of(self.model(batch.inputs)), batch.target)
                if logits is None:
                    raise ModelError(
                        "the model gives no scores of the next token, (N, L, tokens); its texts cannot be judged"
                    )
                nll, _ = foretold(logits, batch.target)
                found.append(torch.stack([nll.sum(1), (batch.target >= 0).sum(1).double()]).cpu().numpy())
        rows, place = np.unique(part.rows, return_inverse=True)
        sums, counts = (np.bincount(place, values) for values in np.concatenate(found, axis=1))
        return Predictions(classes=None, values=sums / counts, rows=rows, notices=notices)

    def decided(self, outputs: Array, rows: Array | None = None, notices: tuple[str, ...] = ()) -> Predictions:
        """From a model's outputs to labels and calibrated probabilities, or values in the target's unit."""
        if self.kind in ("regression", "multi_regression"):
            values = probabilities(outputs, self.kind, self.loss_name)
            values = values.reshape(len(values)) if self.kind == "regression" else values
            return Predictions(classes=None, values=self._unscaled(values), rows=rows, notices=notices)
        chances = calibrated(outputs, self.kind, self.loss_name, self.temperature)
        return of_chances(chances, self.kind, self.classes, self.positive, self.threshold, rows, notices)

    def _unscaled(self, values: Array) -> Array:
        return values if self.pipeline is None else np.asarray(self.pipeline.decode(values))

    def _part(self, data: Any) -> tuple[Any, Sequence[str]]:
        if isinstance(data, torch.utils.data.DataLoader):
            return data, ()
        if isinstance(data, torch.utils.data.Dataset):
            return torch.utils.data.DataLoader(data, batch_size=self.batch_size), ()
        if self.pipeline is None:
            values = np.asarray(data)
            return Part(
                {"x": values.astype(np.float32) if values.dtype.kind == "f" else values},
                None,
                None,
                np.arange(len(values)),
            ), ()
        part = self.pipeline.transform(data)
        return part, self.pipeline.told

    def _outputs(self, part: Any) -> Array:
        collected = []
        with judging(self.model):
            for batch in self._batches(part):
                collected.append(outputs_of(self.model(batch.inputs)).float().cpu().numpy())
        if not collected:
            raise DataError("there is nothing to predict: the data have no rows")
        return np.concatenate(collected)

    def _batches(self, part: Any) -> Any:
        if isinstance(part, Part):
            rows = Rows(part, self.spec, self.device, self.precision.dtype)
            for start in range(0, len(rows), self.batch_size):
                yield rows.take(torch.arange(start, min(start + self.batch_size, len(rows)), device=self.device))
            return
        for item in part:
            whole = isinstance(item, (list, tuple)) and len(item) > 1
            batch = (
                from_loader(item)
                if whole
                else Batch(item[0] if isinstance(item, (list, tuple)) else item, torch.zeros(1), None, 1)
            )
            yield moved(batch, self.device, self.precision.dtype)


def of_chances(
    chances: Array,
    kind: str,
    classes: tuple[Any, ...] | None,
    positive: int | None,
    threshold: float | None,
    rows: Array | None,
    notices: tuple[str, ...],
) -> Predictions:
    """Labels of probabilities (N, C) by the threshold, where there is one; several a row for several labels."""
    named = classes if classes is not None else tuple(range(chances.shape[1]))
    if kind == "multilabel":
        labels: list[Any] = [[named[place] for place in np.flatnonzero(row >= (threshold or 0.5))] for row in chances]
    else:
        labels = [named[place] for place in chosen_classes(chances, positive, threshold)]
    return Predictions(classes=named, labels=labels, probabilities=chances, rows=rows, notices=notices)


def calibrated(outputs: Array, kind: str, loss_name: str, temperature: float) -> Array:
    """Probabilities of outputs divided by the temperature (Guo et al., arXiv:1706.04599, eq. 9), in logit space."""
    if temperature == 1.0:
        return probabilities(outputs, kind, loss_name)
    return probabilities(as_logits(outputs, kind, loss_name) / temperature, kind, "")


def as_logits(outputs: Array, kind: str, loss_name: str) -> Array:
    """Outputs before softmax or sigmoid, whatever the model gives: what a temperature divides."""
    values = outputs.astype(np.float64)
    if "BCELoss" in loss_name:
        clipped = np.clip(values, 1e-12, 1 - 1e-12)  # a probability of exactly 0 or 1 has no logit
        return np.log(clipped) - np.log1p(-clipped)
    return values


def chosen_classes(chances: Array, positive: int | None, threshold: float | None) -> Array:
    """The most probable class; of two, the positive one from its threshold on."""
    if threshold is None or positive is None or chances.shape[1] != 2:
        return np.asarray(chances.argmax(axis=1))
    return np.where(chances[:, positive] >= threshold, positive, 1 - positive)


def load(
    folder: str | Path | Run, *, model: nn.Module | None = None, device: str = "cpu", step: int | None = None
) -> Predictor:
    """The best model of a run, ready to predict: `load("runs/adult-1").predict("new.csv")`.

    A network of your own is not stored as code: give an instance of it as `model`. `step`: the weights of a snapshot that was set aside
    after so many updates. Raises `RunError` and `CheckpointError`.
    """
    run = folder if isinstance(folder, Run) else Run(folder)
    described = run._json("model.json")
    if described is None:
        raise RunError(f"{run.folder} holds no model.json: the run ended before its first update; start it again")
    recipe = run.recipe
    plain_pipeline = run._json("data/pipeline.json")
    pipeline = None if plain_pipeline is None else Pipeline.from_json(plain_pipeline)
    if model is None:
        if not models.is_built_in(described["name"]):
            raise ModelError(
                f"the run's model is a {described['name']} of your own, which is not stored as code: pass an instance, "
                f"load({str(run.folder)!r}, model={described['name']}(...))"
            )
        model = models.build(
            described["name"], recipe, spec_from_json(described["spec"]), described["outputs"], described["kind"]
        )
    if recipe.model.lora:
        insert(model, LoraTable.model_validate(recipe.model.lora), kind=described["kind"])
    try:
        model.load_state_dict(kept_weights(run.folder, step))
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights of {run.folder} do not fit the model: {' '.join(str(error).split())[:300]}"
        ) from error
    return Predictor(model, described, pipeline, recipe, run.scores, torch.device(device))


def held_in_memory(run: MemoryWriter) -> Predictor:
    """The predictor of a run without a folder."""
    described = run._json("model.json")
    plain_pipeline = run._json("data/pipeline.json")
    pipeline = None if plain_pipeline is None else Pipeline.from_json(plain_pipeline)
    device = next(run.model.parameters()).device
    return Predictor(run.model, described, pipeline, run.recipe, run.scores, device)


def plain(value: Any) -> Any:
    """A label as JSON has it."""
    return value.item() if isinstance(value, np.generic) else value
