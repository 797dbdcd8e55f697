"""What norms with statistics by channel share: the shape checks, the running averages, the half-precision rule."""

from typing import Any

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


class ChannelNorm(_BatchNorm):
    """Training with the statistics of the batch, evaluation with running averages. Abstract: `_train` and `_evaluate`.

    torch's own tools (averaged weights, freezing, counting) know it as a batch norm.
    """

    def __init__(self, features: int, *, dims: Dims, eps: float, momentum: float | None, affine: bool) -> None:
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
        if input.dim() != self.dims + 2 or input.shape[1] != self.num_features:
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
        average.add_((value.detach().to(average.dtype) - average) * rate)

    def extra_repr(self) -> str:
        return f"{self.num_features}, dims={self.dims}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
