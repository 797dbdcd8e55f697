"""Labels and indices held against outputs and tables before a device sees them: there they end in an assertion without a word."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.records import DataError
from tunesmith.training.batch import Batch

IGNORED = -100  # the label that torch's losses leave out unless told otherwise


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the whole numbers of a batch may be. `width` None: the targets are no labels; `tables`: rows by the name of an input."""

    width: int | None
    ignored: int
    tables: Mapping[str, int]

    def check(self, batch: Batch, where: str) -> None:
        """Raises `DataError` with the number, its row and what was expected."""
        if self.width is not None and not batch.target.is_floating_point() and batch.target.dtype != torch.bool:
            labels = batch.target
            outside = ((labels < 0) | (labels >= self.width)) & (labels != self.ignored)
            if bool(outside.any()):
                row = int(outside.reshape(len(labels), -1).any(1).nonzero()[0])
                raise DataError(
                    f"{where} met label {int(labels[outside][0])}, which the model has no output for, in row {row} of the batch: "
                    f"labels must lie in 0..{self.width - 1}; widen the last layer or mend the labels"
                )
        for name, value in named_inputs(batch.inputs).items():
            rows = self.tables.get(name)
            if rows is None or not isinstance(value, Tensor) or not value.numel():
                continue
            if int(value.max()) >= rows or int(value.min()) < 0:
                wrong = int(value.max()) if int(value.max()) >= rows else int(value.min())
                row = int((value == wrong).reshape(len(value), -1).any(1).nonzero()[0])
                raise DataError(
                    f"{where} met an index beyond an embedding table: {wrong} in row {row} of the batch ({name}), where the table "
                    f"has {rows} rows; make the table as long as the largest index + 1, or mend the data"
                )


def named_inputs(inputs: Any) -> dict[str, Any]:
    """Inputs by name, or by place."""
    if isinstance(inputs, Mapping):
        return {str(name): value for name, value in inputs.items()}
    if isinstance(inputs, list | tuple):
        return {f"input {place}": value for place, value in enumerate(inputs)}
    return {"the input": inputs}


@contextmanager
def guarded_tables(model: nn.Module, batch: Batch) -> Iterator[dict[str, int]]:
    """Inside, an embedding refuses indices beyond its table in a sentence; gives the rows of the tables that inputs go to as they stand."""
    tables: dict[str, int] = {}
    handles = [
        module.register_forward_pre_hook(_refusing(name, batch, tables))
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding | nn.EmbeddingBag)
    ]
    try:
        yield tables
    finally:
        for handle in handles:
            handle.remove()


def _refusing(name: str, batch: Batch, tables: dict[str, int]) -> Any:
    def refuse(module: Any, args: Any) -> None:
        indices, rows = args[0] if args else None, int(module.num_embeddings)
        if not isinstance(indices, Tensor) or not indices.numel():
            return
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= rows:
            raise DataError(
                f"the first pass through the model met an index beyond an embedding table: {high if high >= rows else low} where "
                f"{name!r} has {rows} rows; make the table as long as the largest index + 1, or mend the data"
            )
        for key, value in named_inputs(batch.inputs).items():
            if isinstance(value, Tensor) and value.shape == indices.shape and bool((value == indices).all()):
                tables[key] = min(rows, tables.get(key, rows))

    return refuse
