"""Dropout, each trial with its own rate and generator: its masks are those that torch draws for that net alone on a CPU.

torch draws, layer after layer, `empty_like(x).bernoulli_(1 - p)` from the global generator; on a GPU its kernel draws otherwise,
so that there the masks are as random but not the same.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tunesmith.training.batched.layers.layer import Layer, Stack, adds


class Dropout(Layer):
    """y = x m / (1 - p) with m 0 or 1, m = 1 of probability 1 - p. Shape: any -> the same.

    `whole` drops channels: one m for all positions of (K, N, C, *positions).
    """

    def __init__(self, stack: Stack, rates: Sequence[float], *, whole: bool) -> None:
        super().__init__(stack)
        self.rates = list(rates)
        self.whole = whole
        self.mask: Tensor | None = None

    def keep(self, kept: Sequence[int]) -> None:
        self.rates = [self.rates[k] for k in kept]

    def forward(self, x: Tensor, training: bool) -> Tensor:
        if not training or not any(self.rates):
            self.mask = None
            return x
        shape = (*x.shape[:3], *(1,) * (x.dim() - 3)) if self.whole else x.shape
        mask = torch.ones(shape, dtype=x.dtype, device=x.device)
        for part, rate, generator in zip(mask, self.rates, self.stack.generators, strict=True):
            if rate == 1:
                part.zero_()  # torch draws nothing there
            elif rate > 0:
                part.bernoulli_(1 - rate, generator=generator)
        self.mask = mask.div_(self._kept(mask))
        return x * self.mask

    def _kept(self, mask: Tensor) -> Tensor:
        kept = torch.tensor(
            [1 - rate if rate < 1 else 1.0 for rate in self.rates], dtype=mask.dtype, device=mask.device
        )
        return kept.view(-1, *(1,) * (mask.dim() - 1))

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        return dy * self.mask if wanted and self.mask is not None else dy


@adds(nn.Dropout)
def dropout(layers: Sequence[nn.Dropout], place: str, stack: Stack) -> Layer:
    return Dropout(stack, [layer.p for layer in layers], whole=False)


@adds(nn.Dropout2d)
def dropout2d(layers: Sequence[nn.Dropout2d], place: str, stack: Stack) -> Layer:
    return Dropout(stack, [layer.p for layer in layers], whole=True)
