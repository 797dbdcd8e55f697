"""The game of the first GAN, with the generator's loss that does not saturate, and with the one that does.

Legend: D the discriminator's score (log odds), x real samples, G made ones; softplus(s) = log(1 + e^s).
"""

from torch import Tensor
from torch.nn.functional import softplus

from tunesmith.generative.cures import CURES


def cross_entropy(real: Tensor, made: Tensor) -> Tensor:
    """mean softplus(-D(x)) + mean softplus(D(G)): 2 ln 2 where D is 0 everywhere."""
    return softplus(-real).mean() + softplus(made).mean()


@CURES.add("nonsaturating")
class NonSaturating:
    """D: mean softplus(-D(x)) + mean softplus(D(G)); G: mean softplus(-D(G)).

    The gradient of G does not vanish where D is sure. It is the plain GAN, and collapses on the ring of 8 (docs/benchmarks/gan_cures.md).

    Use: the usual game; the control beside every cure.
    Source: Goodfellow et al., arXiv:1406.2661, section 3.

    >>> import torch
    >>> round(NonSaturating().generator(torch.tensor([-10.0])).item(), 4)  # falls by 1 a unit of D where D is sure
    10.0
    """

    def discriminator(self, real: Tensor, made: Tensor) -> Tensor:
        return cross_entropy(real, made)

    def generator(self, made: Tensor) -> Tensor:
        return softplus(-made).mean()


@CURES.add("minimax")
class Minimax:
    """D as in `nonsaturating`; G: -mean softplus(D(G)), the value of the game itself.

    Use: in theory; where D is sure from the start, G gets no gradient.
    Source: Goodfellow et al., arXiv:1406.2661, eq. 1.

    >>> import torch
    >>> score = torch.tensor([-10.0], requires_grad=True)
    >>> Minimax().generator(score).backward()
    >>> round(score.grad.item(), 6)
    -4.5e-05
    """

    def discriminator(self, real: Tensor, made: Tensor) -> Tensor:
        return cross_entropy(real, made)

    def generator(self, made: Tensor) -> Tensor:
        return -softplus(made).mean()
