"""Normalisation layers, one a file.

A member of kind "features" is a factory `member(features, *, dims, …) -> nn.Module` for inputs (N, C, *positions) with
C = `features` and `dims` dimensions of positions: 0 vectors, 1 sequences, 2 pictures, 3 volumes. With dims=0 the features
are the last dimension; `layer`, `rms`, `frn` and `none` then take any leading ones, such as (N, L, C). `norm(…,
layout="last")` makes a layer for (N, *positions, C). A member of kind "weights" is `member(layer, …) -> nn.Module`: it
norms the weights of a linear layer or a convolution instead of what comes out of it.

Legend of the formulas: x input, y output, γ `weight` and β `bias` of length C, ε a small constant, μ and σ² mean and
biased variance over the entries named. Each member says in `invariant_to` what leaves its output as it is (see
`invariance.py`), and in `same_in_evaluation` whether training and evaluation compute the same.
"""

import inspect
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tunesmith.records import Catalog, ModelError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

Dims = Literal[0, 1, 2, 3]
Layout = Literal["first", "last"]
Kind = Literal["features", "weights"]
Member = TypeVar("Member", bound=Callable[..., Any])

INVARIANCES = {
    "weight_scale": "all weights of the layer before (without bias) times one λ > 0",
    "neuron_scale": "the weights of each unit of the layer before times a λ > 0 of its own",
    "batch_scale": "the whole batch times one λ > 0",
    "sample_scale": "each sample times a λ > 0 of its own",
    "shift": "one constant added to every input",
    "neuron_shift": "a constant of its own added to each channel: a bias before the norm is dead",
}

NORMS: Catalog[Callable[..., "nn.Module"]] = Catalog("norm")
NORMS.load(__path__, __name__)


def about(
    *, kind: Kind = "features", invariant_to: Collection[str] = (), same_in_evaluation: bool = True
) -> Callable[[Member], Member]:
    """Decorator: what a member acts on, what leaves its output as it is, and whether evaluation computes the same."""
    assert set(invariant_to) <= set(INVARIANCES)

    def tell(member: Member) -> Member:
        facts = {"kind": kind, "invariant_to": frozenset(invariant_to), "same_in_evaluation": same_in_evaluation}
        for name, value in facts.items():
            setattr(member, name, value)
        return member

    return tell


def kind_of(name: str) -> Kind:
    """What the member `name` acts on: "features" or "weights"."""
    kind: Kind = getattr(NORMS[name], "kind", "features")
    return kind


def norm(name: str, features: int, *, dims: Dims = 0, layout: Layout = "first", **options: Any) -> "nn.Module":
    """The layer `name` for inputs (N, features, *positions) with `dims` dimensions of positions; it keeps the shape.

    `layout="last"` takes (N, *positions, features). `options` are the member's own, such as eps, momentum or groups.
    Raises `ModelError` for a member that norms weights, for an option it does not have, and for dims outside 0 to 3.
    """
    member = NORMS[name]
    if kind_of(name) == "weights":
        raise ModelError(
            f"norm {name!r} acts on the weights of a layer, not on {features} features; "
            f"wrap the layer: NORMS[{name!r}](nn.Linear(…)), or norm_weights(model, {name!r})"
        )
    if dims not in (0, 1, 2, 3):
        raise ModelError(
            f"norm {name!r} over {dims} spatial dimensions: expected 0 (vectors), 1 (sequences), 2 (pictures) or 3 (volumes)"
        )
    if layout not in ("first", "last"):
        raise ModelError(f"norm {name!r} with layout {layout!r}: expected 'first' (N, C, …) or 'last' (N, …, C)")
    check_options(name, options)
    if layout == "first" or dims == 0:
        return member(features, dims=dims, **options)
    from tunesmith.blocks.layers.norm.layout import channels_last

    return channels_last(name, features, dims, options)


def check_options(name: str, options: Collection[str]) -> None:
    """Raises `ModelError` for an option that the member `name` does not have."""
    known = [one for one in inspect.signature(NORMS[name]).parameters if one not in ("features", "layer", "dims")]
    for option in options:
        if option not in known:
            raise ModelError(f"norm {name!r} has no option {option!r}{did_you_mean(option, known)}")


def norm_slot(name: str, features: int, *, dims: Dims = 0) -> "nn.Module":
    """What follows a layer in a net whose norm is `name`: the norm, or nothing where `norm_weights` will do it."""
    if kind_of(name) == "weights":
        return NORMS["none"](features, dims=dims)
    return norm(name, features, dims=dims)


def adds_bias(name: str) -> bool:
    """Whether a layer before the norm `name` needs no bias of its own."""
    return name != "none" and kind_of(name) == "features"


def norm_weights(model: "nn.Module", name: str, **options: Any) -> "nn.Module":
    """Norms the weights of all linear layers and convolutions inside `model` in place, where `name` acts on weights.

    For a norm of features it does nothing: that one stands between the layers. To be called after the weights were
    initialised, which the norm keeps. Returns the model, or the layer that takes its place where `model` is one layer.
    """
    if kind_of(name) != "weights":
        return model
    from tunesmith.blocks.layers.norm.weight import wrapped_inside

    check_options(name, options)
    return wrapped_inside(model, lambda layer: NORMS[name](layer, **options))


def zero_weight(layer: "nn.Module") -> None:
    """Makes a linear layer or convolution give its bias alone; under weight normalisation g becomes 0 and v stays."""
    from torch import nn

    parts = getattr(layer, "parametrizations", None)
    nn.init.zeros_(layer.weight if parts is None else parts.weight.original0)  # type: ignore[arg-type]
