"""Random numbers of a part of a batch as they would be in the whole batch.

An operation that draws one number a value is carried out for all rows of the whole batch, one operation at a time, and the part
takes its rows. So dropout masks and noise do not depend on how a batch was cut. Numbers drawn inside a fused kernel
(attention with dropout on a GPU, cuDNN's recurrent layers) cannot be reached: they are drawn for the part alone.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
FILLS = {
    aten.bernoulli_.float,
    aten.normal_.default,
    aten.uniform_.default,
    aten.exponential_.default,
    aten.log_normal_.default,
    aten.cauchy_.default,
    aten.geometric_.default,
}
LIKE = {aten.rand_like.default, aten.randn_like.default}
SIZED = {aten.rand.default, aten.randn.default}


class SameDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it lasts, what is drawn for `size` rows is drawn for `whole` rows, of which it takes those from `start` on."""

    def __init__(self, start: int, size: int, whole: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.start, self.size, self.whole = start, size, whole

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if named.get("generator") is None:
            if func in FILLS:
                return self._filled(func, args, named)
            if func in LIKE:
                return self._like(func, args, named)
            if func in SIZED:
                return self._sized(func, args, named)
            if func is aten.native_dropout.default and args[2] is not False and 0 < args[1] < 1:
                return self._dropped(*args)
        return func(*args, **named)

    def _filled(self, func: Any, args: Any, named: Any) -> Tensor:
        held: Tensor = args[0]
        axis = self._axis(held.shape)
        if axis is None:
            return func(*args, **named)  # type: ignore[no-any-return]
        drawn = func(self._wide(held, axis), *args[1:], **named)
        return held.copy_(self._own(drawn, axis, held.shape[axis]))

    def _like(self, func: Any, args: Any, named: Any) -> Tensor:
        axis = self._axis(args[0].shape)
        if axis is None:
            return func(*args, **named)  # type: ignore[no-any-return]
        return self._own(func(self._wide(args[0], axis), **named), axis, args[0].shape[axis]).clone()

    def _sized(self, func: Any, args: Any, named: Any) -> Tensor:
        shape = list(args[0])
        axis = self._axis(shape)
        if axis is None:
            return func(*args, **named)  # type: ignore[no-any-return]
        size = shape[axis]
        shape[axis] = size // self.size * self.whole
        return self._own(func(shape, *args[1:], **named), axis, size).clone()

    def _dropped(self, values: Tensor, share: float, train: Any) -> tuple[Tensor, Tensor]:
        axis = self._axis(values.shape)
        if axis is None:
            return aten.native_dropout(values, share, train)  # type: ignore[no-any-return]
        _, kept = aten.native_dropout(torch.zeros_like(self._wide(values, axis)), share, train)
        mask = self._own(kept, axis, values.shape[axis]).contiguous()
        return values * mask * (1 / (1 - share)), mask

    def _axis(self, shape: Any) -> int | None:
        """The dimension that holds the rows: one of exactly their number, else the first of several values a row."""
        for place, length in enumerate(shape):
            if length == self.size:
                return place
        return 0 if len(shape) and shape[0] and shape[0] % self.size == 0 else None

    def _wide(self, held: Tensor, axis: int) -> Tensor:
        """Room for all rows, its dimensions in memory in the order of those of `held`."""
        shape = list(held.shape)
        shape[axis] = shape[axis] // self.size * self.whole
        strides = held.stride()
        order = sorted(range(held.dim()), key=lambda place: (-strides[place], held.shape[place] == 1, place))
        wide = held.new_empty([shape[place] for place in order])
        return wide.permute([order.index(place) for place in range(held.dim())])

    def _own(self, wide: Tensor, axis: int, length: int) -> Tensor:
        return wide.narrow(axis, self.start * (length // self.size), length)
