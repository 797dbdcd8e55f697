"""What a training of a generator or of embeddings is made ready with: a recipe without "auto", rows, nets, a schedule."""

import copy
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks import schedules
from tunesmith.generative.points import tensor
from tunesmith.records import DataError, ModelError, Recipe, RecipeError, Source, revise
from tunesmith.records.derived import updates_of
from tunesmith.training.resolve import device_name


def settled(recipe: Recipe, defaults: Mapping[str, tuple[Any, str]], used: Collection[str], what: str) -> Recipe:
    """The recipe without "auto": `defaults` are what becomes of it, each with its reason, `used` the fields that are listened to.

    Raises `RecipeError` for a field that was set and that such a training has no use for.
    """
    for path, source in recipe.sources().items():
        if source.kind in ("default", "derived") or path in used or path.startswith("run."):
            continue
        if recipe.get(path) != Recipe().get(path):
            raise RecipeError(
                f"{path} = {recipe.get(path)!r} is set, and {what} has no use for it; it listens to {', '.join(used)} and run.*"
            )
    free = {path: chosen for path, chosen in defaults.items() if recipe.get(path) == "auto"}
    free["train.device"] = (device_name(recipe.train.device), "the first accelerator, else the processor")
    values = {path: value for path, (value, _) in free.items() if value != recipe.get(path)}
    return revise(recipe, values, {path: Source("derived", free[path][1]) for path in values}) if values else recipe


def parts(data: Any, held: Any, recipe: Recipe, device: torch.device, least: int) -> tuple[Tensor, Tensor]:
    """Rows to train on and rows to look at: those given, or a share of the data drawn by the seed. Raises `DataError`."""
    rows = tensor(data, "data").float()
    kept = None if held is None else tensor(held, "held").float()
    if not all(bool(torch.isfinite(one).all()) for one in (rows, kept) if one is not None):
        raise DataError("the data have NaN or infinite numbers; leave those rows out")
    if kept is None:
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(recipe.train.seed))
        count = round(recipe.data.val * len(rows))
        rows, kept = rows[order[count:]], rows[order[:count]]
    if len(kept) < least or len(rows) < least:
        raise DataError(
            f"{len(rows)} rows to train on and {len(kept)} held ones; a look needs {least} of each or more: give more data, more of "
            "them to hold (data.val), or held="
        )
    return rows.to(device), kept.to(device)


def schedule_of(recipe: Recipe, steps: int, per_epoch: int, batch: int, because: str) -> schedules.Schedule:
    """The schedule of all rates. Raises `RecipeError` for one that listens to evaluations."""
    warmup = updates_of(recipe.schedule.warmup, steps, per_epoch, batch)
    found = schedules.build(recipe.schedule, steps, warmup, per_epoch=per_epoch, effective_batch=batch)
    if schedules.watches_of(found):
        raise RecipeError(f"schedule.name = {recipe.schedule.name!r} listens to a loss, and {because}; take another")
    return found


def made(net: Any, what: str) -> nn.Module:
    """A copy of a net, or what a factory makes. Raises `ModelError` for anything else."""
    found = copy.deepcopy(net) if isinstance(net, nn.Module) else net()
    if not isinstance(found, nn.Module):
        raise ModelError(f"{what} is a {type(found).__name__}; expected an nn.Module, or a function that returns one")
    return found
