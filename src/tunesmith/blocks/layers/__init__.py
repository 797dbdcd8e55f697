"""The parts of networks, by name: norms, initialisers, activations, poolings."""

from typing import TYPE_CHECKING

from tunesmith.blocks.layers.activations import ACTIVATIONS, activation
from tunesmith.blocks.layers.init import INITS, gain
from tunesmith.blocks.layers.norm import NORMS, adds_bias, norm, norm_slot, norm_weights, zero_weight
from tunesmith.blocks.layers.poolings import POOLINGS, pooling, positions
from tunesmith.records.late import late

if TYPE_CHECKING:
    from tunesmith.blocks.layers.init.data_dependent import data_dependent
    from tunesmith.blocks.layers.init.lsuv import lsuv
    from tunesmith.blocks.layers.init.output_bias import output_bias_from, set_output_bias
    from tunesmith.blocks.layers.init.planning import initialise, plan
    from tunesmith.blocks.layers.init.residual import zero_residual
    from tunesmith.blocks.layers.init.signals import signal_report
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

LATE = {  # read when first asked for: a net with torch's own weights needs none of them
    "bake_weight_norm": "norm.weight",
    "batch_norm_from": "norm.convention",
    "data_dependent": "init.data_dependent",
    "data_scale_invariance": "norm.invariance",
    "eps_of": "norm.convention",
    "fold_norms": "norm.folding",
    "initialise": "init.planning",
    "invariances": "norm.invariance",
    "lsuv": "init.lsuv",
    "momentum_from": "norm.convention",
    "norm_for": "norm.advice",
    "output_bias_from": "init.output_bias",
    "plan": "init.planning",
    "set_output_bias": "init.output_bias",
    "shift_invariance": "norm.invariance",
    "signal_report": "init.signals",
    "swap_norm": "norm.swapping",
    "unbiased_var": "norm.convention",
    "weight_scale_invariance": "norm.invariance",
    "zero_residual": "init.residual",
}
__getattr__ = late(__name__, LATE)
