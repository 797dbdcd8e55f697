"""Which member a norm layer of somebody's model is: ours, or torch's own layer, by its object."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _LazyNormBase
from torch.nn.modules.instancenorm import _InstanceNorm

from tunesmith.blocks.layers.norm.batch_mean_only import MeanOnlyBatchNorm
from tunesmith.blocks.layers.norm.batch_renorm import BatchRenorm
from tunesmith.blocks.layers.norm.frn import FilterResponseNorm
from tunesmith.blocks.layers.norm.layout import ChannelsLast
from tunesmith.blocks.layers.norm.rms import RMSNorm
from tunesmith.blocks.layers.norm.sync_batch import SyncBatchNorm


class Found(NamedTuple):
    """A norm layer: its member's name, its channels, the dimensions of positions where it says, and what keeps it out."""

    name: str
    features: int
    dims: int | None
    obstacle: str = ""
    last: bool = False  # its channels are the last dimension


def family(module: nn.Module) -> Found | None:
    """What a norm layer is; None for any other module."""
    if isinstance(module, ChannelsLast):
        inner = family(module.norm)
        return None if inner is None else inner._replace(dims=module.dims, last=True)
    if isinstance(module, _LazyNormBase):
        return Found("batch", 0, None, "its number of channels is not known yet; run a batch first")
    if isinstance(module, MeanOnlyBatchNorm | BatchRenorm | SyncBatchNorm):
        names = {MeanOnlyBatchNorm: "batch_mean_only", BatchRenorm: "batch_renorm", SyncBatchNorm: "sync_batch"}
        return Found(names[type(module)], module.num_features, module.dims)
    if isinstance(module, nn.SyncBatchNorm):
        return Found("sync_batch", module.num_features, None)
    if isinstance(module, _BatchNorm | _InstanceNorm):
        name = "batch" if isinstance(module, _BatchNorm) else "instance"
        return Found(name, module.num_features, _dims_of(module))
    if isinstance(module, nn.GroupNorm):
        called = {1: "layer", module.num_channels: "instance"}.get(module.num_groups, "group")
        return Found(called, module.num_channels, None)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        name = "layer" if isinstance(module, nn.LayerNorm) else "rms"
        sizes = module.normalized_shape
        over = f"it norms over {tuple(sizes)} together, with a gain for each entry; its channels are not told apart"
        return Found(name, sizes[-1], 0, over if len(sizes) > 1 else "", last=True)
    if isinstance(module, RMSNorm):
        return Found("rms", module.features, None)
    if isinstance(module, FilterResponseNorm):
        return Found("frn", module.features, module.dims, last=module.dims == 0)
    return None


def _dims_of(module: nn.Module) -> int | None:
    """2 and 3 for layers of pictures and volumes; a 1-d one takes vectors and sequences alike."""
    name = type(module).__name__
    return next((dims for dims in (2, 3) if name.endswith(f"{dims}d")), None)


def shape_seen(inputs: object) -> tuple[int, ...] | None:
    first = inputs[0] if isinstance(inputs, tuple) and inputs else inputs
    return tuple(first.shape) if isinstance(first, Tensor) else None
