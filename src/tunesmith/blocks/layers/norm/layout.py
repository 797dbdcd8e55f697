"""A norm of channels for inputs that hold them last."""

from typing import Any, cast

from torch import Tensor, nn

from tunesmith.blocks.layers.norm import NORMS, Dims

POOLED = ("batch", "batch_mean_only", "batch_renorm", "sync_batch")  # positions count as samples


class ChannelsLast(nn.Module):
    """The norm `norm` for inputs (N, *positions, C). `pooled`: positions go among the samples, nothing is moved."""

    def __init__(self, norm: nn.Module, *, dims: int, pooled: bool) -> None:
        super().__init__()
        self.norm, self.dims, self.pooled = norm, dims, pooled

    def forward(self, x: Tensor) -> Tensor:
        if self.pooled:
            return cast(Tensor, self.norm(x.reshape(-1, x.shape[-1]))).reshape(x.shape)
        return cast(Tensor, self.norm(x.movedim(-1, 1))).movedim(1, -1)

    def extra_repr(self) -> str:
        return f"dims={self.dims}"


def channels_last(name: str, features: int, dims: Dims, options: dict[str, Any]) -> nn.Module:
    """The member `name` for (N, *positions, C); `none` as it is."""
    pooled = name in POOLED
    found = NORMS[name](features, dims=0 if pooled else dims, **options)
    return found if isinstance(found, nn.Identity) else ChannelsLast(found, dims=dims, pooled=pooled)
