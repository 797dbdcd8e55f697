"""What an update begins with beside weights and optimizer: random numbers, and the buffers that a pass moves."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LOOKED = 8  # updates after which what never moved is taken to stay; assumption


@dataclass(slots=True)
class _Buffer:
    """A buffer of a module, and a copy of it."""

    owner: nn.Module
    name: str
    held: Tensor
    version: int
    copy: Tensor
    moved: bool = False


class Beginning:
    """`take` before an update, `back` before it is tried again: batch-norm statistics and dropout are as they were.

    Cheap where little moves: generators are copied only for a model that draws, a buffer only after it has changed.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.device = device
        self._draws = True
        self._drew = False
        self._taken = 0
        self._random: Tensor | None = None
        self._device_random: Tensor | None = None
        self._buffers = [
            _Buffer(module, name, held, held._version, held.detach().clone())
            for module in model.modules()
            for name, held in module._buffers.items()
            if held is not None
        ]

    def take(self) -> None:
        if self._draws:
            self._take_random()
        for one in self._buffers:
            now = one.owner._buffers.get(one.name)
            if now is not None and (now is not one.held or now._version != one.version):
                one.held, one.version, one.copy, one.moved = now, now._version, now.detach().clone(), True
        self._taken += 1
        if self._taken == LOOKED:
            self._draws = self._drew
            if not self._drew:
                self._random = self._device_random = None
            self._buffers = [one for one in self._buffers if one.moved]

    def back(self) -> None:
        """Every number as it was at `take`."""
        if self._random is not None:
            torch.set_rng_state(self._random)
        if self._device_random is not None:
            torch.cuda.set_rng_state(self._device_random, self.device)
        with torch.no_grad():
            for one in self._buffers:
                one.owner._buffers[one.name] = one.held
                one.held.copy_(one.copy)
                one.version = one.held._version

    def _take_random(self) -> None:
        before, device_before = self._random, self._device_random
        self._random = torch.get_rng_state()
        if self.device.type == "cuda":
            self._device_random = torch.cuda.get_rng_state(self.device)
        if not self._drew:
            self._drew = _moved(before, self._random) or _moved(device_before, self._device_random)


def _moved(before: Tensor | None, now: Tensor | None) -> bool:
    return before is not None and now is not None and not torch.equal(before, now)
