"""The logarithm of the hyperbolic cosine of the error. Green, Applied Statistics 39 (1990) 473 (as a potential)."""

import math

from torch import Tensor

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.member import NumberLoss


@LOSSES.add("log_cosh")
class LogCosh(NumberLoss):
    """log cosh e: e²/2 near zero, |e| - log 2 far from it, with the gradient tanh e.

    cosh itself overflows from |e| = 89 on in float32; |e| + log(1 + exp(-2 |e|)) - log 2 does not, and below 1 the form
    log(1 + 2 sinh²(e/2)) keeps small errors exact.

    At start: the mean of log cosh of the target with zero outputs.
    Use: as huber with delta about 1, with a second derivative everywhere; the bend cannot be set, so scale the target.

    >>> import torch
    >>> round(float(LogCosh()(torch.tensor([1e4]), torch.zeros(1)).value), 4)
    9999.3066
    """

    name = "log_cosh"

    def values(self, guess: Tensor, truth: Tensor) -> Tensor:
        error = guess - truth
        far = error.abs()
        near = (2 * (error.clamp(-1, 1) / 2).sinh().square()).log1p()  # clamped: no overflow in the branch not taken
        return near.where(far < 1, far + (-2 * far).exp().log1p() - math.log(2))
