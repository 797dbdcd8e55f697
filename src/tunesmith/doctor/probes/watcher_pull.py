"""Whether the gradient that an update uses still points where backward had it: what a loop adds to it in between.

Clipping and unscaling change a gradient's length, and clipping by value keeps every sign; noise that is added and larger than the
gradient leaves half of the signs. One small parameter is compared, in the updates looked at.

`facts()` holds, under `pull`: `signs` (numbers compared), `kept` (share whose sign is still that of backward), `turned` (cosine of what
the update used with what backward had, over all looks).
"""

import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from tunesmith.doctor.probes.watcher_peep import Peep, due

MOST = 65_536  # numbers of the parameter that is compared; assumption: far below the price of an update
ENOUGH = 64  # numbers that make the smallest parameter worth while; assumption


class Pull:
    """Sees the gradient of one parameter of the first optimizer until `close`."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        chosen = None if together else _chosen(optimizers)  # several processes add their gradients in between
        self._parameter = None if chosen is None else weakref.ref(chosen)
        self._handle: Any = None
        self._calls = 0
        self._gathered: Tensor | None = None  # of the backward passes since the last update
        self._known = True  # the gradient began from nothing
        self._signs = self._kept = 0
        self._sums = [0.0, 0.0, 0.0]  # products of both, squares of either
        self._listen()

    def seen(self) -> None:
        """After an update, while its gradients are still there."""
        self._calls += 1
        parameter, gathered = None if self._parameter is None else self._parameter(), self._gathered
        self._gathered = None
        if gathered is not None and self._known and parameter is not None and parameter.grad is not None:
            self._compare(gathered, parameter.grad)
        self._known = True
        self._listen()

    def passed_over(self, updates: int) -> None:
        """After so many updates that were not looked at, before another one."""
        self._calls += updates

    def close(self) -> None:
        """Takes the hook away."""
        if self._handle is not None:
            self._handle.remove()
        self._handle = self._gathered = None

    def facts(self) -> dict[str, Any]:
        """What was seen so far, under `pull`."""
        along, before, after = self._sums
        if not self._signs or not before or not after:
            return {}
        told = {"signs": self._signs, "kept": self._kept / self._signs, "turned": along / (before * after) ** 0.5}
        return {"pull": told}

    def _listen(self) -> None:
        parameter = None if self._parameter is None else self._parameter()
        if parameter is None or not parameter.requires_grad or not due(self._calls + 1):
            self.close()
        elif self._handle is None:
            self._handle = parameter.register_hook(Peep(self, "_backward"))  # type: ignore[no-untyped-call]

    def _backward(self, gradient: Tensor) -> None:
        parameter = None if self._parameter is None else self._parameter()
        if gradient.layout != torch.strided or parameter is None:
            return
        mine = gradient.detach()
        if parameter.grad is None or not bool(parameter.grad.count_nonzero()):  # cleared: what came before is not used
            self._gathered, self._known = mine.clone(), True
        elif self._gathered is None:
            self._known = False  # what an earlier update left is part of the sum
        else:
            self._gathered = self._gathered + mine

    def _compare(self, before: Tensor, after: Tensor) -> None:
        if before.shape != after.shape or after.layout != torch.strided:
            return
        one, other = before.double().flatten(), after.detach().double().flatten()
        size = float(one.norm()) * float(other.norm())
        if not size or size != size or size == float("inf"):
            return
        one, other = one / one.norm(), other / other.norm()  # each look counts the same
        moved = (one != 0) & (other != 0)
        self._signs += int(moved.sum())
        self._kept += int((one.sign() == other.sign())[moved].sum())
        for place, value in enumerate((one @ other, one @ one, other @ other)):
            self._sums[place] += float(value)


def _chosen(optimizers: Sequence[Optimizer]) -> Tensor | None:
    """The smallest parameter with enough numbers, else the largest of those that are small."""
    held = [each for one in optimizers[:1] for group in one.param_groups for each in group["params"]]
    small = [each for each in held if isinstance(each, Tensor) and each.requires_grad and 0 < each.numel() <= MOST]
    enough = [each for each in small if each.numel() >= ENOUGH]
    return min(enough, key=Tensor.numel) if enough else max(small, key=Tensor.numel, default=None)
