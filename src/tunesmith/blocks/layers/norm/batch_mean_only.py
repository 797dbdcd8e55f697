"""Mean-only batch normalisation. Salimans & Kingma, arXiv:1602.07868, section 4."""

from torch import Tensor

from tunesmith.blocks.layers.norm import NORMS, Dims, about
from tunesmith.blocks.layers.norm.channels import ChannelNorm, beside, others, wide


@NORMS.add("batch_mean_only")
@about(invariant_to=("shift", "neuron_shift"), same_in_evaluation=False)
class MeanOnlyBatchNorm(ChannelNorm):
    """y = x - μ + β, μ over the batch and all positions of each channel; nothing is divided, there is no γ.

    Shape: (N, C, *positions) -> the same; (N, C) for dims=0. In evaluation a running average takes the place of μ
    (`momentum` is the weight of the new value).
    Use: after layers under weight normalisation, whose weights already have a length of their own; alone it keeps the
    scale of what comes in.
    Source: arXiv:1602.07868, section 4.
    """

    def __init__(self, features: int, *, dims: Dims = 0, momentum: float | None = 0.1, affine: bool = True) -> None:
        super().__init__(features, dims=dims, eps=0.0, momentum=momentum, affine=affine)
        self.register_parameter("weight", None)
        self.register_buffer("running_var", None)

    def reset_running_stats(self) -> None:
        if self.running_mean is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        if self.bias is not None:
            self.bias.data.zero_()

    def _train(self, x: Tensor) -> Tensor:
        mean = x.mean(others(x), dtype=wide(x.dtype))
        self._move(self.running_mean, mean, self._rate())
        return self._shifted(x, mean)

    def _evaluate(self, x: Tensor) -> Tensor:
        assert self.running_mean is not None
        return self._shifted(x, self.running_mean)

    def _shifted(self, x: Tensor, mean: Tensor) -> Tensor:
        centred = x - beside(mean.to(wide(x.dtype)), x)  # apart from β: exact where x is near the mean
        return centred if self.bias is None else centred + beside(self.bias, x)
