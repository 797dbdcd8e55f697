"""Batch normalisation. Ioffe & Szegedy, arXiv:1502.03167, algorithm 1."""

from torch import nn

from tunesmith.blocks.layers.norm import NORMS, Dims, about


@NORMS.add("batch")
@about(
    invariant_to=("weight_scale", "neuron_scale", "batch_scale", "shift", "neuron_shift"),
    same_in_evaluation=False,
)
def batch(
    features: int, *, dims: Dims = 0, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True
) -> nn.Module:
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² over the batch and all positions of each channel.

    Shape: (N, C, *positions) -> the same; (N, C) for dims=0. In training N x positions must exceed 1, else it raises.
    In evaluation running averages take the place of μ and σ²; `momentum` is the weight of the new value (Keras states
    that of the old one: `momentum_from`), and the running variance is the unbiased one, n/(n-1) of σ². They are buffers
    changed in place: under `torch.func.vmap` in training mode stack them as the parameters are stacked, and each model
    keeps its own; unstacked ones raise. It couples the samples of a batch, so accumulated batches do not equal one.
    A bias before it is dead: its gradient is exactly 0.
    Use: pictures in shuffled batches of 16 or more a device; not for sequences, tiny or sorted batches.
    Source: arXiv:1502.03167, algorithm 1.
    """
    kind = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims]
    return kind(features, eps, momentum, affine)
