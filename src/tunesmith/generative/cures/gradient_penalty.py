"""Penalties on the slope of the discriminator, one norm a sample. Legend: D its score, x real samples, G made ones."""

import torch
from torch import Tensor, nn

from tunesmith.generative.cures import CURES
from tunesmith.records import DataError

WEIGHT = 10.0  # arXiv:1704.00028, section 4


@CURES.add("gradient_penalty")
def gradient_penalty(
    critic: nn.Module,
    real: Tensor,
    made: Tensor,
    weight: float = WEIGHT,
    *,
    mix: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """weight · mean (|∇D(x̂)| - 1)², x̂ = ε x + (1 - ε) G, with ε uniform in [0, 1] for each sample.

    Shapes: `real` and `made` (N, …) alike; `mix` (N,) gives the ε where they are not to be drawn. The norm is that of each
    sample's own gradient, so the critic must not mix samples: no batch norm (layer norm does). Of a linear critic w·x it is
    weight (|w| - 1)².

    Raises `DataError` where the two have not the same shape.
    Use: with `wasserstein`, 5 critic steps, Adam(1e-4, betas=(0, 0.9)).
    Source: Gulrajani et al., arXiv:1704.00028, eq. 3.

    >>> critic = nn.Linear(2, 1)
    >>> _ = critic.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
    >>> gradient_penalty(critic, torch.zeros(8, 2), torch.ones(8, 2)).item()  # 10 (5 - 1)²
    160.0
    """
    if real.shape != made.shape:
        raise DataError(
            f"real samples came with shape {tuple(real.shape)} and made ones with {tuple(made.shape)}; the penalty is taken on lines between "
            "them: give as many of one shape"
        )
    drawn = torch.rand(len(real), dtype=real.dtype, device=real.device, generator=generator) if mix is None else mix
    share = drawn.reshape(-1, *[1] * (real.ndim - 1))
    between = share * real + (1 - share) * made
    return weight * (slopes(critic, between) - 1).square().mean()


@CURES.add("r1")
def r1(discriminator: nn.Module, real: Tensor, weight: float = WEIGHT) -> Tensor:
    """weight / 2 · mean |∇D(x)|², on real samples alone.

    It converges locally where the plain game circles. Of a linear discriminator w·x it is weight |w|² / 2.

    Use: with `nonsaturating`, one step of each player.
    Source: Mescheder et al., arXiv:1801.04406, eq. 9.

    >>> discriminator = nn.Linear(2, 1)
    >>> _ = discriminator.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
    >>> r1(discriminator, torch.zeros(8, 2), weight=1.0).item()
    12.5
    """
    return weight / 2 * slopes(discriminator, real).square().mean()


def slopes(discriminator: nn.Module, samples: Tensor) -> Tensor:
    """|∇D| at each sample: shape (N,), differentiable in the discriminator's weights."""
    at = samples.detach().requires_grad_()
    (found,) = torch.autograd.grad(discriminator(at).sum(), at, create_graph=True)
    squares = found.flatten(1).square().sum(dim=1)
    # The root has no slope at 0; a critic that is flat at a sample must not give NaN.
    return torch.where(squares > 0, squares, torch.ones_like(squares)).sqrt() * (squares > 0)
