"""Batch normalisation synchronised over processes. Statistics of the pooled batch, with counts.

Legend: n, m and M2 are count, mean and sum of squared deviations of a process, N, μ and σ² those of all together;
Chan, Golub & LeVeque 1983, eq. 2.1:  μ = Σ n m / N,  N σ² = Σ (M2 + n (m - μ)²).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch import distributed as processes

from tunesmith.blocks.layers.norm import NORMS, Dims, about
from tunesmith.blocks.layers.norm.channels import ChannelNorm, beside, others, wide
from tunesmith.records import ModelError


@NORMS.add("sync_batch")
@about(
    invariant_to=("weight_scale", "neuron_scale", "batch_scale", "shift", "neuron_shift"),
    same_in_evaluation=False,
)
class SyncBatchNorm(ChannelNorm):
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² over the batches of all processes and all positions of each channel.

    The processes of `group` (all of the default group) may hold batches of any size, an empty one too; sums and
    counts are added up, so that forward, running averages and gradients are those of `batch` on the pooled batch.
    Works on any device that the group's backend serves, gloo on processors too. In one process it is `batch`.
    Gradients of γ and β are those of the own part: add them over the processes, as DDP averages them.
    Shape: (N, C, *positions) -> the same; (N, C) for dims=0, any for dims=None. Over all processes N x positions must exceed 1.
    Use: data-parallel training with few samples a process; elsewhere the talk between processes buys nothing.
    Source: arXiv:1502.03167, algorithm 1, on the pooled batch; sums: Chan, Golub & LeVeque 1983, eq. 2.1.
    """

    def __init__(
        self,
        features: int,
        *,
        dims: Dims | None = 0,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        group: Any = None,
    ) -> None:
        super().__init__(features, dims=dims, eps=eps, momentum=momentum, affine=affine)
        self.group = group

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not _several(self.group):
            return torch.nn.modules.batchnorm._BatchNorm.forward(self, input)
        self._check_input_dim(input)
        return self._train(input).to(input.dtype)

    def _train(self, x: Tensor) -> Tensor:
        kind = wide(x.dtype)
        own = _moments(x)
        count, mean, var = _pooled(own, lambda part: _summed(part, self.group))
        if not torch.compiler.is_compiling() and count.item() <= 1:
            raise ModelError(
                "SyncBatchNorm in training got one value per channel over all processes; give more samples or positions"
            )
        rate = self._rate()
        self._move(self.running_mean, mean, rate)
        self._move(self.running_var, var * count / (count - 1), rate)
        factor = (var + self.eps).rsqrt()
        shift = (own.mean - mean) * factor  # what follows is centred on the mean of its own process
        if self.affine:
            factor, shift = self.weight * factor, torch.addcmul(self.bias.to(shift.dtype), self.weight, shift)
        return torch.addcmul(beside(shift.to(kind), x), own.apart, beside(factor.to(kind), x))

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.group is None else ", group=…")


class Moments(NamedTuple):
    """Of one process: n as (1,), m and M2 as (C,), and its input less m."""

    values: Tensor
    mean: Tensor
    squares: Tensor
    apart: Tensor


def _moments(x: Tensor) -> Moments:
    over, kind = others(x), wide(x.dtype)
    values = x.numel() // max(x.shape[1], 1)
    count = torch.full((1,), values, dtype=_exact(x), device=x.device)
    mean = x.sum(over, dtype=kind) / max(values, 1)
    apart = x - beside(mean, x)
    squares = apart.square().sum(over)
    return Moments(count, mean.to(count.dtype), squares.to(count.dtype), apart)


def _pooled(own: Moments, total: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """N, μ and σ² of all parts, where `total` adds up what each part gives."""
    count, sums = total(torch.cat([own.values, own.values * own.mean])).tensor_split((1,))
    mean = sums / count
    return count, mean, total(own.squares + own.values * (own.mean - mean).square()) / count


def pooled(shards: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance by channel of batches (N, C, *positions) of any sizes, taken together.

    >>> mean, var = pooled([torch.tensor([[0.0], [2.0]]), torch.tensor([[7.0]])])
    >>> [round(value.item(), 4) for value in (mean, var)]
    [3.0, 8.6667]
    """
    parts = [_moments(shard) for shard in shards]
    count = torch.stack([part.values for part in parts]).sum(0)
    mean = torch.stack([part.values * part.mean for part in parts]).sum(0) / count
    squares = torch.stack([part.squares + part.values * (part.mean - mean).square() for part in parts]).sum(0)
    return mean, squares / count


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient, and the gradient of that."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = x.clone()
        processes.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _summed(gradients[0].contiguous(), ctx.group), None


def _summed(x: Tensor, group: Any) -> Tensor:
    return cast(Tensor, _Sum.apply(x, group))  # type: ignore[no-untyped-call]


def _several(group: Any) -> bool:
    return processes.is_available() and processes.is_initialized() and processes.get_world_size(group) > 1


def _exact(x: Tensor) -> torch.dtype:
    """The type of the sums by channel: double, where the device has it."""
    return torch.float32 if x.device.type == "mps" else torch.float64
