"""The loss of Huber over the targets that are there."""

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.huber import Huber
from tunesmith.blocks.losses.member import MaskedLoss


@LOSSES.add("masked_huber")
class MaskedHuber(MaskedLoss):
    """Huber's loss over the values of the target that are no NaN; a missing one has no gradient.

    At start: the mean of Huber's loss of what is there with zero outputs.
    Use: several numbers a row, not all of them measured, with some outliers; without gaps it is huber.

    >>> import torch
    >>> float(MaskedHuber(delta=1.0)(torch.zeros(1, 2), torch.tensor([[float("nan"), 3.0]])).value)
    2.5
    """

    name = "masked_huber"
    settings = ("delta",)

    def __init__(self, *, kind: str = "multi_regression", delta: float = 1.0) -> None:
        super().__init__(Huber(kind=kind, delta=delta), kind)
