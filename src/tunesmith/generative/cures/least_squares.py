"""The game of least squares. Legend: D the discriminator's score, x real samples, G made ones."""

from torch import Tensor

from tunesmith.generative.cures import CURES


@CURES.add("least_squares")
class LeastSquares:
    """D: ½ mean (D(x) - 1)² + ½ mean D(G)²; G: ½ mean (D(G) - 1)².

    Samples far on the right side of the border are pulled back to it, so that G keeps a gradient.

    Use: where the non-saturating game is unsteady; it is no cure of collapse by itself.
    Source: Mao et al., arXiv:1611.04076, eq. 9 (a = 0, b = c = 1).

    >>> import torch
    >>> LeastSquares().generator(torch.tensor([1.0, 3.0])).item()
    1.0
    """

    def discriminator(self, real: Tensor, made: Tensor) -> Tensor:
        return ((real - 1).square().mean() + made.square().mean()) / 2

    def generator(self, made: Tensor) -> Tensor:
        return (made - 1).square().mean() / 2
