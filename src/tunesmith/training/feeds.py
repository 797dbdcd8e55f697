"""Where windows of batches come from: rows in memory, or a loader that somebody else wrote.

A feed hands out windows (the micro-batches of one update) and keeps `state.position`, so that a run resumes inside an epoch.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from tunesmith.data.samplers import SAMPLERS
from tunesmith.data.spec import InputSpec, Part, Pictures, Places, Tokens
from tunesmith.records import DataError
from tunesmith.records.state import State, random_state, set_random_state
from tunesmith.training.augment.change import Change
from tunesmith.training.batch import Batch, Window, from_loader, moved
from tunesmith.training.generators import generator_states, set_generator_states
from tunesmith.training.recovery.bounds import Bounds


class Feed(Protocol):
    """Windows of an epoch, in an order that resumes."""

    batch_size: int
    accumulate: int

    @property
    def length(self) -> int:
        """Of an epoch, in the unit of `state.position`: rows, or batches of a loader."""

    @property
    def sized(self) -> bool:
        """Whether that is known."""

    def updates(self) -> int:
        """Optimizer updates in an epoch."""

    def start(self, state: State) -> None:
        """Opens the epoch `state.epoch`, at `state.position` of it."""

    def window(self, state: State) -> Window | None:
        """The next window; None when the epoch is over."""


class Rows:
    """The rows of one part as tensors on a device, ready to be sliced into batches."""

    def __init__(self, part: Part, spec: Mapping[str, InputSpec], device: torch.device, dtype: torch.dtype) -> None:
        self.device = device
        self.dtype = dtype
        self.spec = spec
        self.count = len(part)
        self.inputs = {
            name: _tensor(values, device, None if values.dtype == np.uint8 else dtype)
            for name, values in part.inputs.items()
        }
        self.target = (
            torch.zeros(self.count, device=device) if part.target is None else _tensor(part.target, device, dtype)
        )
        self.weight = None if part.weight is None else _tensor(part.weight, device, dtype)
        self.sizes: np.ndarray[Any, Any] | None = part.beside.get("lengths")  # tokens of each row, a label beside each
        if self.sizes is None:
            self.lengths = {name: _lengths(part.inputs[name]) for name in self.inputs if name == "tokens"}
        else:
            by_token = (name for name in self.inputs if isinstance(spec.get(name), Tokens | Places))
            self.lengths = dict.fromkeys(by_token, self.sizes)
        pictures = spec.get("pictures")
        self._picture_scale = _picture_scale(pictures, device, dtype) if isinstance(pictures, Pictures) else None
        self._single = next(iter(self.inputs)) if len(self.inputs) == 1 else None

    def __len__(self) -> int:
        return self.count

    def take(self, index: Tensor, change: Change | None = None, generator: torch.Generator | None = None) -> Batch:
        """The rows at `index`, for training changed at random as `change` says."""
        inputs: Any = {name: self._input(name, index) for name in self.inputs}
        target = self._cut(self.target, index).index_select(0, index)
        weight = None if self.weight is None else self.weight.index_select(0, index)
        if change is not None and generator is not None:
            inputs, target, weight = change(inputs, target, weight, generator)
        if self._picture_scale is not None:
            factor, offset = self._picture_scale
            inputs["pictures"] = torch.addcmul(offset, inputs["pictures"].to(self.dtype), factor)
        return Batch(inputs if self._single is None else inputs[self._single], target, weight, len(index))

    def _cut(self, target: Tensor, index: Tensor) -> Tensor:
        """Targets as long as the longest row of the batch, where there is one a token."""
        if self.sizes is None:
            return target
        return target[:, : max(1, int(self.sizes[index.cpu().numpy()].max()))]

    def _input(self, name: str, index: Tensor) -> Tensor:
        values = self.inputs[name]
        if name in self.lengths:
            longest = max(1, int(self.lengths[name][index.cpu().numpy()].max()))
            return values[:, :longest].index_select(0, index).long()
        return values.index_select(0, index)


class MemoryFeed:
    """Batches sliced from rows in memory; the order of an epoch is a pure function of the seed and the epoch."""

    sized = True

    def __init__(
        self,
        rows: Rows,
        *,
        sampler: str,
        seed: int,
        batch_size: int,
        accumulate: int,
        per_class: int | None = None,
        change: Change | None = None,
        alone: bool = True,
    ) -> None:
        self.rows = rows
        self.sampler = sampler
        self.seed = seed
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.per_class = per_class
        self.change = change
        self.alone = alone  # a last batch of one row is legal; batch norm needs two
        self._labels = None if sampler in ("shuffle", "sequential") else rows.target.cpu().numpy()
        if sampler == "length":
            self._labels = rows.sizes
        self._generator = torch.Generator()
        self._order = torch.empty(0, dtype=torch.int64)
        self.length = len(self._ordered(0))

    def updates(self) -> int:
        batches = self._batches(self.length)
        return -(-batches // self.accumulate)

    def _batches(self, rows: int) -> int:
        full, rest = divmod(rows, self.batch_size)
        return full + (1 if rest > 1 or (rest == 1 and (self.alone or full == 0)) else 0)

    def _ordered(self, epoch: int) -> np.ndarray[Any, Any]:
        return SAMPLERS[self.sampler](
            labels=self._labels,
            rows=len(self.rows),
            seed=self.seed,
            epoch=epoch,
            batch_size=self.batch_size,
            per_class=self.per_class,
        )

    def start(self, state: State) -> None:
        self._order = torch.from_numpy(self._ordered(state.epoch)).to(self.rows.device)
        self.length = len(self._order)

    def window(self, state: State) -> Window | None:
        if state.position >= self.length:
            return None
        if self.accumulate == 1:
            return (self._next(state),)
        window: list[Batch] = []
        while len(window) < self.accumulate and state.position < self.length:
            window.append(self._next(state))
        return window

    def _next(self, state: State) -> Batch:
        start = state.position
        state.position = self._stop(start)
        return self.slice(state.epoch, start, state.position)

    def _stop(self, start: int) -> int:
        """Where the batch that begins at `start` ends."""
        stop = min(start + self.batch_size, self.length)
        return (
            stop + 1 if self.length - stop == 1 and not self.alone else stop
        )  # the last row joins the batch before it

    def whole(self, device: torch.device) -> Iterator[Batch]:
        """The batches of the first epoch on a device, as they are trained on; the open epoch is left as it is."""
        order = torch.from_numpy(self._ordered(0)).to(self.rows.device)
        start = 0
        while start < len(order):
            stop = min(start + self.batch_size, len(order))
            stop += len(order) - stop == 1 and not self.alone
            generator = None
            if self.change is not None:
                generator = torch.Generator().manual_seed(_mixed(self.seed, 0, start))
            yield moved(self.rows.take(order[start:stop], self.change, generator), device)
            start = stop

    def slice(self, epoch: int, start: int, stop: int) -> Batch:
        """The rows from `start` to `stop` of the opened epoch, changed at random by a generator of their own."""
        generator = None
        if self.change is not None:
            generator = self._generator.manual_seed(_mixed(self.seed, epoch, start))
        return self.rows.take(self._order[start:stop], self.change, generator)


class StreamedFeed(MemoryFeed):
    """The same rows in the same order, fetched ahead by a `DataLoader`'s workers and moved to the device batch by batch.

    For rows that shall not be held on the device, or whose fetching shall overlap with the update.
    """

    def __init__(self, rows: Rows, *, device: torch.device, workers: int, pin_memory: bool, **order: Any) -> None:
        super().__init__(rows, **order)
        self.device = device
        self.workers = workers
        self.pin_memory = pin_memory
        self._ahead: Iterator[Batch] = iter(())
        self._ahead_size = 0

    def start(self, state: State) -> None:
        super().start(state)
        self._fetch_from(state)

    def _fetch_from(self, state: State) -> None:
        """Opens a loader over the slices still to come; the global generators do not move with it."""
        self._ahead_size = self.batch_size
        starts = []
        position = state.position
        while position < self.length:
            starts.append((state.epoch, position, self._stop(position)))
            position = self._stop(position)
        loader = torch.utils.data.DataLoader(
            _Slices(self),
            batch_size=None,
            sampler=starts,
            num_workers=self.workers,
            pin_memory=self.pin_memory,
            generator=torch.Generator().manual_seed(self.seed),
        )
        self._ahead = iter(loader)

    def _next(self, state: State) -> Batch:
        if self.batch_size != self._ahead_size:  # changed on the way
            self._fetch_from(state)
        batch = next(self._ahead)
        state.position = self._stop(state.position)
        return moved(batch, self.device)  # type: ignore[no-any-return]


class _Slices(torch.utils.data.Dataset[Batch]):
    """Batches by epoch, first and last position."""

    def __init__(self, feed: MemoryFeed) -> None:
        self.feed = feed

    def __getitem__(self, place: tuple[int, int, int]) -> Batch:
        return self.feed.slice(*place)


class LoaderFeed:
    """Batches of a `DataLoader`, as it is. Inside an epoch a resume replays the loader from the generators' state at its start.

    Of a loader that does not know its length, `steps` are the updates of the whole run.
    """

    def __init__(
        self, loader: Any, *, device: torch.device, dtype: torch.dtype, accumulate: int, steps: int | None = None
    ) -> None:
        self.loader = loader
        self.device = device
        self.dtype = dtype
        self.batch_size = int(getattr(loader, "batch_size", None) or 0)
        self.accumulate = accumulate
        self._iterator: Iterator[Any] = iter(())
        self.steps = steps
        self.length = batches_in(loader) or 1
        self.sized = batches_in(loader) is not None
        self.bounds: Bounds | None = None  # what labels and indices are held against, before they go to a device
        self.on_host: list[Batch] = []  # the latest window, as the loader gave it

    def updates(self) -> int:
        batches = batches_in(self.loader)
        if batches is None and self.steps is not None:
            return self.steps
        if batches is None:
            raise DataError(
                "the data loader has no length, so the run has no end; set train.steps to the number of updates wanted"
            )
        return -(-batches // self.accumulate)

    def start(self, state: State) -> None:
        if state.position == 0:
            self._tell_epoch(state.epoch)
            state.feed = {"random": random_state(), "own": generator_states(self.loader)}
            self._iterator = iter(self.loader)
            return
        self._replay(state)

    def _tell_epoch(self, epoch: int) -> None:
        """Samplers of several ranks shuffle by the epoch they are told."""
        for name in ("sampler", "batch_sampler"):
            tell = getattr(getattr(self.loader, name, None), "set_epoch", None)
            if tell is not None:
                tell(epoch)

    def _replay(self, state: State) -> None:
        """Opens the epoch as it was opened first and passes over the batches already used."""
        now = random_state()
        self._tell_epoch(state.epoch)
        set_random_state(state.feed["random"])
        set_generator_states(self.loader, state.feed["own"])
        self._iterator = iter(self.loader)
        for _ in range(state.position):
            if next(self._iterator, None) is None:
                raise DataError(
                    f"the data loader ended before batch {state.position}, where the run was left; the data changed since"
                )
        set_random_state(now)

    @property
    def rereadable(self) -> bool:
        """Whether an epoch can be read beside the one that is open."""
        if isinstance(self.loader, torch.utils.data.DataLoader):
            return not isinstance(self.loader.dataset, torch.utils.data.IterableDataset)
        return isinstance(self.loader, Sequence)

    def whole(self, device: torch.device) -> Iterator[Batch]:
        """The batches of an epoch on a device, read beside the open one; every generator within reach is put back."""
        random, own = random_state(), generator_states(self.loader)
        loader: Any = self.loader
        if isinstance(
            loader, torch.utils.data.DataLoader
        ):  # a second reading of one with lasting workers ends the first
            order: dict[str, Any] = {"batch_sampler": loader.batch_sampler}
            if loader.batch_sampler is None:
                order = {"sampler": loader.sampler, "batch_size": None}
            loader = torch.utils.data.DataLoader(loader.dataset, collate_fn=loader.collate_fn, **order)
        try:
            for item in loader:
                yield moved(from_loader(item), device, self.dtype)
        finally:
            set_random_state(random)
            set_generator_states(self.loader, own)

    def window(self, state: State) -> Window | None:
        window: list[Batch] = []
        self.on_host = []
        while len(window) < self.accumulate:
            item = next(self._iterator, None)
            if item is None:
                break
            state.position += 1
            batch = from_loader(item)
            if self.bounds is not None and batch.target.device.type == "cpu" != self.device.type:
                self.bounds.check(batch, f"batch {state.position} of epoch {state.epoch + 1}")
            self.on_host.append(batch)
            window.append(moved(batch, self.device, self.dtype))
        return window or None


def batches_in(loader: Any) -> int | None:
    """The batches of an epoch; None where the loader does not know (a `DataLoader` over an iterable has a `len` that raises)."""
    try:
        return len(loader)
    except TypeError:
        return None


def _tensor(values: Any, device: torch.device, dtype: torch.dtype | None) -> Tensor:
    tensor = (
        torch.from_numpy(np.require(values, requirements=["C", "W"]))
        if isinstance(values, np.ndarray)
        else torch.as_tensor(values)
    )
    return tensor.to(device, dtype if dtype is not None and tensor.is_floating_point() else None)


def _lengths(tokens: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Tokens before the padding at the end, row by row."""
    used = tokens != 0
    return np.where(used.any(axis=1), tokens.shape[1] - used[:, ::-1].argmax(axis=1), 0)


def _picture_scale(spec: Pictures, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(x / 255 - mean) / std as x * factor + offset: shapes (1, C, 1, 1)."""
    std = torch.tensor(spec.std, device=device, dtype=torch.float64).view(1, -1, 1, 1)
    mean = torch.tensor(spec.mean, device=device, dtype=torch.float64).view(1, -1, 1, 1)
    return (1 / (255 * std)).to(dtype), (-mean / std).to(dtype)


def _mixed(seed: int, epoch: int, position: int) -> int:
    """One 63-bit seed from three numbers (SplitMix64's finaliser, Steele et al. 2014, over their chain)."""
    mixed = 0
    for number in (seed, epoch, position):
        mixed = (mixed + number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 31
    return mixed >> 1
