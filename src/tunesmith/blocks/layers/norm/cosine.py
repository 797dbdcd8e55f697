"""Cosine normalisation. Luo et al., arXiv:1702.05870, eq. 3, and centred, eq. 9 (Pearson correlation).

A vector shorter than ε counts as zero: its cosine is 0, and no gradient passes it.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from tunesmith.blocks.layers.norm import NORMS, about
from tunesmith.blocks.layers.norm.channels import wide
from tunesmith.blocks.layers.norm.weight import has_weight_norm, require_layer
from tunesmith.records import ModelError

EPS = 1e-8  # as torch.nn.functional.cosine_similarity


def inverse(length: Tensor, eps: float) -> Tensor:
    """1 / length, and 0 where the length is below eps."""
    zero = length <= eps
    return torch.where(zero, 0.0, 1.0 / torch.where(zero, 1.0, length))


class CosineLinear(nn.Linear):
    """y = w·x / (‖w‖ ‖x‖) for each unit, in [-1, 1]; `centred` takes the means of w and of x away first.

    Lengths are taken in float32 where the input is in half precision.
    Shape: (..., in_features) -> (..., out_features). No bias.
    """

    def __init__(self, in_features: int, out_features: int, *, centred: bool = False, eps: float = EPS) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.centred, self.eps = centred, eps

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight
        if self.centred:
            kind = wide(input.dtype)
            input = (input - input.mean(-1, keepdim=True, dtype=kind)).to(input.dtype)
            weight = weight - weight.mean(-1, keepdim=True)
        lengths = torch.linalg.vector_norm(weight, dim=-1, keepdim=True, dtype=wide(weight.dtype))
        units = (weight * inverse(lengths, self.eps)).to(weight.dtype)
        length = torch.linalg.vector_norm(input, dim=-1, keepdim=True, dtype=wide(input.dtype))
        return (functional.linear(input, units) * inverse(length, self.eps)).to(input.dtype)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, centred={self.centred}"


class CosineConv(nn.Module):
    """y = w·p / (‖w‖ ‖p‖) for each unit and each patch p that it sees; `centred` is their Pearson correlation.

    Shape: as the convolution it was made from: kernel, stride, padding, dilation and groups are kept. No bias.
    """

    def __init__(self, layer: _ConvNd, *, centred: bool = False, eps: float = EPS) -> None:
        super().__init__()
        self.weight = layer.weight
        self.stride, self.dilation, self.groups = layer.stride, layer.dilation, layer.groups
        sides = tuple(layer._reversed_padding_repeated_twice)  # low and high, the last dimension first
        by_kernel = layer.padding_mode == "zeros" and not centred and sides[::2] == sides[1::2]
        self.zeros = sides[::2][::-1] if by_kernel else (0,) * (len(sides) // 2)  # that the convolution adds by itself
        self.padding = (0,) * len(sides) if by_kernel else sides
        self.padding_mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        self.centred, self.eps = centred, eps

    def forward(self, x: Tensor) -> Tensor:
        weight, kind = self.weight, wide(x.dtype)
        spatial = tuple(range(1, weight.dim()))
        if any(self.padding):
            x = functional.pad(x, self.padding, mode=self.padding_mode)
        if self.centred:
            # one constant a sample changes no correlation, and keeps the squares below from cancelling
            x = (x - x.mean(spatial, keepdim=True, dtype=kind)).to(x.dtype)
            weight = weight - weight.mean(spatial, keepdim=True)
        lengths = torch.linalg.vector_norm(weight, dim=spatial, keepdim=True, dtype=kind)
        units = (weight * inverse(lengths, self.eps)).to(weight.dtype)
        product = self._convolved(x, units)
        grouped = x.reshape(x.shape[0], self.groups, -1, *x.shape[2:]).to(kind)
        squares = self._summed(grouped.square().sum(2), weight)
        if self.centred:
            count = weight[0].numel()
            squares = (squares - self._summed(grouped.sum(2), weight).square() / count).clamp(min=0.0)
        scale = inverse(squares.clamp(min=self.eps**2).sqrt(), self.eps)
        scaled = product.reshape(product.shape[0], self.groups, -1, *product.shape[2:]) * scale.unsqueeze(2)
        return scaled.reshape(product.shape).to(x.dtype)

    def _convolved(self, x: Tensor, weight: Tensor) -> Tensor:
        call: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[weight.dim() - 3]
        return cast(Tensor, call(x, weight, None, self.stride, self.zeros, self.dilation, self.groups))

    def _summed(self, x: Tensor, weight: Tensor) -> Tensor:
        """Sums over each patch. Shape: (N, groups, *positions) -> (N, groups, *positions of the output)."""
        kernel = weight.shape[2:]
        if math.prod(kernel) == 1 and all(step == 1 for step in self.stride) and not any(self.zeros):
            return x
        call: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[weight.dim() - 3]
        ones = torch.ones(1, 1, *kernel, dtype=x.dtype, device=x.device)
        summed = call(x.flatten(0, 1).unsqueeze(1), ones, None, self.stride, self.zeros, self.dilation)
        return cast(Tensor, summed.reshape(x.shape[:2] + summed.shape[2:]))

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}, stride={self.stride}, groups={self.groups}, centred={self.centred}"


@NORMS.add("cosine")
@about(kind="weights", invariant_to=("weight_scale", "neuron_scale", "batch_scale", "sample_scale"))
def cosine(layer: nn.Module, *, centred: bool = False, eps: float = EPS) -> nn.Module:
    """y = w·x / (‖w‖ ‖x‖) in place of w·x + b, for each output unit; `centred`: their means are taken away first.

    Centred it is the Pearson correlation, and one constant added to all of x changes nothing either. Outputs lie in
    [-1, 1]; the bias is dropped, and neither the length of the weights nor that of the input has an effect. x is the input
    vector, for a convolution each patch. A vector of zeros gives 0 without gradient.
    Shape: an nn.Linear or a convolution -> a `CosineLinear` or `CosineConv` on the same weight parameter.
    Use: hidden layers whose inputs vary in scale, or a bounded similarity as output; a softmax on top needs a scale.
    Source: arXiv:1702.05870, eq. 3; centred: eq. 9.
    """
    require_layer("cosine", layer)
    if has_weight_norm(layer) or isinstance(layer, CosineLinear):
        raise ModelError(f"norm 'cosine': the weight of this {type(layer).__name__} is normed already; leave it out")
    if isinstance(layer, _ConvTransposeNd):
        raise ModelError(
            "norm 'cosine' on a transposed convolution: its output sums parts of several patches, so there is no one "
            "vector to divide by; use norm 'weight', or upsampling and a convolution"
        )
    if isinstance(layer, _ConvNd):
        found: nn.Module = CosineConv(layer, centred=centred, eps=eps)
        return found.train(layer.training)
    assert isinstance(layer, nn.Linear)
    with torch.device("meta"):
        made = CosineLinear(layer.in_features, layer.out_features, centred=centred, eps=eps)
    made.weight = layer.weight
    return made.train(layer.training)
