"""The parts of networks, by name: norms, initialisers, activations, poolings."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tunesmith.blocks.layers.activations import ACTIVATIONS, activation
from tunesmith.blocks.layers.init import (
    INITS,
    data_dependent,
    gain,
    initialise,
    lsuv,
    output_bias_from,
    plan,
    set_output_bias,
    signal_report,
    zero_residual,
)
from tunesmith.blocks.layers.norm import NORMS, adds_bias, norm, norm_slot, norm_weights, zero_weight
from tunesmith.blocks.layers.poolings import POOLINGS, pooling, positions

if TYPE_CHECKING:
    from tunesmith.blocks.layers.norm.advice import norm_for
    from tunesmith.blocks.layers.norm.convention import batch_norm_from, eps_of, momentum_from, unbiased_var
    from tunesmith.blocks.layers.norm.folding import fold_norms
    from tunesmith.blocks.layers.norm.invariance import (
        data_scale_invariance,
        invariances,
        shift_invariance,
        weight_scale_invariance,
    )
    from tunesmith.blocks.layers.norm.swapping import swap_norm
    from tunesmith.blocks.layers.norm.weight import bake_weight_norm

__all__ = [
    "ACTIVATIONS",
    "INITS",
    "NORMS",
    "POOLINGS",
    "activation",
    "adds_bias",
    "bake_weight_norm",
    "batch_norm_from",
    "data_dependent",
    "data_scale_invariance",
    "eps_of",
    "fold_norms",
    "gain",
    "initialise",
    "invariances",
    "lsuv",
    "momentum_from",
    "norm",
    "norm_for",
    "norm_slot",
    "norm_weights",
    "output_bias_from",
    "plan",
    "pooling",
    "positions",
    "set_output_bias",
    "shift_invariance",
    "signal_report",
    "swap_norm",
    "unbiased_var",
    "weight_scale_invariance",
    "zero_residual",
    "zero_weight",
]

NORM_TOOLS = {  # read when first asked for: nothing that trains a net needs them
    "bake_weight_norm": "weight",
    "batch_norm_from": "convention",
    "data_scale_invariance": "invariance",
    "eps_of": "convention",
    "fold_norms": "folding",
    "invariances": "invariance",
    "momentum_from": "convention",
    "norm_for": "advice",
    "shift_invariance": "invariance",
    "swap_norm": "swapping",
    "unbiased_var": "convention",
    "weight_scale_invariance": "invariance",
}


def __getattr__(name: str) -> Any:
    if name not in NORM_TOOLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.norm.{NORM_TOOLS[name]}"), name)
