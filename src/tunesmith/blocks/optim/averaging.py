"""Exponential moving average of the weights. Polyak & Juditsky (1992); the ramp is that of TensorFlow's
ExponentialMovingAverage."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """a ← d a + (1 - d) w after each update, d = min(decay, (1 + t) / (10 + t)) with t updates averaged before.

    Parameters are averaged, buffers (batch-norm statistics, counters) are those of the latest weights.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = model.weight.data.fill_(0.0)
    >>> average = WeightAverage(model, decay=0.5)
    >>> _ = model.weight.data.fill_(1.0)
    >>> average.update(model)  # d = min(0.5, 1 / 10)
    >>> round(average.weights["weight"].item(), 6)
    0.9
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights: dict[str, Tensor] = {name: value.detach().clone() for name, value in _tensors(model).items()}
        self._lists: tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]] | None = None

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes in the weights as they are after an update."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        if self._lists is None:
            self._lists = self._paired(model)
        averaged, live, kept, buffers = self._lists
        torch._foreach_lerp_(averaged, live, 1 - decay)
        if kept:
            torch._foreach_copy_(kept, buffers)

    def _paired(self, model: nn.Module) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        live = _tensors(model)
        trained = {name for name, parameter in model.named_parameters() if parameter.is_floating_point()}
        smooth = [name for name in self.weights if name in trained]
        rest = [name for name in self.weights if name not in trained]
        return (
            [self.weights[name] for name in smooth],
            [live[name].detach() for name in smooth],
            [self.weights[name] for name in rest],
            [live[name].detach() for name in rest],
        )

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """The model holds the average inside the block, and its own weights again, bit for bit, after it."""
        own = {name: value.detach().clone() for name, value in _tensors(model).items()}
        try:
            _fill(model, self.weights)
            yield
        finally:
            _fill(model, own)

    def state_dict(self) -> dict[str, Any]:
        """The average and how many updates it has seen."""
        return {"weights": dict(self.weights), "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Puts an average back."""
        self.updates = int(state_dict["updates"])
        with torch.no_grad():
            for name, value in state_dict["weights"].items():
                self.weights[name].copy_(value)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}


@torch.no_grad()
def _fill(model: nn.Module, weights: dict[str, Tensor]) -> None:
    for name, value in _tensors(model).items():
        value.copy_(weights[name])
