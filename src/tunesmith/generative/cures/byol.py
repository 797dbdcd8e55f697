"""Two views, a predictor, and a slow copy of the net as target. Grill et al., BYOL, arXiv:2006.07733.

Legend: q_1, q_2 what the online net predicts of two views, y_1, y_2 the target net's projections of them; θ online, ξ target weights,
τ the momentum, k of K the updates made.
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from tunesmith.generative.cures import CURES
from tunesmith.generative.pairs import Pair, full_precision, pair
from tunesmith.records import ModelError, RecipeError

START = 0.996  # arXiv:2006.07733, section 3.2


@CURES.add("byol")
def byol(predicted: Pair, targets: Pair) -> Tensor:
    """mean |q̂_1 - ŷ_2|² + mean |q̂_2 - ŷ_1|², a hat for length 1: that is Σ 2 - 2 cos, from 0 to 8.

    Shapes: two matrices (N, D) each; `targets` are of a `MomentumTarget` and get no gradient. 4 where predictions and targets
    are orthogonal.

    Raises `ModelError` for other shapes.
    Use: as `simsiam`, at the cost of a second net; steadier in long trainings.
    Source: Grill et al., arXiv:2006.07733, eq. 2, both ways.

    >>> z = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> byol((z, z), (z, z)).item(), byol((z, z), (z.flip(0), z.flip(0))).item()
    (0.0, 4.0)
    """
    (q1, y2), (q2, y1) = (pair(predicted[i], targets[1 - i], "byol") for i in (0, 1))
    with full_precision(q1):
        found: Tensor = 4 - 2 * (cosine_similarity(q1, y2.detach()).mean() + cosine_similarity(q2, y1.detach()).mean())
    return found


@CURES.add("target_momentum")
def target_momentum(step: int, steps: int, start: float = START) -> float:
    """τ_k = 1 - (1 - τ) (cos(π k / K) + 1) / 2: from `start` to 1, where the target stands still; 1 after the last update.

    Raises `RecipeError` for a start outside [0, 1], or no updates.
    Use: the momentum of `momentum_target` at each update of a training of known length.
    Source: Grill et al., arXiv:2006.07733, section 3.2.

    >>> [round(target_momentum(step, 100), 4) for step in (0, 50, 100)]
    [0.996, 0.998, 1.0]
    """
    if not 0 <= start <= 1 or steps < 1:
        raise RecipeError(
            f"start = {start!r}, steps = {steps!r}: a momentum from 0 to 1 and 1 update or more were expected; the paper begins at {START}"
        )
    return 1 - (1 - start) * (math.cos(math.pi * min(step / steps, 1.0)) + 1) / 2


@CURES.add("momentum_target")
class MomentumTarget(nn.Module):
    """ξ ← τ ξ + (1 - τ) θ: a copy of a net that follows it slowly and is never trained; called, it is that copy.

    Call `update(net, momentum)` after each step of the optimizer. Parameters are averaged; statistics of batch norm are the copy's
    own, of the views that it sees in training mode. Nothing comes through it backwards.

    Raises `RecipeError` for a momentum outside [0, 1], `ModelError` for another net than it is a copy of.
    Use: the targets of `byol`; any loss whose second view needs no gradient.
    Source: Grill et al., arXiv:2006.07733, eq. 1; He et al., MoCo, arXiv:1911.05722.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> _ = net.weight.data.fill_(0.0)
    >>> target = MomentumTarget(net)
    >>> _ = net.weight.data.fill_(1.0)
    >>> target.update(net, 0.75)
    >>> target(torch.ones(1, 1)).item()
    0.25
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).requires_grad_(False)

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.net(inputs)
        return found

    @torch.no_grad()
    def update(self, net: nn.Module, momentum: float) -> None:
        """One step of the copy towards the net."""
        if not 0 <= momentum <= 1:
            raise RecipeError(
                f"momentum = {momentum!r}: a number from 0 to 1 was expected; the paper begins at {START}"
            )
        own, live = dict(self.net.named_parameters()), dict(net.named_parameters())
        if {name: one.shape for name, one in own.items()} != {name: one.shape for name, one in live.items()}:
            raise ModelError(
                "the target is a copy of another net than the one it was to follow; give the net it was made of"
            )
        for name, one in own.items():
            one.lerp_(live[name], 1 - momentum)
