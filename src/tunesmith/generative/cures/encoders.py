"""Encoders against missing modes: MDGAN's regularisers and VEEGAN's reconstruction of the noise.

Legend: x real samples, z noise, G the generator, E or F a net from samples to noise, D the discriminator's score (log odds).
"""

from torch import Tensor, cat, nn
from torch.nn.functional import softplus

from tunesmith.generative.cures import CURES


@CURES.add("mdgan")
def mode_regulariser(
    generator: nn.Module,
    encoder: nn.Module,
    discriminator: nn.Module,
    real: Tensor,
    *,
    distance: float = 0.2,
    score: float = 0.4,
) -> Tensor:
    """λ1 mean |x - G(E(x))|² + λ2 mean softplus(-D(G(E(x)))), to be added to the generator's and the encoder's loss.

    The first term keeps every real sample within reach of G, the second pulls G(E(x)) to the data near the missing ones. The
    paper writes the second as λ2 E[log D(G(E(x)))], to be made large; here it is a loss. |·|² is the sum over a sample's numbers.

    Use: where an encoder can be trained beside; the encoder's optimizer steps on it too.
    Source: Che et al., MDGAN, arXiv:1612.02136, section 3.1, whose λ are 0.2 and 0.4.

    >>> import torch
    >>> same, flat = nn.Identity(), nn.Linear(2, 1)
    >>> _ = [one.data.zero_() for one in flat.parameters()]
    >>> round(mode_regulariser(same, same, flat, torch.ones(3, 2)).item(), 4)  # 0.4 ln 2
    0.2773
    """
    back = generator(encoder(real))
    apart: Tensor = (real - back).flatten(1).square().sum(dim=1).mean()
    unlike: Tensor = softplus(-discriminator(back)).mean()
    return distance * apart + score * unlike


@CURES.add("veegan")
def noise_reconstruction(reconstructor: nn.Module, noise: Tensor, made: Tensor) -> Tensor:
    """mean |z - F(G(z))|², to be added to the losses of G and of F, beside a discriminator of pairs (`paired`).

    Shapes: `noise` (N, Z), `made` = G(z). Two z that end in one sample cannot both be had back: collapse costs.

    Use: with `paired`: D sees (x, F(x)) as real and (G(z), z) as made.
    Source: Srivastava et al., VEEGAN, arXiv:1705.07761, eq. 3.

    >>> import torch
    >>> noise_reconstruction(nn.Identity(), torch.zeros(5, 2), torch.ones(5, 2)).item()
    2.0
    """
    found: Tensor = (noise - reconstructor(made)).flatten(1).square().sum(dim=1).mean()
    return found


def paired(samples: Tensor, noise: Tensor) -> Tensor:
    """What a joint discriminator sees: samples laid out flat beside their noise, (N, D + Z)."""
    return cat([samples.flatten(1), noise.flatten(1)], dim=1)
