"""dead_units: units that are never active are woken.

Does      a slope of 0.01 below zero in place of ReLU inside; the same with the weights drawn anew.
Mends     ReLU units without a gradient.
Limits    a rate that killed them kills again: lower it as well.
Source    Maas et al., Rectifier Nonlinearities Improve Neural Network Acoustic Models (2013).
"""

from collections.abc import Iterator
from typing import Any

from torch import nn

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.swapped_activation import hidden_activations
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.first_signals import redrawn
from tunesmith.doctor.repair.surgery.catalogue import surgery


@surgery(
    "dead_units",
    faults=("act.dead_relu", "init.bad_scale", "collapse.constant_prediction"),
    lines=lambda before, after, values: ["model = …  # nn.LeakyReLU(0.01) in place of nn.ReLU()"],
)
def dead_units(case: Any) -> Iterator[Change]:
    if any(isinstance(one, nn.ReLU) for _, one in hidden_activations(case.bench.program.model)):
        suspicion = case.suspected("act.dead_relu", "collapse.constant_prediction")
        yield Change("leaky units, drawn anew", max(0.05, 0.7 * suspicion), mend=_redrawn)
        yield Change("leaky units", max(0.03, 0.5 * suspicion), mend=_leaky)


def _leaky(bench: Bench, twin: Twin) -> bool:
    found = [(name, one) for name, one in hidden_activations(twin.model) if isinstance(one, nn.ReLU)]
    for name, _ in found:
        parent, _, leaf = name.rpartition(".")
        setattr(twin.model.get_submodule(parent), leaf, nn.LeakyReLU(0.01))
    return bool(found)


def _redrawn(bench: Bench, twin: Twin) -> bool:
    return _leaky(bench, twin) and redrawn(twin, bench.batch(256, "signals"))
