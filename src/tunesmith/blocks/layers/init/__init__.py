"""Initialisers, one a file, and what starts a whole model.

A member fills a weight (out, in / groups, *kernel) in place, `member(weight, activation="relu", generator=None)`, drawing
from torch's global generator or the one given. Legend: n_in = in / groups x kernel positions, n_out = out x kernel
positions; torch's n_out ignores groups, and so does this one.
"""

from typing import TYPE_CHECKING

from tunesmith.blocks.layers.init.catalogue import DEVIATIONS, INITS, Fan, fan, fans
from tunesmith.blocks.layers.init.gains import gain, rule_for
from tunesmith.records.late import late

if TYPE_CHECKING:
    from tunesmith.blocks.layers.init.output_bias import output_bias_from, set_output_bias
    from tunesmith.blocks.layers.init.planning import initialise, plan
    from tunesmith.blocks.layers.init.residual import zero_residual
    from tunesmith.blocks.layers.init.signals import SignalReport, signal_report

__all__ = [
    "DEVIATIONS",
    "INITS",
    "Fan",
    "SignalReport",
    "fan",
    "fans",
    "gain",
    "initialise",
    "output_bias_from",
    "plan",
    "rule_for",
    "set_output_bias",
    "signal_report",
    "zero_residual",
]

LATE = {  # read when first asked for; `lsuv` and `data_dependent`, which are files here too, are in `layers`
    "SignalReport": "signals",
    "initialise": "planning",
    "output_bias_from": "output_bias",
    "plan": "planning",
    "set_output_bias": "output_bias",
    "signal_report": "signals",
    "zero_residual": "residual",
}
__getattr__ = late(__name__, LATE)
