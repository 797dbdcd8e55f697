"""Update clipping: what a step changes is cut, tensor by tensor, and not the gradient it comes from.

Adam divides by what gradients were; one far larger than those is no longer held by its second moment, and its update, usually about the
rate in every entry, is a multiple of it. With U the update before the rate, U / max(1, RMS(U) / d) is taken.
Shazeer & Stern, Adafactor, arXiv:1804.04235, section 6 and algorithm 4 (d = 1); Wortsman et al., arXiv:2304.13013, algorithm 2, uses
the same with the gradient in the place of the first moment.
"""

import torch
from torch import Tensor, nn


class UpdateClipping:
    """Keeps the weights from before a step, and cuts what the step did to them. Costs a copy of the trained weights.

    `limit`: d, the largest root mean square of an update over the rate. Decoupled decay is part of what is cut. A rate of 0 changes nothing.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, limit: float) -> None:
        self.optimizer, self.limit = optimizer, limit
        self._before: list[tuple[float, list[nn.Parameter], list[Tensor]]] = []

    @torch.no_grad()
    def before(self) -> None:
        """Remembers the weights that the step may change."""
        self._before = []
        for group in self.optimizer.param_groups:
            stepped = [weight for weight in group["params"] if weight.grad is not None]
            if stepped:
                self._before.append((float(group["lr"]), stepped, [weight.detach().clone() for weight in stepped]))

    @torch.no_grad()
    def after(self) -> None:
        """Cuts what was done since `before`. Nothing waits for the device."""
        for rate, stepped, old in self._before:
            if not rate:
                continue
            moved = [weight - start for weight, start in zip(stepped, old, strict=True)]
            sizes = torch._foreach_norm(moved)
            for weight, start, change, size in zip(stepped, old, moved, sizes, strict=True):
                excess = (size / (weight.numel() ** 0.5 * rate * self.limit)).clamp(min=1.0)
                cut = start + change / excess
                weight.copy_(torch.where(excess > 1, cut, weight))
        self._before = []
