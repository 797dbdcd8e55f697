"""Batch normalisation. Ioffe & Szegedy, arXiv:1502.03167, algorithm 1."""

from torch import nn

from tunesmith.blocks.layers.norm import NORMS, Dims


@NORMS.add("batch")
def batch(features: int, *, dims: Dims = 0) -> nn.Module:
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² over the batch and all positions of each channel.

    Shape: (N, C, *spatial) -> (N, C, *spatial). In training N x positions must exceed 1.
    In evaluation running averages take the place of μ and σ² (momentum 0.1, the unbiased variance). They are buffers
    changed in place: under `torch.func.vmap` in training mode stack them as the parameters are stacked, and each model
    keeps its own; unstacked ones raise. It couples the samples of a batch, so accumulated batches do not equal one.
    Source: arXiv:1502.03167, algorithm 1.
    """
    return (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[dims](features)
