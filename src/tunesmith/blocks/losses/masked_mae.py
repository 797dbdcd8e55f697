"""Absolute error over the targets that are there."""

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.mae import Mae
from tunesmith.blocks.losses.member import MaskedLoss


@LOSSES.add("masked_mae")
class MaskedMae(MaskedLoss):
    """Σ |e| / count over the values of the target that are no NaN; a missing one has no gradient.

    At start: the mean of |target| over what is there with zero outputs; the best constant is the median of each column.
    Use: several numbers a row, not all of them measured, with outliers; without gaps it is mae.

    >>> import torch
    >>> float(MaskedMae()(torch.zeros(1, 3), torch.tensor([[1.0, float("nan"), 3.0]])).value)
    2.0
    """

    name = "masked_mae"

    def __init__(self, *, kind: str = "multi_regression") -> None:
        super().__init__(Mae(kind=kind), kind)
