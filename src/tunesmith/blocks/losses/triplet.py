"""A sample nearer to its like than to another. Schroff et al., FaceNet, arXiv:1503.03832, eq. 2 and 3."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.loss import Reduced, reduced
from tunesmith.blocks.losses.member import Bias, Member, number
from tunesmith.blocks.losses.start import Numbers
from tunesmith.blocks.losses.views import views
from tunesmith.records import RecipeError

DISTANCES = ("squared", "euclidean", "cosine")


@LOSSES.add("triplet")
class Triplet(Member):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), a mean over the triples.

    The model returns (anchor, positive, negative), each (N, D), or one tensor (N, 3, D). `distance`: "squared" is FaceNet's
    |a - b|² (on embeddings of length 1, which the model sees to), "euclidean" |a - b| as `torch.nn.TripletMarginLoss`,
    "cosine" 1 - cos. `margin`: 0.2 in FaceNet, 1.0 in torch. Each triple counts by itself, so accumulation is exact.

    At start: margin with zero outputs, and with every other constant.
    Use: relative likeness, where the triples are chosen with care: easy ones give 0; `Task(loss=Triplet())`.

    >>> import torch
    >>> far = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> round(float(Triplet(margin=0.5)(far, None).value), 4)
    0.5
    """

    name = "triplet"
    kinds = ()
    settings = ("margin", "distance")
    whole = True
    scored = False

    def __init__(self, *, margin: float = 0.2, distance: str = "squared") -> None:
        if distance not in DISTANCES:
            raise RecipeError(f"triplet got distance = {distance!r}, one of {', '.join(DISTANCES)} was expected")
        self.margin = number(margin, self.name, "margin", above=0, usual="0.2")
        self.distance = distance
        self.start = Numbers()

    def __call__(self, outputs: Any, target: Any = None, weight: Tensor | None = None) -> Reduced:
        anchor, like, other = views(outputs, target, 3, self.name)
        values = (self._far(anchor, like) - self._far(anchor, other) + self.margin).clamp(min=0)
        return reduced(values, None, weight, self.name)

    def _far(self, left: Tensor, right: Tensor) -> Tensor:
        if self.distance == "cosine":
            return 1 - functional.cosine_similarity(left, right)
        if self.distance == "euclidean":
            return functional.pairwise_distance(left, right)
        return (left - right).square().sum(1)

    def at_start(
        self, target: Any, *, outputs: int | Tensor | None = None, bias: Bias = "zero", weight: Tensor | None = None
    ) -> float:
        """The margin: equal outputs are equally far."""
        return self.margin

    def no_skill(self, target: Any, *, outputs: int | Tensor | None = None, weight: Tensor | None = None) -> float:
        """The margin."""
        return self.margin
