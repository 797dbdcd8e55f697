"""Inputs of a live loop: how many rows, and what the numbers are like."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from tunesmith.doctor.probes.watcher_activations import plain, some_rows
from tunesmith.doctor.probes.watcher_ledger import Ledger, Point

COLUMNS = 4096  # of flat inputs whose deviations are compared
ELEMENTS = 2**16


def tensors_in(tree: Any) -> list[Tensor]:
    """All tensors of nested arguments, in order."""
    if isinstance(tree, Tensor):
        return [tree]
    members = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list | tuple) else ()
    return [one for member in members for one in tensors_in(member)]


def rows_of(given: Any) -> int:
    """Rows of a batch: the length of its first tensor."""
    found = next((one for one in tensors_in(given) if one.dim()), None)
    return 0 if found is None else len(found)


def describe(given: Any) -> dict[str, Any]:
    """Shapes and kinds of what the model is called with."""
    held = tensors_in(given)[:8]
    return {"input_shapes": [list(one.shape) for one in held], "input_kinds": [str(one.dtype)[6:] for one in held]}


def look(given: Any, step: int, ledger: Ledger) -> None:
    """Of the first floating tensor the model is called with."""
    held = next((one for one in tensors_in(given) if one.is_floating_point() and plain(one)), None)
    if held is None or held.numel() < 2:
        return
    with torch.no_grad(), torch.autocast(held.device.type, enabled=False):
        rows = some_rows(held.detach(), ELEMENTS).float()
        deviation, mean = torch.std_mean(rows)
        parts = [mean, deviation, rows.abs().amax()]
        if rows.dim() == 2 and 2 <= rows.shape[1] <= COLUMNS and len(rows) > 2:
            columns = rows.std(0)
            moving = columns > 0
            least = torch.where(moving, columns, torch.full_like(columns, torch.inf)).min()
            parts += [columns.max(), least]
        ledger.later(step, torch.stack(parts), _told)


def _told(numbers: list[float]) -> Iterable[Point]:
    yield from (
        (name, "", value) for name, value in zip(("input_mean", "input_std", "input_max"), numbers, strict=False)
    )
    if len(numbers) > 3 and 0 < numbers[4] < float("inf"):
        yield "input_column_ratio", "", numbers[3] / numbers[4]
