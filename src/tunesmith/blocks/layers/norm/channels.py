"""What norms with statistics by channel share: the shape checks, the running averages, the half-precision rule."""

import math
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from tunesmith.blocks.layers.norm import Dims
from tunesmith.records import ModelError


def others(x: Tensor) -> tuple[int, ...]:
    """All dimensions but that of the channels."""
    return (0, *range(2, x.dim()))


def beside(values: Tensor, x: Tensor) -> Tensor:
    """Values by channel (C,) in a shape that goes with x (N, C, *positions)."""
    return values.reshape(-1, *(1,) * (x.dim() - 2))


def wide(dtype: torch.dtype) -> torch.dtype:
    """The type of statistics: float32 for half-precision inputs, else that of the input."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


class _MeanSquare(torch.autograd.Function):
    """mean(x²) in one pass over x, forward and backward; `x.square().mean()` takes two, and a copy of x."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, over: tuple[int, ...]) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(x, dim=over, keepdim=True, dtype=wide(x.dtype))
        return length.square() / _count(x, over)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, over = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        ctx.over = over
        ctx.share = 2 / _count(x, over)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return (x * (gradients[0] * ctx.share)).to(x.dtype), None  # of x and the gradient: differentiable again

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (x,) = ctx.saved_tensors
        found: Tensor = (x * tangents[0]).sum(ctx.over, keepdim=True) * ctx.share
        return found


def mean_square(x: Tensor, over: tuple[int, ...]) -> Tensor:
    """mean(x²) over dimensions that are kept with length 1, in float32 for half precision; 0 where there are no entries."""
    if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and x.requires_grad):
        return x.to(wide(x.dtype)).square().sum(over, keepdim=True) / _count(x, over)  # a compiler fuses the passes
    return cast(Tensor, _MeanSquare.apply(x, over))  # type: ignore[no-untyped-call]


def _count(x: Tensor, over: tuple[int, ...]) -> int:
    return max(math.prod([x.shape[dim] for dim in over]), 1)


class ChannelNorm(_BatchNorm):
    """Training with the statistics of the batch, evaluation with running averages. Abstract: `_train` and `_evaluate`.

    torch's own tools (averaged weights, freezing, counting) know it as a batch norm. `dims` None: any number of positions.
    """

    def __init__(self, features: int, *, dims: Dims | None, eps: float, momentum: float | None, affine: bool) -> None:
        super().__init__(features, eps, momentum, affine)
        self.dims = dims

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        if not self.training:
            return self._evaluate(input).to(input.dtype)
        values = input.numel() // self.num_features
        if values == 1:
            raise ModelError(
                f"{type(self).__name__} in training got one value per channel, input {tuple(input.shape)}: its output "
                "would be β whatever came; give more samples or positions, or choose norm 'layer' or 'group'"
            )
        if values == 0:  # nothing to learn from, and nothing to spoil the running averages with
            return input * 1
        return self._train(input).to(input.dtype)

    def _train(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _evaluate(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _check_input_dim(self, input: Tensor) -> None:
        if self.dims is None:
            fits = input.dim() > 1
        else:
            fits = input.dim() == self.dims + 2
        if not fits or input.shape[1] != self.num_features:
            expected = f"(N, {self.num_features}{', …' if self.dims else ''})"
            raise ModelError(
                f"{type(self).__name__} got an input of shape {tuple(input.shape)}, expected {expected} with "
                f"{self.dims} dimensions of positions; for channels at the end make it with layout='last'"
            )

    def _rate(self) -> float | Tensor:
        """Counts the update and gives the share of the new value; None as momentum averages all batches alike."""
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        return 1.0 / self.num_batches_tracked.float() if self.momentum is None else self.momentum

    def _move(self, average: Tensor | None, value: Tensor, rate: float | Tensor) -> None:
        assert average is not None
        average.mul_(1 - rate).add_(value.detach() * rate)

    def extra_repr(self) -> str:
        return f"{self.num_features}, dims={self.dims}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"
