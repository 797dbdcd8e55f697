"""swapped_activation: the hidden activation does not fit the depth.

Sees      the program trained with ReLU in place of sigmoids and tanhs inside, its weights drawn anew to fit; where the net is deep and has no
          norm layer and no branch around its layers, with a layer norm before each activation.
Matters   each bounded layer takes a factor off the gradient: the first layers of a deep stack stand still.
Remedies  another activation, norm layers, residual branches.
Limits    activations that are functions inside a forward are not exchanged.
Source    Glorot & Bengio, AISTATS 2010, section 3; Ba et al., arXiv:1607.06450.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.swapped_output import ENDS, end_of
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.first_signals import BOUNDED, exchanged

DEEP = 6  # hidden activations one after the other; assumption: He init carries some ten of them


@experiment("swapped_activation", faults=("act.unsuitable",), remedy="signals.exchange")
def swapped_activation(case: Case) -> Iterator[Change]:
    hidden = hidden_activations(case.bench.program.model)
    suspicion = case.suspected("act.unsuitable", "grad.vanishing", "act.saturated")
    bounded = sum(isinstance(one, BOUNDED) for _, one in hidden)
    if bounded:
        yield Change("ReLU inside", max(0.3 if bounded >= 3 else 0.08, suspicion), mend=_exchanged)
    with_norm = any("Norm" in type(one).__name__ for one in case.bench.program.model.modules())
    if len(hidden) >= DEEP and not with_norm:
        yield Change("a norm before each activation", max(0.4, suspicion), mend=normed)


def hidden_activations(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Name and module of each activation but the one that stands last."""
    last = end_of(model)
    found = [(name, one) for name, one in model.named_modules() if isinstance(one, ENDS)]
    return [(name, one) for name, one in found if last is None or name != last[0]]


def _exchanged(bench: Bench, twin: Twin) -> bool:
    return exchanged(twin, bench.batch(256, "signals"))


class _Normed(nn.Module):
    """Zero mean and unit spread of a row's units, then the activation."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        inside = nn.functional.layer_norm(x, x.shape[1:])
        return torch.as_tensor(self.activation(inside))


def normed(bench: Bench, twin: Twin) -> bool:
    """Puts a layer norm without weights before each hidden activation."""
    for name, one in hidden_activations(twin.model):
        parent, _, leaf = name.rpartition(".")
        setattr(twin.model.get_submodule(parent), leaf, _Normed(one))
    return True
