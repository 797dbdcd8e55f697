"""Loaders for data that are not held in memory, and what a resume inside an epoch can promise for them."""

import statistics
import time
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from tunesmith.blocks import experience
from tunesmith.records import DataError, Recipe
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.generators import generator_states, set_generator_states


def loader_for(part: Any, recipe: Recipe | None, *, training: bool) -> Any:
    """A user's `DataLoader` as it is; a `Dataset` in one of ours."""
    if not isinstance(part, torch.utils.data.Dataset):
        if hasattr(part, "__iter__"):
            return part
        raise DataError(
            f"the data are a {type(part).__name__}; expected arrays, a data frame, a Dataset, a DataLoader or a data file"
        )
    settings: dict[str, Any] = {"batch_size": 512, "num_workers": 0}
    if recipe is not None:
        workers = recipe.data.workers
        settings = {
            "batch_size": int(recipe.train.batch_size),
            "num_workers": workers,
            "persistent_workers": workers > 0,
        }
        settings["pin_memory"] = pins(recipe)
    if isinstance(part, IterableDataset):
        return DataLoader(part, **settings)
    generator = torch.Generator().manual_seed(recipe.train.seed if recipe is not None else 0)
    shuffle = training and recipe is not None and recipe.data.sampler in ("shuffle", "length")
    return DataLoader(part, shuffle=shuffle, generator=generator, **settings)


def pins(recipe: Recipe) -> bool:
    """Whether batches go through page-locked memory: as asked, or on "auto" by timing both ways on the device."""
    if recipe.data.pin_memory != "auto":
        return bool(recipe.data.pin_memory) and torch.cuda.is_available()
    if not str(recipe.train.device).startswith("cuda"):
        return False
    rounds = int(experience.number("pin_memory", "batches"))
    plain, pinned = transfer_seconds(torch.device(recipe.train.device), int(recipe.train.batch_size), rounds)
    return pinned < plain


def transfer_seconds(device: torch.device, rows: int, rounds: int, width: int = 4096) -> tuple[float, float]:
    """Median seconds to bring a batch of `rows` x `width` float32 to the device: straight, and copied into locked memory first."""
    batch = torch.zeros(rows, width)
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for pinned, taken in enumerate(seconds):
            torch.cuda.synchronize(device)
            began = time.perf_counter()
            (batch.pin_memory() if pinned else batch).to(device, non_blocking=True)
            torch.cuda.synchronize(device)
            taken.append(time.perf_counter() - began)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def resume_promise(loader: Any) -> list[str]:
    """What is said at the start about resuming inside an epoch, after trying whether the first batch repeats."""
    restored = "resume restores weights, optimizer, schedule and random generators exactly"
    if isinstance(getattr(loader, "dataset", None), IterableDataset) or not hasattr(loader, "dataset"):
        return [
            f"{restored}; the rows come from an iterable, which is replayed from its start: their order is the same only if it repeats itself"
        ]
    if getattr(loader, "num_workers", 0):
        return [
            f"{restored}; your loader's workers are replayed from the start of the epoch: exact if the data draw from torch, numpy or random alone"
        ]
    if repeats(loader):
        return []
    return [
        f"{restored}, but not the rows: your data are random in a way that no generator of torch, numpy or Python "
        "reaches (two readings of the first batch differ)"
    ]


def repeats(loader: Any) -> bool:
    """Whether the first batch is the same when every generator within reach is put back."""
    random, own = random_state(), generator_states(loader)
    readings = []
    for _ in range(2):
        set_random_state(random)
        set_generator_states(loader, own)
        readings.append(next(iter(loader), None))
    set_random_state(random)
    set_generator_states(loader, own)
    return same(*readings)


def same(one: Any, other: Any) -> bool:
    """Equal nested batches, bit for bit (NaN equals NaN)."""
    if isinstance(one, torch.Tensor):
        return (
            isinstance(other, torch.Tensor)
            and one.shape == other.shape
            and bool(((one == other) | ((one != one) & (other != other))).all())
        )
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
