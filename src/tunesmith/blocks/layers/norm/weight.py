"""Weight normalisation. Salimans & Kingma, arXiv:1602.07868, eq. 2."""

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrizations, parametrize

from tunesmith.blocks.layers.norm import NORMS, about
from tunesmith.records import ModelError


@NORMS.add("weight")
@about(kind="weights", invariant_to=("weight_scale", "neuron_scale"))
def weight(layer: nn.Module) -> nn.Module:
    """w = g v / ‖v‖ for each output unit of `layer`, in place; g starts at ‖w‖, so that the layer computes what it did.

    ‖v‖ over all entries of the weight that feed one output unit; g is `parametrizations.weight.original0`, v
    `original1`. The gradient of v is orthogonal to v, so that plain SGD never shortens it. The scale of v changes
    nothing (that of the data does). torch's own parametrisation; undo it with `bake_weight_norm`.
    Shape: an nn.Linear or a convolution -> the same layer, its weight made from g and v at each use.
    Use: recurrent nets, generators, reinforcement learning: no dependence on the batch; with `batch_mean_only` after it.
    Source: arXiv:1602.07868, eq. 2.
    """
    require_layer("weight", layer)
    if has_weight_norm(layer):
        raise ModelError(f"norm 'weight': the weight of this {type(layer).__name__} is normed already; leave it out")
    unit = _unit_dimension(layer)
    if bool((cast(Tensor, layer.weight) == 0).movedim(unit, 0).flatten(1).all(1).any()):
        raise ModelError(
            f"norm 'weight': a unit of this {type(layer).__name__} has a weight of zero, which has no direction; "
            "initialise it first, and set g to zero where the layer must start at zero"
        )
    parametrizations.weight_norm(layer, "weight", unit)
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


def _unit_dimension(layer: nn.Module) -> int:
    """The dimension of the weight that counts output units."""
    if not isinstance(layer, _ConvTransposeNd):
        return 0
    if layer.groups == 1:
        return 1
    if layer.out_channels == layer.groups == layer.in_channels:
        return 0  # depthwise: one input a unit
    raise ModelError(
        f"norm 'weight' on a transposed convolution with {layer.groups} groups: its weight keeps no dimension of output "
        "units; use groups=1"
    )


def bake_weight_norm(model: nn.Module) -> nn.Module:
    """Makes each weight under weight normalisation a plain parameter w = g v / ‖v‖ again, in place; returns the model."""
    for module in list(model.modules()):
        if has_weight_norm(module) and type(module.parametrizations.weight[0]).__name__ == "_WeightNorm":  # type: ignore[index, union-attr]
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return model


def wrapped_inside(model: nn.Module, wrap: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """The model with each linear layer and convolution inside it wrapped, a shared one once."""
    if isinstance(model, nn.Linear | _ConvNd):
        return wrap(model)
    done: dict[int, nn.Module] = {}
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear | _ConvNd):
                if id(child) not in done:
                    done[id(child)] = wrap(child)
                    done[id(done[id(child)])] = done[id(child)]
                setattr(parent, name, done[id(child)])
    return model
