"""Normal noise on numbers. Bishop, Training with Noise is Equivalent to Tikhonov Regularization, Neural Computation 7, 1995.

A tenth of a column's deviation is usual (assumption).
"""

import torch
from torch import Tensor

from tunesmith.training.augment.member import USUAL, augmentation, checked

WIDEST = 0.2  # deviations at strength 1; half of it is usual


@augmentation("noise", "numbers", told=("deviation",))
def noise(
    numbers: Tensor, generator: torch.Generator, strength: float = USUAL, *, deviation: Tensor | None = None
) -> Tensor:
    """x' = x + 0.2 strength σ ε, ε normal, σ the deviation of the column.

    `deviation` (…) is that of each number of a row; in a run that of the training rows, 0 where a column has no more than
    two values (yes and no, the mark of a missing value), else 1.

    Shape: numbers (N, …), floating.
    Use: tables of measured numbers with few rows; not where an exact value is the answer.

    >>> noisy = noise(torch.zeros(4000, 2), torch.Generator().manual_seed(0), deviation=torch.tensor([0.0, 5.0]))
    >>> [round(float(one), 1) for one in noisy.std(0)]
    [0.0, 0.5]
    """
    if not checked(strength):
        return numbers
    drawn = torch.randn(numbers.shape, generator=generator, device=generator.device).to(numbers)
    size = WIDEST * strength if deviation is None else WIDEST * strength * deviation.to(numbers)
    return numbers + size * drawn
