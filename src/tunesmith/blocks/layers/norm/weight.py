"""Weight normalisation. Salimans & Kingma, arXiv:1602.07868, eq. 2."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from tunesmith.blocks.layers.norm import NORMS, about
from tunesmith.blocks.layers.norm.channels import wide
from tunesmith.records import ModelError


@NORMS.add("weight")
@about(kind="weights", invariant_to=("weight_scale", "neuron_scale"))
def weight(layer: nn.Module) -> nn.Module:
    """w = g v / ‖v‖ for each output unit of `layer`, in place; g starts at ‖w‖, so that the layer computes what it did.

    ‖v‖ over all entries of the weight that feed one output unit; g is `parametrizations.weight.original0`, v
    `original1`. The gradient of v is orthogonal to v, so that plain SGD never shortens it. The scale of v changes
    nothing (that of the data does). Undo it with `bake_weight_norm`. Its state is that of torch's own parametrisation, which
    has no rule under `vmap` and cannot tell the units of a transposed convolution with groups apart.
    Shape: an nn.Linear or a convolution -> the same layer, its weight made from g and v at each use.
    Use: recurrent nets, generators, reinforcement learning: no dependence on the batch; with `batch_mean_only` after it.
    Source: arXiv:1602.07868, eq. 2.
    """
    require_layer("weight", layer)
    if has_weight_norm(layer):
        raise ModelError(f"norm 'weight': the weight of this {type(layer).__name__} is normed already; leave it out")
    way = _WeightNorm(cast(_ConvNd, layer))
    if bool((way.lengths(cast(Tensor, layer.weight)) == 0).any()):
        raise ModelError(
            f"norm 'weight': a unit of this {type(layer).__name__} has a weight of zero, which has no direction; "
            "initialise it first, and set g to zero where the layer must start at zero"
        )
    parametrize.register_parametrization(layer, "weight", way)
    return layer


def require_layer(name: str, layer: object) -> None:
    """Raises `ModelError` unless `layer` is a linear layer or a convolution whose shape is known."""
    if isinstance(layer, nn.Module) and any(is_lazy(one) for one in layer.parameters(recurse=False)):
        raise ModelError(f"norm {name!r}: the shape of this {type(layer).__name__} is not known yet; run a batch first")
    if not isinstance(layer, nn.Linear | _ConvNd):
        raise ModelError(
            f"norm {name!r} wraps an nn.Linear or a convolution, got {layer!r:.80}; for a whole model: norm_weights"
        )


def has_weight_norm(layer: nn.Module) -> bool:
    return parametrize.is_parametrized(layer, "weight")


class _Fused(torch.autograd.Function):
    """g v / ‖v‖ by torch's kernels, which have no rule under vmap and no right second derivative: that is written out."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, g: Tensor) -> Tensor:
        found, lengths = torch._weight_norm_interface(v, g, 0)
        ctx.save_for_backward(v, g, lengths)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (w,) = gradients
        v, g, lengths = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return cast(
                tuple[Tensor, Tensor], torch.ops.aten._weight_norm_interface_backward(w.contiguous(), v, g, lengths, 0)
            )
        over = tuple(range(1, v.dim()))
        inverse = torch.linalg.vector_norm(v, dim=over, keepdim=True).reciprocal()
        along = (w * v * inverse).sum(over, keepdim=True)
        return g * inverse * (w - v * inverse * along), along


class _WeightNorm(nn.Module):  # of torch's own name, by which optimizers know g
    """w = g v / ‖v‖. Shapes: g (out, 1, …), v that of the weight; transposed with groups: g (groups, 1, out / groups, …)."""

    def __init__(self, layer: nn.Linear | _ConvNd) -> None:
        super().__init__()
        self.groups = layer.groups if isinstance(layer, _ConvTransposeNd) else 0  # 0: units come first

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        half = v.dtype in (torch.float16, torch.bfloat16)
        if not (self.groups or half or torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()):
            return cast(Tensor, _Fused.apply(v, g))  # type: ignore[no-untyped-call]
        parts = self._parted(v)
        scale = g.to(wide(v.dtype)) / self.lengths(v)
        return (parts * scale).to(v.dtype).reshape(v.shape)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return self.lengths(weight).to(weight.dtype), weight

    def lengths(self, v: Tensor) -> Tensor:
        """‖v‖ of each unit, in the shape of g."""
        parts = self._parted(v)
        over = (1, *range(3, parts.dim())) if self.groups else tuple(range(1, parts.dim()))
        found: Tensor = torch.linalg.vector_norm(parts, dim=over, keepdim=True, dtype=wide(v.dtype))
        return found

    def _parted(self, v: Tensor) -> Tensor:
        """(groups, in / groups, out / groups, *kernel) of a transposed convolution's (in, out / groups, *kernel)."""
        return v.reshape(self.groups, -1, *v.shape[1:]) if self.groups else v


def bake_weight_norm(model: nn.Module) -> nn.Module:
    """Makes each weight under the norm `weight` a plain parameter w = g v / ‖v‖ again, in place; returns the model."""
    for module in list(model.modules()):
        if has_weight_norm(module) and isinstance(module.parametrizations.weight[0], _WeightNorm):  # type: ignore[index, union-attr]
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return model


def wrapped_inside(model: nn.Module, wrap: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """The model with each linear layer and convolution inside it wrapped, a shared one once."""
    if isinstance(model, nn.Linear | _ConvNd):
        return wrap(model)
    done: dict[int, nn.Module] = {}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):  # a shared one under each of its names
            if isinstance(child, nn.Linear | _ConvNd):
                if id(child) not in done:
                    done[id(child)] = wrap(child)
                    done[id(done[id(child)])] = done[id(child)]
                setattr(parent, name, done[id(child)])
    return model
