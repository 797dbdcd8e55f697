"""normalisation_inserted: a layer norm before each hidden activation.

Does      zero mean and unit spread of a row's units before each activation, without weights of its own.
Mends     signals and gradients that grow or vanish through the layers.
Limits    nets without a norm; activations that are functions inside a forward have no place for one.
Source    Ba et al., arXiv:1607.06450.
"""

from collections.abc import Iterator
from typing import Any

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.swapped_activation import DEEP, hidden_activations, normed
from tunesmith.doctor.repair.surgery.catalogue import surgery


@surgery(
    "normalisation_inserted",
    faults=("grad.vanishing", "grad.exploding", "act.saturated", "act.dead_relu", "init.bad_scale", "act.unsuitable"),
    lines=lambda before, after, values: ["model = …  # nn.LayerNorm before each hidden activation"],
)
def normalisation_inserted(case: Any) -> Iterator[Change]:
    model = case.bench.program.model
    found = hidden_activations(model)
    if not found or len(found) >= DEEP or any("Norm" in type(one).__name__ for one in model.modules()):
        return  # in deep nets `activation` does the same
    suspicion = case.suspected("grad.vanishing", "grad.exploding", "act.saturated", "act.dead_relu", "init.bad_scale")
    yield Change("a norm before each activation", max(0.05, 0.5 * suspicion), mend=normed)
