"""Batch renormalisation. Ioffe, arXiv:1702.03275, algorithm 1."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.blocks.layers.norm import NORMS, Dims, about
from tunesmith.blocks.layers.norm.channels import ChannelNorm, beside, others, wide


@NORMS.add("batch_renorm")
@about(
    invariant_to=("weight_scale", "neuron_scale", "batch_scale", "shift", "neuron_shift"),
    same_in_evaluation=False,
)
class BatchRenorm(ChannelNorm):
    """y = γ ((x - μ) / s · r + d) + β, s = √(σ² + ε), r = clip(s / s̄, 1/r_max, r_max), d = clip((μ - μ̄) / s̄, ±d_max).

    μ, σ² over the batch and all positions of each channel; μ̄, s̄ their running averages (`running_mean`, `running_std`,
    a moving standard deviation that holds ε). r and d are constants to the gradient; the limits bind these corrections,
    not the statistics. With wide limits training computes what evaluation does: y = γ (x - μ̄) / s̄ + β.
    By updates made so far the limits are 1 and 0, which is plain batch norm, for `plain_updates`; then r_max goes in a
    straight line to `rmax` at `rmax_at`, and d_max to `dmax` at `dmax_at`. A run of fewer updates than
    `plain_updates` is plain batch norm: set the three for short runs. The invariances claimed are those of the plain
    phase; with open limits none holds.
    Shape: (N, C, *positions) -> the same; (N, C) for dims=0. In training N x positions must exceed 1.
    Use: small or not independent batches where evaluation by running averages must match training.
    Source: arXiv:1702.03275, algorithm 1; limits and rate: section 4.
    """

    running_std: Tensor
    limits: Tensor

    def __init__(
        self,
        features: int,
        *,
        dims: Dims = 0,
        eps: float = 1e-5,
        momentum: float | None = 0.01,  # section 4: moving averages by 0.01
        affine: bool = True,
        rmax: float = 3.0,  # section 4.2
        dmax: float = 5.0,
        plain_updates: int = 5_000,
        rmax_at: int = 40_000,
        dmax_at: int = 25_000,
    ) -> None:
        super().__init__(features, dims=dims, eps=eps, momentum=momentum, affine=affine)
        self.rmax, self.dmax, self.plain_updates = rmax, dmax, plain_updates
        self.rmax_at, self.dmax_at = rmax_at, dmax_at
        self.register_buffer("running_var", None)
        self.register_buffer("running_std", torch.ones(features))

    def reset_running_stats(self) -> None:
        assert self.running_mean is not None
        assert self.num_batches_tracked is not None
        self.running_mean.zero_()
        self.num_batches_tracked.zero_()
        if "running_std" in self._buffers:
            self.running_std.fill_(1.0)

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        if self.affine:
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)

    def limits_now(self) -> tuple[Tensor, Tensor]:
        """(r_max, d_max) of the next update, as tensors without dimensions."""
        assert self.num_batches_tracked is not None
        made = self.num_batches_tracked.to(torch.float32)
        rmax, dmax = (
            ((made - self.plain_updates) / max(until - self.plain_updates, 1)).clamp(0.0, 1.0)
            if until > self.plain_updates
            else (made >= self.plain_updates).to(torch.float32)
            for until in (self.rmax_at, self.dmax_at)
        )
        return 1.0 + (self.rmax - 1.0) * rmax, self.dmax * dmax

    def _train(self, x: Tensor) -> Tensor:
        assert self.running_mean is not None
        rmax, dmax = self.limits_now()
        with torch.no_grad():
            over = others(x)
            mean = x.mean(over, dtype=wide(x.dtype))
            length = torch.linalg.vector_norm(x - beside(mean, x), dim=over)
            std = (length.square() / (x.numel() // self.num_features) + self.eps).sqrt()
            r = (std / self.running_std).clamp(1 / rmax, rmax)
            d = ((mean - self.running_mean) / self.running_std).clamp(-dmax, dmax)
        rate = self._rate()
        self._move(self.running_mean, mean, rate)
        self._move(self.running_std, std, rate)
        if self.affine:
            r, d = self.weight * r, torch.addcmul(self.bias.to(d.dtype), self.weight, d)
        # γ (x̂ r + d) + β is a batch norm with gain γ r and bias γ d + β
        return functional.batch_norm(x, None, None, r.to(mean.dtype), d.to(mean.dtype), True, 0.0, self.eps)

    def _evaluate(self, x: Tensor) -> Tensor:
        assert self.running_mean is not None
        factor = 1 / self.running_std
        factor = beside((self.weight * factor if self.affine else factor).to(wide(x.dtype)), x)
        centred = x - beside(self.running_mean, x).to(factor.dtype)
        if not self.affine:
            return centred * factor
        return torch.addcmul(beside(self.bias.to(factor.dtype), x), centred, factor)
