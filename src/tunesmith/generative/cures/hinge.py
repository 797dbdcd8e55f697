"""The hinge game. Legend: D the discriminator's score, x real samples, G made ones."""

from torch import Tensor, relu

from tunesmith.generative.cures import CURES


@CURES.add("hinge")
class Hinge:
    """D: mean max(0, 1 - D(x)) + mean max(0, 1 + D(G)); G: -mean D(G).

    Samples that D places beyond the margin do not pull at it any more.

    Use: with spectral norm, as in the large GANs of pictures.
    Source: Lim & Ye, arXiv:1705.02894; Miyato et al., arXiv:1802.05957, eq. 16 and 17.

    >>> import torch
    >>> Hinge().discriminator(torch.tensor([2.0, 0.5]), torch.tensor([-1.0, 0.0])).item()
    0.75
    """

    def discriminator(self, real: Tensor, made: Tensor) -> Tensor:
        return relu(1 - real).mean() + relu(1 + made).mean()

    def generator(self, made: Tensor) -> Tensor:
        return -made.mean()
