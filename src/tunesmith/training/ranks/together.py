"""The gradient of a window whose rows lie on several ranks: that of one process with all of them.

Every rank gives the gradients of its sums, they are added up, and the whole is divided once, by the weight of all: no engine
divides by ranks or by micro-batches beside that. What breaks on one rank breaks on all, in the same update.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tunesmith.records import TrainingFailed
from tunesmith.training.batch import Window
from tunesmith.training.clipping import gradients
from tunesmith.training.ranks.dividing import Divided
from tunesmith.training.ranks.ranks import Ranks, among_ranks
from tunesmith.training.recovery.exhausted import out_of_memory

if TYPE_CHECKING:
    from tunesmith.training.ranks.sharding import Sharding
    from tunesmith.training.update import Update

FINE, MEMORY, OTHER = 0.0, 1.0, 2.0**20  # told by each rank; sums of any number of ranks tell them apart


class Together:
    """Backward over a window on all ranks."""

    def __init__(self, ranks: Ranks, update: "Update", sharding: "Sharding | None" = None) -> None:
        self.ranks = ranks
        self.update = update
        self.sharding = sharding

    def norm(self, own: Tensor) -> Tensor:
        """The norm of the whole gradient, from that of the gradients of this rank."""
        return own if self.sharding is None else self.sharding.norm(own)

    def __call__(self, window: Window) -> tuple[Tensor, Tensor]:
        """Puts (Σ sum) / (Σ weight) of all ranks' gradients into the parameters; gives the loss and the weight."""
        assert isinstance(window, Divided)
        update, additive = self.update, self.update.loss.additive
        expected = 1.0 if additive else float(max(window.rows, 1))  # the same on all ranks: norms may talk across them
        told = torch.zeros(2, dtype=torch.float32 if self.ranks.device.type == "mps" else torch.float64)
        told = told.to(self.ranks.device)
        if self.sharding is None:
            self._add_up(window, expected, told)
        else:
            with among_ranks():  # each layer adds up its gradients as it goes backward
                self._backward(window, expected, told)
            self.ranks.speak([])
        self.ranks.add([told])
        found = gradients(update.stepped())
        if not window.even:
            self._draw_alike()
        if additive:
            return told[0], told[1]
        weight = torch.where(told[1] > 0, told[1], torch.ones_like(told[1]))
        torch._foreach_mul_(found, expected)
        torch._foreach_div_(found, weight)
        return told[0] / weight, weight

    def _add_up(self, window: Window, expected: float, told: Tensor) -> None:
        broken: Exception | None = None
        try:
            self._backward(window, expected, told)
        except Exception as error:
            broken = error
        weights = self.update.stepped()
        self._agree(broken, weights)
        self.ranks.add([weight.grad for weight in weights if weight.grad is not None])

    def _backward(self, window: Window, expected: float, told: Tensor) -> None:
        update = self.update
        assert update.cutting is not None
        for batch in update.cutting(window):
            with update.cutting.drawing(batch):
                part, weight = update.reduced(batch)
                torch.autograd.backward(update.scaled(part / expected))
            told[0] += part.detach()
            told[1] += weight

    def _agree(self, broken: Exception | None, weights: list[nn.Parameter]) -> None:
        """Whether all ranks came through, and which parameters have a gradient on any of them: the others get zeros."""
        said = FINE if broken is None else MEMORY if out_of_memory(broken) else OTHER
        heard, *has = self.ranks.speak([said, *(float(weight.grad is not None) for weight in weights)])
        if broken is not None:
            raise broken
        if heard >= OTHER:
            raise TrainingFailed("the update broke on another rank, which says why; all ranks stop")
        if heard >= MEMORY:
            raise torch.OutOfMemoryError("out of memory on another rank")
        for weight, ranks in zip(weights, has, strict=True):
            if ranks and weight.grad is None:
                weight.grad = torch.zeros_like(weight)

    def _draw_alike(self) -> None:
        """A rank without rows drew nothing: all go on with the generators of the first."""
        device = self.ranks.device
        states = [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]
        alike = self.ranks.firsts(states)
        torch.set_rng_state(alike[0])
        if len(alike) > 1:
            torch.cuda.set_rng_state(alike[1], device)
