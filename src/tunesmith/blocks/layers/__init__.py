"""The parts of networks, by name: norms, initialisers, activations, poolings."""

from tunesmith.blocks.layers.activations import ACTIVATIONS, activation
from tunesmith.blocks.layers.init import INITS, initialise
from tunesmith.blocks.layers.norm import NORMS, adds_bias, norm, norm_slot, norm_weights, zero_weight
from tunesmith.blocks.layers.poolings import POOLINGS, pooling, positions

__all__ = [
    "ACTIVATIONS",
    "INITS",
    "NORMS",
    "POOLINGS",
    "activation",
    "adds_bias",
    "initialise",
    "norm",
    "norm_slot",
    "norm_weights",
    "pooling",
    "positions",
    "zero_weight",
]
