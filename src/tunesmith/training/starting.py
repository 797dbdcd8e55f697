"""Where a fresh model starts, beyond its initialiser: unit variance by the first rows, branches at zero, the last bias
from the targets. The built model is changed in place, before its optimizer is made."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.blocks import layers
from tunesmith.blocks.losses import Loss
from tunesmith.data.spec import Part, Prepared
from tunesmith.records import DataError, ModelError, Recipe
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import from_loader
from tunesmith.training.dryrun import Trial
from tunesmith.training.feeds import Rows
from tunesmith.training.generators import generator_states, set_generator_states

ROWS = 256  # assumption: enough for a variance within a tenth, the tolerance of LSUV; a larger training batch is taken whole
EVENED = {"balanced": 1.0, "oversample": 1.0, "sqrt": 0.5}  # samplers: the power of a class's rows that is taken away

Array = np.ndarray[Any, Any]


def started(
    model: nn.Module,
    recipe: Recipe,
    prepared: Prepared,
    train: Any,
    trial: Trial,
    loss: Loss,
    class_weights: Tensor | None,
    built_in: bool,
) -> list[str]:
    """Carries out `model.init = "lsuv"`, `model.zero_residual` and `model.output_bias`, in this order; gives what to tell.

    Raises `ModelError` where the model has no such layers, with the field's name.
    """
    chosen, told = recipe.model, []
    if chosen.init == "lsuv" or chosen.zero_residual or chosen.output_bias == "data":
        batch = (first_rows(train, trial, recipe),)
    if chosen.init == "lsuv":
        found = _tried("model.init = 'lsuv'", lambda: layers.lsuv(model, batch))
        told.append(f"lsuv: the outputs of {len(found)} layers start with variance 1 on the first rows")
    if chosen.zero_residual:
        zeroed = _tried("model.zero_residual", lambda: layers.zero_residual(model, batch))
        told.append(
            f"{len(zeroed)} residual branches start at zero: {', '.join(zeroed[:3])}{' …' if zeroed[3:] else ''}"
        )
    if chosen.output_bias == "data":
        layer = "head" if built_in else None
        targets, weight, shift = seen(prepared, recipe, class_weights)
        constant = usual(loss, prepared.kind, targets, weight)
        wanted, kind = (targets, prepared.kind) if constant is None else (constant, None)
        name = _tried(
            "model.output_bias = 'data'",
            lambda: layers.set_output_bias(
                model, wanted, kind=kind, layer=layer, batch=batch, weights="zero", weight=weight, shift=shift
            ),
        )
        told.append(f"the bias of {name} starts at the best constant for the training targets, its weights at 0")
    return told


def first_rows(train: Any, trial: Trial, recipe: Recipe) -> Any:
    """Inputs of rows spread evenly over the training part; of a loader, its first batch."""
    if not isinstance(train, Rows):
        return trial.batch.inputs
    count = min(len(train), max(int(recipe.train.batch_size), ROWS))
    index = torch.linspace(0, len(train) - 1, count, dtype=torch.float64).round().long()
    return train.take(index.to(train.device)).inputs


def _tried(field: str, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except (ModelError, DataError) as error:
        raise type(error)(f"{field}: {error}") from error


def usual(loss: Loss, kind: str, targets: Array, weight: Array | None) -> Tensor | None:
    """The constant that a loss over numbers starts from, where it says so: the mean, the log of it for rates, over what is
    not missing; None for classes and for losses of the user's own."""
    start = getattr(loss, "start", None)
    if start is None or kind not in ("regression", "multi_regression"):
        return None
    each = None if weight is None else torch.as_tensor(np.asarray(weight), dtype=torch.float64)
    cases, weights = start.cases(torch.as_tensor(targets), each)
    constant: Tensor = start.usual(cases, weights, None)
    return constant.reshape(-1)


def seen(prepared: Prepared, recipe: Recipe, class_weights: Tensor | None) -> tuple[Array, Array | None, Array | None]:
    """Training targets; how much each row counts in the loss; and what the weights of labels add to their log odds.

    Weights of classes and samplers that even them out move the constant that is best for the loss, and are followed.
    """
    part = prepared.train
    if isinstance(part, Part):
        targets, weight = np.asarray(part.target), part.weight
    else:
        targets, weight = loader_targets(part), None
    if prepared.kind == "multilabel":
        return targets, weight, None if class_weights is None else np.log(class_weights.double().cpu().numpy())
    if prepared.kind not in ("binary", "multiclass") or targets.dtype.kind not in "iub":
        return targets, weight, None
    labels = targets.reshape(-1).astype(np.int64)
    each = np.ones(len(labels)) if weight is None else np.asarray(weight, dtype=np.float64).copy()
    if class_weights is not None:
        each *= class_weights.double().cpu().numpy()[labels]
    if isinstance(part, Part):
        each /= np.bincount(labels)[labels] ** EVENED.get(recipe.data.sampler, 0.0)
    return targets, each, None


def loader_targets(loader: Any) -> Array:
    """The targets of one pass over a loader, whose generators, and the global ones, are left as they were.

    Raises `DataError` for a loader without an end.
    """
    try:
        len(loader)
    except TypeError as error:
        raise DataError(
            "the training data have no known length, so that their targets cannot be counted; set the bias in your model "
            "with tunesmith.blocks.layers.set_output_bias"
        ) from error
    random, own = random_state(), generator_states(loader)
    try:
        found = [_rows_of(from_loader(item).target) for item in loader]
    finally:
        set_generator_states(loader, own)
        set_random_state(random)
    return np.asarray(torch.cat(found).numpy())


def _rows_of(target: Tensor) -> Tensor:
    return target.reshape(-1).cpu() if target.dim() < 1 else target.cpu()
