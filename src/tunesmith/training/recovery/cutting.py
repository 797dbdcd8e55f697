"""A batch cut into parts of fewer rows, which draw the random numbers that the whole would have drawn."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from tunesmith.training.batch import Batch, Window
from tunesmith.training.recovery.same_draws import SameDraws

TRIED = 2  # cut updates after which a model that drew nothing is taken for one that never draws; assumption


class Piece(Batch):
    """Rows `start` to `start + size` of a batch of `whole` rows; `opens`: the first of them that comes here."""

    start: int
    whole: int
    opens: bool


class Cutting:
    """Cuts windows so that at most `rows` rows go through the model at once; None leaves them as they are.

    Random numbers: every part begins with the generators as the whole batch would, draws for all rows, and takes its own.
    """

    def __init__(self, *, draws: bool = True) -> None:
        self.rows: int | None = None
        self.draws = draws
        self._begun: list[Tensor] = []  # states of torch's generators
        self._still = 0  # cut batches in a row that drew nothing

    def __call__(self, window: Window) -> Window:
        if self.rows is None:
            return window
        return [part for batch in window for part in cut(batch, self.rows)]

    @contextmanager
    def drawing(self, batch: Batch) -> Iterator[None]:
        """Around forward and backward of one part."""
        if not isinstance(batch, Piece) or not self.draws:
            yield
            return
        if batch.opens:
            self._begun = _generators()
        else:
            torch.set_rng_state(self._begun[0])
            if len(self._begun) > 1:
                torch.cuda.set_rng_state_all(self._begun[1:])
        with SameDraws(batch.start, batch.size, batch.whole):
            yield
        if batch.opens:
            moved = any(not torch.equal(one, was) for one, was in zip(_generators(), self._begun, strict=True))
            self._still = 0 if moved else self._still + 1
            self.draws = self._still < TRIED


def _generators() -> list[Tensor]:
    """The states of torch's generators: of the CPU, and of each device."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]


def cut(batch: Batch, most: int) -> list[Batch]:
    """Parts of nearly equal size, of at most `most` rows each; the batch itself where it is no larger.

    >>> [part.size for part in cut(Batch(torch.zeros(10, 2), torch.zeros(10), None, 10), 4)]
    [3, 3, 4]
    """
    if batch.size <= most:
        return [batch]
    count = -(-batch.size // most)
    bounds = [place * batch.size // count for place in range(count + 1)]
    return [piece(batch, start, stop, opens=not start) for start, stop in pairwise(bounds)]


def piece(batch: Batch, start: int, stop: int, *, opens: bool) -> Piece:
    """The rows of a batch from `start` to `stop`; of a piece, in its place in the whole."""

    def rows(tree: Any) -> Any:
        return _rows(tree, start, stop, batch.size)

    found = Piece(rows(batch.inputs), rows(batch.target), rows(batch.weight), stop - start)
    before, whole = (batch.start, batch.whole) if isinstance(batch, Piece) else (0, batch.size)
    found.start, found.whole, found.opens = before + start, whole, opens
    return found


def _rows(tree: Any, start: int, stop: int, size: int) -> Any:
    if isinstance(tree, Tensor):
        return tree[start:stop] if tree.dim() and len(tree) == size else tree
    if isinstance(tree, Mapping):
        return {name: _rows(value, start, stop, size) for name, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_make"):
        return tree._make(_rows(value, start, stop, size) for value in tree)
    if isinstance(tree, (list, tuple)):
        return type(tree)(_rows(value, start, stop, size) for value in tree)
    return tree


def uncuttable(batch: Batch) -> str:
    """The shape of a tensor that does not have the rows first, and so cannot be cut by rows; "" where all do."""
    for held in _tensors((batch.inputs, batch.target, batch.weight)):
        if held.is_nested or held.layout != torch.strided:
            return f"{held.layout} tensor"
        if held.dim() and len(held) != batch.size:
            return f"{tuple(held.shape)}"
    return ""


def _tensors(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        yield from _tensors(list(tree.values()))
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from _tensors(value)
