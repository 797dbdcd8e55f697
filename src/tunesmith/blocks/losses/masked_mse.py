"""Squared error over the targets that are there."""

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.member import MaskedLoss
from tunesmith.blocks.losses.mse import Mse


@LOSSES.add("masked_mse")
class MaskedMse(MaskedLoss):
    """Σ e² / count over the values of the target that are no NaN; a missing one has no gradient.

    All present values weigh alike, so a column with more gaps counts for less. A recipe that names it keeps rows with
    some of their targets; rows with none are left out and told.

    At start: mean² + variance of what is there with zero outputs, the variance with the bias at the mean.
    Use: several numbers a row, not all of them measured; without gaps it is mse.

    >>> import torch
    >>> float(MaskedMse()(torch.zeros(1, 3), torch.tensor([[1.0, float("nan"), 3.0]])).value)
    5.0
    """

    name = "masked_mse"

    def __init__(self, *, kind: str = "multi_regression") -> None:
        super().__init__(Mse(kind=kind), kind)
