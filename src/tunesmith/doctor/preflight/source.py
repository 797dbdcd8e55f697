"""The rows of one part of a program, however they came: by number, and in the order in which the program sees them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.data.live import is_indexed, is_loader, tensors_of
from tunesmith.data.sources import as_array
from tunesmith.records import DataError
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import Batch, from_loader, moved
from tunesmith.training.evaluate import IGNORED, joined
from tunesmith.training.feeds import Rows
from tunesmith.training.generators import generator_states, set_generator_states

READ_AHEAD = 64  # batches of a loader without a length that are kept as its rows; assumption


class Source:
    """Rows of (X, y) arrays or tensors, of a `Dataset`, of a `DataLoader`, or of a prepared part.

    `take` gives rows by number, 0 … len - 1. `fed` gives batches as the program sees them. Random generators, global and the
    loader's own, are left as they were.
    """

    def __init__(self, data: Any, *, device: torch.device, batch_size: int, shuffle: bool, seed: int = 0) -> None:
        self.data = data
        self.device = device
        self.batch_size = batch_size
        self.shuffle = shuffle  # whether arrays are shuffled each epoch; a loader has its own order
        self.seed = seed
        self.loader = data if is_loader(data) else None
        self._rows: Rows | None = data if isinstance(data, Rows) else None
        self._tensors: tuple[Any, Tensor] | None = None
        self._dataset: Any = None
        self._collate: Any = None
        if self._rows is None:
            self._open(data)

    def _open(self, data: Any) -> None:
        tensors = tensors_of(data)
        plain_collate = self.loader is None or self.loader.collate_fn is torch.utils.data.default_collate
        if tensors is not None and plain_collate:
            self._tensors = (_tensors(tensors[0]), torch.as_tensor(tensors[1]))
        elif isinstance(data, tuple | list) and len(data) == 2:
            self._tensors = (_tensors(data[0]), _tensors(data[1]))
        elif self.loader is not None and is_indexed(self.loader.dataset):
            self._dataset, self._collate = self.loader.dataset, self.loader.collate_fn
        elif is_indexed(data):
            self._dataset, self._collate = data, torch.utils.data.default_collate
        elif hasattr(data, "__iter__"):
            batches = [from_loader(item) for item in islice(self._reading(data), READ_AHEAD)]
            if not batches:
                raise DataError("the data loader gave no batch; it needs at least one")
            self._tensors = (
                _joined([batch.inputs for batch in batches]),
                torch.cat([batch.target for batch in batches]),
            )
        else:
            raise DataError(
                f"the data are a {type(data).__name__}; expected (X, y) arrays or tensors, a Dataset or a DataLoader"
            )

    def __len__(self) -> int:
        if self._rows is not None:
            return len(self._rows)
        return len(self._tensors[1]) if self._tensors is not None else len(self._dataset)

    @property
    def batches(self) -> int:
        """Batches of an epoch as the program feeds them."""
        if self.loader is not None:
            try:
                return len(self.loader)
            except TypeError:
                pass
        return max(1, -(-len(self) // max(1, self.batch_size)))

    def take(self, places: Sequence[int] | Tensor) -> Batch:
        """Rows by number, on the device."""
        index = torch.as_tensor(places, dtype=torch.long)
        if self._rows is not None:
            return moved(self._rows.take(index.to(self._rows.device)), self.device)  # type: ignore[no-any-return]
        if self._tensors is not None:
            inputs, target = self._tensors
            batch = Batch(_picked(inputs, index), target[index], None, len(index))
            return moved(batch, self.device)  # type: ignore[no-any-return]
        random, own = random_state(), generator_states(self.loader)
        try:
            batch = from_loader(self._collate([self._dataset[int(place)] for place in index]))
        finally:
            set_random_state(random)
            set_generator_states(self.loader, own)
        return moved(batch, self.device)  # type: ignore[no-any-return]

    def order(self, epoch: int = 0) -> Tensor | None:
        """The rows in the order of an epoch, where the program has none of its own (arrays)."""
        if self.loader is not None:
            return None
        if not self.shuffle:
            return torch.arange(len(self))
        return torch.randperm(len(self), generator=torch.Generator().manual_seed(self.seed + epoch))

    def fed(self, epoch: int = 0) -> Iterator[Batch]:
        """The batches of an epoch as the program feeds them. A loader's order follows the global generators as they stand."""
        order = self.order(epoch)
        if order is None:
            for item in self._reading(self.loader):
                yield moved(from_loader(item), self.device)
            return
        for start in range(0, len(order), max(1, self.batch_size)):
            yield self.take(order[start : start + max(1, self.batch_size)])

    def _reading(self, loader: Any) -> Iterator[Any]:
        random, own = random_state(), generator_states(loader)
        try:
            yield from loader
        finally:
            set_random_state(random)
            set_generator_states(loader, own)

    def arrays(self, most: int = 20_000) -> tuple[Any, np.ndarray[Any, Any]]:
        """Inputs and targets of the first rows as NumPy arrays: X (N, ...) or a mapping of them."""
        count = min(len(self), most)
        parts = [self.take(range(start, min(start + 512, count))) for start in range(0, count, 512)]
        inputs = _joined([part.inputs for part in parts])
        target = joined([part.target for part in parts], IGNORED)
        named = {key: as_array(value) for key, value in inputs.items()} if isinstance(inputs, Mapping) else None
        if isinstance(inputs, tuple | list):
            named = {f"x{place}": as_array(value) for place, value in enumerate(inputs)}
        return named if named is not None else as_array(inputs), as_array(target, "y")


def _tensors(values: Any) -> Any:
    """Tensors as they are; NumPy's float64 as float32, which is what a network takes."""
    if isinstance(values, Tensor):
        return values
    if isinstance(values, Mapping):
        return {key: _tensors(value) for key, value in values.items()}
    if isinstance(values, tuple) and values and all(hasattr(value, "shape") for value in values):
        return tuple(_tensors(value) for value in values)
    array = as_array(values)
    if array.dtype == object:
        raise DataError("the data hold words; a program's own data are numbers")
    return torch.from_numpy(np.ascontiguousarray(array, np.float32 if array.dtype == np.float64 else array.dtype))


def _picked(tree: Any, index: Tensor) -> Any:
    if isinstance(tree, Mapping):
        return {key: _picked(value, index) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(_picked(value, index) for value in tree)
    return tree[index.to(tree.device)]


def _joined(trees: Sequence[Any]) -> Any:
    first = trees[0]
    if isinstance(first, Mapping):
        return {key: _joined([tree[key] for tree in trees]) for key in first}
    if isinstance(first, tuple | list):
        return tuple(_joined([tree[place] for tree in trees]) for place in range(len(first)))
    if any(tree.shape[1:] != first.shape[1:] for tree in trees):  # batches padded to lengths of their own
        length = max(tree.shape[1] for tree in trees)
        trees = [_padded(tree, length) for tree in trees]
    return torch.cat(list(trees))


def _padded(values: Tensor, length: int) -> Tensor:
    room = values.new_zeros(len(values), length - values.shape[1], *values.shape[2:])
    return torch.cat([values, room], dim=1)
