"""Spectral norm: every layer of the discriminator has Lipschitz constant 1. Torch's parametrization, put on all layers at once."""

from torch import nn
from torch.nn.utils import parametrizations

from tunesmith.generative.cures import CURES
from tunesmith.records import ModelError

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@CURES.add("spectral_norm")
def spectral_norm(discriminator: nn.Module, power_steps: int = 1) -> nn.Module:
    """W / σ(W) in place of W in every linear and convolutional layer; σ, the largest singular value, by power iteration.

    The net is changed in place and given back. Each forward in training mode makes `power_steps` more steps of the iteration, so
    σ lags behind weights that move fast. Of a convolution it is the matrix of its kernel, as in the paper, not the map.

    Raises `ModelError` for a net that has no such layer, or has it already.
    Use: with any game, no further tuning; `hinge` most often.
    Source: Miyato et al., arXiv:1802.05957, eq. 8 and algorithm 1.

    >>> import torch
    >>> net = spectral_norm(nn.Linear(3, 3), power_steps=30)
    >>> round(torch.linalg.matrix_norm(net.weight, 2).item(), 3)
    1.0
    """
    layers = [layer for layer in discriminator.modules() if isinstance(layer, LAYERS)]
    if not layers:
        raise ModelError(
            f"{type(discriminator).__name__} has no linear and no convolutional layer that spectral norm could act on"
        )
    if any(hasattr(layer, "parametrizations") for layer in layers):
        raise ModelError(
            f"{type(discriminator).__name__} has parametrized layers already; norm them once, before training"
        )
    for layer in layers:
        parametrizations.spectral_norm(layer, n_power_iterations=power_steps)
    return discriminator
