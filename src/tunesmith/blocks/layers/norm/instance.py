"""Instance normalisation. Ulyanov, Vedaldi & Lempitsky, arXiv:1607.08022, eq. 3."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.blocks.layers.norm import NORMS, Dims, about
from tunesmith.records import ModelError


class InstanceNorm(nn.GroupNorm):
    """Group norm with a group for each channel: what nn.InstanceNorm computes, with a kernel made for it.

    nn.InstanceNorm goes through that of batch norm, which is several times slower on a processor and takes no empty batch.
    """

    def __init__(self, features: int, *, dims: Dims, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__(features, features, eps, affine)
        self.dims = dims

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != self.dims + 2:
            raise ModelError(
                f"norm 'instance' got an input of shape {tuple(input.shape)}, expected (N, {self.num_channels}, …) with "
                f"{self.dims} dimensions of positions"
            )
        if self.training and input[:1, :1].numel() == 1:
            raise ModelError(
                f"norm 'instance' in training got one value for each channel, input {tuple(input.shape)}: its output would "
                "be β whatever came; use 'layer', 'batch' or 'frn' on maps of one position"
            )
        if torch.compiler.is_compiling():  # which fuses torch's own formula better
            return functional.instance_norm(input, None, None, self.weight, self.bias, eps=self.eps)
        return super().forward(input)

    def extra_repr(self) -> str:
        return f"{self.num_channels}, dims={self.dims}, eps={self.eps}, affine={self.affine}"


@NORMS.add("instance")
@about(invariant_to=("weight_scale", "neuron_scale", "batch_scale", "sample_scale", "shift", "neuron_shift"))
def instance(features: int, *, dims: Dims = 0, eps: float = 1e-5, affine: bool = True) -> nn.Module:
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² over the positions of each channel of each sample.

    Shape: (N, C, *positions) -> the same with more than one position in training. No running averages: training and
    evaluation compute the same. torch's own layer has γ and β off by default; here they are on.
    Use: style transfer and other pictures whose contrast carries nothing; not where the level of a channel is the signal.
    Source: arXiv:1607.08022, eq. 3.
    """
    if dims == 0:
        raise ModelError(
            "norm 'instance' on vectors: each channel has one value, so every output would be zero; "
            "expected pictures or sequences, try 'layer' or 'batch'"
        )
    return InstanceNorm(features, dims=dims, eps=eps, affine=affine)
