"""No change. The rows as they are."""

import torch
from torch import Tensor

from tunesmith.training.augment.member import USUAL, augmentation


@augmentation("none", "pictures", "tokens", "numbers")
def none(batch: Tensor, generator: torch.Generator, strength: float = USUAL) -> Tensor:
    """x' = x; nothing is drawn.

    Use: where every change would falsify a row, or a loader changes its rows itself.
    """
    return batch
