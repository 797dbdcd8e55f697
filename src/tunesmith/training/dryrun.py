"""One pass of a few rows before the first update: does the model take the data, and do outputs and labels fit?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from tunesmith.data.spec import Part, Prepared
from tunesmith.records import DataError, DeviceError, ModelError
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import Batch, from_loader, moved, outputs_of
from tunesmith.training.evaluate import judging
from tunesmith.training.explained import explained
from tunesmith.training.feeds import Rows
from tunesmith.training.generators import generator_states, set_generator_states
from tunesmith.training.precision import Precision
from tunesmith.training.recovery.bounds import guarded_tables
from tunesmith.training.recovery.cutting import cut, uncuttable
from tunesmith.training.recovery.exhausted import out_of_memory, release

_ROWS = 16  # enough to halve a batch and to hold the extremes of every index


@dataclass(frozen=True, slots=True)
class Trial:
    """The rows of the pass and the width of what came out: the last dimension, 1 for (N,).

    `tables`: the rows of the embedding table that an input goes to as it stands, by the name of the input.
    """

    batch: Batch
    width: int
    tables: Mapping[str, int] = field(default_factory=dict)


def tried(model: nn.Module, train: Any, prepared: Prepared, precision: Precision) -> Trial:
    """Runs a few rows through the model in evaluation mode; random generators are left as they were.

    Integer inputs bring the rows with their smallest and largest index. Raises `ModelError` or `DataError`.
    """
    random = random_state()
    try:
        batch = moved(_rows(train, prepared), precision.device) if isinstance(train, Rows) else _first(train, precision)
        batch, outputs, tables = _passed(model, batch, precision)
    finally:
        set_random_state(random)
    width = 1 if outputs.dim() < 2 else int(outputs.shape[1] if prepared.kind != "language" else outputs.shape[-1])
    if outputs.dim() and len(outputs) != batch.size:
        raise ModelError(
            f"the model gave {len(outputs)} outputs for {batch.size} rows; it must give one for each row: keep the first dimension"
        )
    _check_width(width, prepared, batch)
    return Trial(batch, width, tables)


def _passed(model: nn.Module, batch: Batch, precision: Precision) -> tuple[Batch, torch.Tensor, dict[str, int]]:
    """The outputs, and the rows they are of: the first ones where memory runs out; and the embedding tables by input."""
    while True:
        try:
            with judging(model), precision.autocast(), guarded_tables(model, batch) as tables:
                return batch, outputs_of(model(batch.inputs)), tables
        except Exception as error:
            if not out_of_memory(error) or batch.size < 2 or uncuttable(batch):
                raise _refused(error, batch) from error
        release(precision.device)
        batch = cut(batch, -(-batch.size // 2))[0]


def _rows(train: Rows, prepared: Prepared) -> Batch:
    wanted = list(range(min(_ROWS, len(train))))
    for name, values in train.inputs.items():
        if not values.is_floating_point() and name != "pictures":
            flat = values.reshape(len(values), -1)
            wanted += [int(flat.max(dim=1).values.argmax()), int(flat.min(dim=1).values.argmin())]
    return train.take(torch.tensor(sorted(set(wanted)), device=train.device))


def _first(loader: Any, precision: Precision) -> Batch:
    own = generator_states(loader)
    try:
        item = next(iter(loader), None)
    except Exception as error:
        raise explained(error, "the first batch of the data loader") from error
    finally:
        set_generator_states(loader, own)
    if item is None:
        raise DataError("the data loader gave no batch; it needs at least one")
    batch: Batch = moved(from_loader(item), precision.device, precision.dtype)
    return batch


def _refused(error: Exception, batch: Batch) -> Exception:
    told = explained(error, "the first pass through the model")
    if isinstance(told, (ModelError, DataError, DeviceError)):
        return told
    text = " ".join(str(error).split())[:300]
    return ModelError(
        f"the model does not take these data: {type(error).__name__}: {text}; it was given {_shape(batch.inputs)}"
    )


def _shape(tree: Any) -> str:
    if isinstance(tree, torch.Tensor):
        return f"a {str(tree.dtype).removeprefix('torch.')} tensor of shape {tuple(tree.shape)}"
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{name}: {_shape(value)}" for name, value in tree.items()) + "}"
    return f"a {type(tree).__name__}"


def _check_width(width: int, prepared: Prepared, batch: Batch) -> None:
    """Labels must have an output each, before any device sees them."""
    if prepared.kind not in ("multiclass", "binary"):
        return
    labels = [
        (name, part.target)
        for name, part in (("training", prepared.train), ("validation", prepared.val), ("test", prepared.test))
        if isinstance(part, Part)
    ]
    if not labels:
        labels = [("first batch's", batch.target.cpu().numpy())]
    for name, target in labels:
        if target is None or not len(target) or not np.issubdtype(np.asarray(target).dtype, np.integer):
            continue
        if (
            np.ndim(target) > 1
        ):  # a label a token: the loss may ignore some of them, and says itself what is out of range
            continue
        low, high = int(np.min(target)), int(np.max(target))
        allowed = 1 if width == 1 and prepared.kind == "binary" else width - 1
        if low < 0 or high > allowed:
            wrong = low if low < 0 else high
            row = int(np.flatnonzero(np.asarray(target) == wrong)[0])
            raise ModelError(
                f"the model gives {width} output{'s' if width != 1 else ''}, but the {name} rows hold label {wrong} (row "
                f"{row}): labels must lie in 0..{allowed}; "
                f"give the model {high + 1} outputs, or mend the labels"
            )
