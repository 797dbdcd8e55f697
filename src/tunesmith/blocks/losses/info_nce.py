"""Which of the batch is my other view? van den Oord et al., arXiv:1807.03748, eq. 4; symmetric: CLIP, arXiv:2103.00020."""

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


@LOSSES.add("info_nce")
class InfoNce(Member):
    """-log softmax_j(cos(a_i, b_j) / temperature) at j = i, a mean over the N samples of the batch.

    Two views of each sample: the model returns (a, b), each (N, D), or one tensor (N, 2, D); outputs (N, D) beside a target
    of that shape take the target as b. The other samples' b are the negatives (`nt_xent` adds the other a). `symmetric`
    averages both directions, as CLIP; without it b is chosen for a only. `temperature`: 0.07 is where CLIP starts.

    It compares samples with each other (`couples`): accumulated micro-batches are not the big batch, for they add no
    negatives. Measured: 8 batches of 8 give .28 where 64 give 1.33, with a gradient cosine of .49; use bigger batches.

    At start: ln N with zero outputs, N the rows of the batch; no constant is better.
    Use: embeddings from pairs; `Task(loss=InfoNce())`. A loss is comparable at one N and one temperature only.

    >>> both = torch.eye(4)
    >>> round(float(InfoNce(temperature=1.0)((both, both), None).value), 4)  # log(1 + 3 / e)
    0.7437
    """

    name = "info_nce"
    kinds = ()
    settings = ("temperature", "symmetric")
    whole = couples = True
    scored = False

    def __init__(self, *, temperature: float = 0.1, symmetric: bool = True) -> None:
        self.temperature = number(temperature, self.name, "temperature", above=0, usual="0.1")
        self.symmetric = symmetric
        self.start = Numbers()

    def __call__(self, outputs: Any, target: Any = None, weight: Tensor | None = None) -> Reduced:
        left, right = views(outputs, target, 2, self.name)
        logits = similarity(left, right) / self.temperature
        own = torch.arange(len(logits), device=logits.device)
        values = functional.cross_entropy(logits, own, reduction="none")
        if self.symmetric:
            values = (values + functional.cross_entropy(logits.T, own, reduction="none")) / 2
        return reduced(values, None, weight, self.name)

    def at_start(
        self, target: Any, *, outputs: int | Tensor | None = None, bias: Bias = "zero", weight: Tensor | None = None
    ) -> float:
        """ln N: equal outputs make all pairs alike, whatever the bias."""
        return math.log(len(as_target(target)))

    def no_skill(self, target: Any, *, outputs: int | Tensor | None = None, weight: Tensor | None = None) -> float:
        """ln N."""
        return math.log(len(as_target(target)))
