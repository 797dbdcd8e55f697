"""Fewer rows of a program's data, in the form in which the program holds them: a tool of the checks."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, Subset, TensorDataset

from tunesmith.data.live import is_indexed, is_loader, tensors_of


def cut(data: Any, places: Sequence[int], batches: int, *, keep_order: bool = False) -> Any:
    """The rows at `places` of arrays, a `Dataset` or a `DataLoader`, as such a one; the first batches where rows have no number.

    `keep_order` leaves a loader's own rows in their order.
    """
    if data is None:
        return None
    if is_loader(data) and not isinstance(getattr(data, "dataset", None), IterableDataset):
        return _loader(data, places, keep_order)
    if isinstance(data, TensorDataset):
        return TensorDataset(*(_rows(tensor, places) for tensor in data.tensors))
    if isinstance(data, tuple | list) and len(data) == 2 and not isinstance(data[0], tuple):
        return (
            [_rows(each, places) for each in data]
            if isinstance(data, list)
            else tuple(_rows(each, places) for each in data)
        )
    if is_indexed(data):
        return Some(data, places)
    return First(data, batches)


def _loader(loader: Any, places: Sequence[int], keep_order: bool) -> Any:
    held = tensors_of(loader)
    rows: Dataset[Any] = (
        TensorDataset(*(_rows(tensor, places) for tensor in held))
        if held is not None
        else Subset(loader.dataset, list(places))
    )
    mixed = not isinstance(getattr(loader, "sampler", None), torch.utils.data.SequentialSampler) and not keep_order
    about: dict[str, Any] = {"collate_fn": loader.collate_fn, "drop_last": bool(getattr(loader, "drop_last", False))}
    size = loader.batch_size or getattr(getattr(loader, "batch_sampler", None), "batch_size", None) or 32
    if mixed and len(places):
        about["sampler"] = RandomSampler(rows, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    about["drop_last"] = about["drop_last"] and len(places) >= size
    return DataLoader(rows, batch_size=size, **about)


class Some(Dataset[Any]):
    """Some elements of a data set; whatever else the user's object has, it has."""

    def __init__(self, data: Any, places: Sequence[int]) -> None:
        self.data = data
        self.places = [int(place) for place in places]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> Any:
        if place >= len(self.places):
            raise IndexError(place)
        return self.data[self.places[place]]

    def __getattr__(self, name: str) -> Any:
        if name in ("data", "places"):  # not there yet while it is copied
            raise AttributeError(name)
        return getattr(self.data, name)


class First:
    """The first batches of an iterable."""

    def __init__(self, data: Any, batches: int) -> None:
        self.data = data
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.data), self.batches)

    def __len__(self) -> int:
        return self.batches


def _rows(values: Any, places: Sequence[int]) -> Any:
    if isinstance(values, Tensor):
        return values[torch.as_tensor(np.asarray(places), dtype=torch.long, device=values.device)]
    if isinstance(values, Mapping):
        return {name: _rows(each, places) for name, each in values.items()}
    if isinstance(values, tuple):
        return tuple(_rows(each, places) for each in values)
    if hasattr(values, "iloc"):
        return values.iloc[list(places)]
    if isinstance(values, list):
        return [values[place] for place in places]
    return values[np.asarray(places)]


def spread(rows: int, wanted: int) -> list[int]:
    """About `wanted` places spread evenly over the rows, in their order."""
    if rows <= wanted:
        return list(range(rows))
    return [int(place) for place in np.unique(np.linspace(0, rows - 1, wanted).round())]
