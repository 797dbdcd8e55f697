"""Filter response normalisation with its thresholded linear unit. Singh & Krishnan, arXiv:1911.09737, eq. 1 to 4."""

import torch
from torch import Tensor, nn

from tunesmith.blocks.layers.norm import NORMS, Dims, about
from tunesmith.blocks.layers.norm.channels import beside, mean_square, wide
from tunesmith.records import ModelError

EPS = 1e-6  # section 3.1
EPS_OF_ONE_POSITION = 1e-4  # section 3.1: where maps are 1 x 1, ε is learnt from here


@NORMS.add("frn")
@about(invariant_to=("weight_scale", "neuron_scale", "batch_scale", "sample_scale"))
class FilterResponseNorm(nn.Module):
    """y = max(γ x / √(mean(x²) + |ε|) + β, τ), the mean over the positions of each channel of each sample; no centring.

    γ `weight`, β `bias` and τ `threshold` by channel, 1, 0 and 0 at the start. τ takes the place of the activation that
    would follow: `tlu=False` leaves it out. With `learn_eps` ε is a parameter, by default where a channel has one value
    only (dims=0): there y goes towards γ sign(x) + β, and ε is how wide the step is, so that no scale leaves it unchanged
    unless |x| is well above √ε.
    Shape: (N, C, *positions) -> the same; (..., C) for dims=0.
    Use: pictures in batches of any size, one too, in place of norm and activation.
    Source: arXiv:1911.09737, eq. 1 to 4.
    """

    def __init__(
        self,
        features: int,
        *,
        dims: Dims = 0,
        eps: float | None = None,
        learn_eps: bool | None = None,
        tlu: bool = True,
    ) -> None:
        super().__init__()
        self.features, self.dims, self.tlu = features, dims, tlu
        start = torch.full((1,), (EPS if dims else EPS_OF_ONE_POSITION) if eps is None else eps)
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))
        self.threshold = nn.Parameter(torch.zeros(features)) if tlu else None
        if dims == 0 if learn_eps is None else learn_eps:
            self.eps: Tensor = nn.Parameter(start)
        else:
            self.register_buffer("eps", start)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        kind = wide(x.dtype)
        weight, bias, threshold = (self._placed(one, x, kind) for one in (self.weight, self.bias, self.threshold))
        square = mean_square(x, tuple(range(2, x.dim()))) if self.dims else x.to(kind).square()
        assert weight is not None
        assert bias is not None
        factor = weight * (square + self.eps.abs().to(kind)).rsqrt()
        if threshold is None:
            return torch.addcmul(bias, x.to(kind), factor).to(x.dtype)
        # max(z, τ) as relu(z - τ) + τ: its gradient takes a third of the passes
        return (torch.addcmul(bias - threshold, x.to(kind), factor).relu() + threshold).to(x.dtype)

    def _check(self, x: Tensor) -> None:
        place = 1 if self.dims else -1
        if (self.dims and x.dim() != self.dims + 2) or x.shape[place] != self.features:
            expected = (
                f"(N, {self.features}, …) with {self.dims} dimensions of positions"
                if self.dims
                else f"(…, {self.features})"
            )
            raise ModelError(f"norm 'frn' got an input of shape {tuple(x.shape)}, expected {expected}")

    def _placed(self, values: Tensor | None, x: Tensor, kind: torch.dtype) -> Tensor | None:
        if values is None:
            return None
        return (beside(values, x) if self.dims else values).to(kind)

    def extra_repr(self) -> str:
        learnt = ", learn_eps=True" if isinstance(self.eps, nn.Parameter) else ""
        return f"{self.features}, dims={self.dims}{learnt}, tlu={self.tlu}"
