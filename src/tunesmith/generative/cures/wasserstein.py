"""The Wasserstein game: its losses, and the clipping that keeps the critic Lipschitz. Legend: D the critic, x real, G made samples."""

import torch
from torch import Tensor, nn

from tunesmith.generative.cures import CURES
from tunesmith.records import RecipeError

LARGEST = 0.01  # arXiv:1701.07875, algorithm 1; with RMSprop at 5e-5 and 5 critic steps


@CURES.add("wasserstein")
class Wasserstein:
    """D: mean D(G) - mean D(x); G: -mean D(G).

    The critic must be kept Lipschitz: by `clip_weights` after each of its steps, by `gradient_penalty`, or by `spectral_norm`. It is
    trained several steps (5) for each of the generator's. Its loss, sign turned, estimates the distance up to a factor.

    Use: with `gradient_penalty`; with clipping where the second derivative is too dear.
    Source: Arjovsky et al., arXiv:1701.07875, algorithm 1.

    >>> Wasserstein().discriminator(torch.tensor([3.0]), torch.tensor([1.0, 2.0])).item()
    -1.5
    """

    def discriminator(self, real: Tensor, made: Tensor) -> Tensor:
        return made.mean() - real.mean()

    def generator(self, made: Tensor) -> Tensor:
        return -made.mean()


@CURES.add("clip_weights")
@torch.no_grad()
def clip_weights(critic: nn.Module, largest: float = LARGEST) -> None:
    """w ← min(max(w, -c), c) for every parameter of the critic, in place; call it after each of its steps.

    Raises `RecipeError` for a `largest` that is not above 0.
    Use: the first WGAN; slow where c is small, unsteady where it is large.
    Source: Arjovsky et al., arXiv:1701.07875, algorithm 1, line 7.

    >>> critic = nn.Linear(1, 1)
    >>> clip_weights(critic, 1e-3)
    >>> bool(critic.weight.abs() <= 1e-3)
    True
    """
    if not largest > 0:
        raise RecipeError(f"weights were to be clipped at {largest!r}; give a number above 0, such as {LARGEST}")
    for parameter in critic.parameters():
        parameter.clamp_(-largest, largest)
