"""Which of both views of the batch is my other view? Chen et al., SimCLR, arXiv:2002.05709, eq. 1."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.loss import Reduced, reduced
from tunesmith.blocks.losses.member import Bias, Member, number
from tunesmith.blocks.losses.start import Numbers, as_target
from tunesmith.blocks.losses.views import similarity, views


@LOSSES.add("nt_xent")
class NtXent(Member):
    """The 2 N views of a batch; each is to find its partner among the 2 N - 1 others by cosine / temperature.

    Outputs as `info_nce` takes them. The negatives are the views of the other samples on both sides, which is what sets it
    apart from `info_nce`. `temperature`: 0.5 for small batches and 0.1 in the paper's table 5.

    It compares samples with each other (`couples`): accumulated micro-batches are not the big batch.

    At start: ln(2 N - 1) with zero outputs, N the rows of the batch; no constant is better.
    Use: embeddings from two augmentations of the same picture; `Task(loss=NtXent())`.

    >>> both = torch.eye(2)
    >>> round(float(NtXent(temperature=1.0)((both, both), None).value), 4)  # log(1 + 2 / e)
    0.5514
    """

    name = "nt_xent"
    kinds = ()
    settings = ("temperature",)
    whole = couples = True
    scored = False

    def __init__(self, *, temperature: float = 0.5) -> None:
        self.temperature = number(temperature, self.name, "temperature", above=0, usual="0.5")
        self.start = Numbers()

    def __call__(self, outputs: Any, target: Any = None, weight: Tensor | None = None) -> Reduced:
        both = torch.cat(views(outputs, target, 2, self.name))
        logits = similarity(both, both) / self.temperature
        place = torch.arange(len(both), device=both.device)
        itself = place[:, None] == place
        values = functional.cross_entropy(
            logits.masked_fill(itself, -torch.inf), place.roll(len(both) // 2), reduction="none"
        )
        return reduced(values.reshape(2, -1).mean(0), None, weight, self.name)

    def at_start(
        self, target: Any, *, outputs: int | Tensor | None = None, bias: Bias = "zero", weight: Tensor | None = None
    ) -> float:
        """ln(2 N - 1): equal outputs make all pairs alike, whatever the bias."""
        return math.log(2 * len(as_target(target)) - 1)

    def no_skill(self, target: Any, *, outputs: int | Tensor | None = None, weight: Tensor | None = None) -> float:
        """ln(2 N - 1)."""
        return self.at_start(target)
