"""One layer filled by one member: transposed and grouped convolutions, weights behind a parametrization, attention,
recurrent layers, embeddings."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize

from tunesmith.blocks.layers.init.catalogue import INITS
from tunesmith.blocks.layers.init.passing import untouched
from tunesmith.records import ModelError

Member = Callable[..., None]


def held_by(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that the weight of a layer is, or is made of."""
    if parametrize.is_parametrized(module, "weight"):
        return list(module.parametrizations.weight.parameters())  # type: ignore[union-attr]
    made_of = [getattr(module, name, None) for name in ("weight", "weight_v", "weight_g", "weight_orig")]
    return [one for one in made_of if isinstance(one, nn.Parameter)]


def shape_of(module: nn.Module) -> tuple[int, ...]:
    """(out, in / groups, *kernel) of a linear layer or a convolution, transposed ones too."""
    if isinstance(module, _ConvNd):
        return (module.out_channels, module.in_channels // module.groups, *module.kernel_size)
    return (cast(int, module.out_features), cast(int, module.in_features))


def weight_of(module: nn.Module) -> Tensor:
    """The weight that a layer uses; a parametrization makes it in evaluation mode, and keeps its own buffers."""
    if not parametrize.is_parametrized(module, "weight"):
        return cast(Tensor, module.weight)
    with untouched(module):
        return cast(Tensor, module.weight)


def as_outputs(module: nn.Module, weight: Tensor) -> Tensor:
    """A weight as its layer holds it, as (out, in / groups, *kernel)."""
    if not isinstance(module, _ConvTransposeNd):
        return weight
    groups = module.groups
    parts = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    return parts.transpose(1, 2).flatten(0, 1)


def as_held(module: nn.Module, weight: Tensor) -> Tensor:
    """(out, in / groups, *kernel) as the layer holds it: a transposed convolution as (in, out / groups, *kernel)."""
    return as_outputs(module, weight)  # the exchange is its own inverse


@torch.no_grad()
def fill_weight(module: nn.Module, member: Member, activation: str) -> None:
    """Fills the weight of a linear layer or a convolution by a member, as (out, in / groups, *kernel)."""
    groups = getattr(module, "groups", 1)
    by_group = groups > 1 and "groups" in inspect.signature(member).parameters
    given: dict[str, Any] = {"groups": groups} if by_group else {}
    weight = weight_of(module)
    if isinstance(weight, nn.Parameter) and not isinstance(module, _ConvTransposeNd):
        member(weight, activation, **given)
        return
    made = torch.empty(shape_of(module), dtype=weight.dtype, device=weight.device)
    member(made, activation, **given)
    set_weight(module, as_held(module, made))


@torch.no_grad()
def set_weight(module: nn.Module, weight: Tensor) -> None:
    """Gives a layer this weight, through its parametrization where it has one.

    Raises `ModelError` where a parametrization cannot be given a weight.
    """
    if parametrize.is_parametrized(module, "weight"):
        try:
            module.weight = weight
        except (RuntimeError, NotImplementedError) as error:
            raise ModelError(
                f"the parametrization of a {type(module).__name__} cannot be given a weight "
                f"({' '.join(str(error).split())[:120]}); initialise the layer before it is parametrized"
            ) from error
    elif isinstance(module.weight, nn.Parameter):
        module.weight.copy_(weight)
    elif hasattr(module, "weight_g"):
        _set_weight_norm(module, weight)
    elif hasattr(module, "weight_orig"):
        module.weight_orig.copy_(weight)  # type: ignore[operator]
        module.weight = weight.clone()
    else:
        raise ModelError(
            f"the weight of a {type(module).__name__} is no parameter; initialise the layer before its weight is replaced"
        )


def is_weight_normed(module: nn.Module) -> bool:
    """Whether the weight of a layer is g v / ‖v‖, by torch's parametrization or its older hook."""
    if parametrize.is_parametrized(module, "weight"):
        parts = list(module.parametrizations.weight)  # type: ignore[union-attr, arg-type]
        return len(parts) == 1 and type(parts[0]).__name__ == "_WeightNorm"
    return hasattr(module, "weight_g") and hasattr(module, "weight_v")


def length_of(module: nn.Module) -> nn.Parameter:
    """g of a layer under weight normalisation."""
    if parametrize.is_parametrized(module, "weight"):
        return cast(nn.Parameter, module.parametrizations.weight.original0)  # type: ignore[union-attr]
    return cast(nn.Parameter, module.weight_g)


def _set_weight_norm(module: nn.Module, weight: Tensor) -> None:
    """The weight of a layer under the older `torch.nn.utils.weight_norm`: direction and length."""
    dim = next((hook.dim for hook in module._forward_pre_hooks.values() if hasattr(hook, "dim")), 0)
    module.weight_v.copy_(weight)  # type: ignore[operator]
    module.weight_g.copy_(torch.norm_except_dim(weight, 2, dim))  # type: ignore[operator]
    module.weight = weight.clone()


@torch.no_grad()
def fill_attention(module: nn.MultiheadAttention) -> None:
    """Glorot for the projections of queries, keys and values as three matrices; their biases 0."""
    packed = module.in_proj_weight
    separate = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    for weight in packed.chunk(3) if packed is not None else separate:
        INITS["xavier_uniform"](weight)
    if module.in_proj_bias is not None:
        module.in_proj_bias.zero_()


@torch.no_grad()
def fill_recurrent(module: nn.RNNBase | nn.RNNCellBase) -> None:
    """Glorot for input weights and orthogonal for hidden ones, gate by gate; biases 0, forget gates of an LSTM at 1."""
    lstm = isinstance(module, (nn.LSTM, nn.LSTMCell))
    for name, value in module.named_parameters(recurse=False):
        if name.startswith("bias"):
            value.zero_()
            if lstm and name.startswith("bias_ih"):
                value[module.hidden_size : 2 * module.hidden_size] = 1.0  # gates stand as input, forget, cell, output
        else:
            for gate in _gates(module, name, value):
                INITS["orthogonal" if name.startswith("weight_hh") else "xavier_uniform"](gate)


def _gates(module: nn.RNNBase | nn.RNNCellBase, name: str, value: Tensor) -> Iterator[Tensor]:
    yield from (value,) if name.startswith("weight_hr") else value.chunk(value.shape[0] // module.hidden_size)


@torch.no_grad()
def fill_embedding(module: nn.Embedding | nn.EmbeddingBag, member: Member) -> None:
    """An embedding by a member; the padding row 0."""
    member(module.weight)
    if module.padding_idx is not None:
        module.weight[module.padding_idx].zero_()
