"""swapped_output: the activation at the end does not fit target and loss.

Sees      the program trained without the activations that end its model, and with the form of its loss that takes raw outputs in place of
          the one that wants probabilities.
Matters   squashed outputs cannot reach their targets, or squash the gradient twice.
Remedies  end in a linear layer, with the loss that takes logits.
Limits    an activation that is a function inside the model's forward cannot be taken out.
Source    vocabulary of output.wrong_activation.
"""

from collections.abc import Iterator

from torch import nn

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.scoring import NUMBERS

RAW = {nn.NLLLoss: nn.CrossEntropyLoss, nn.BCELoss: nn.BCEWithLogitsLoss}
OPEN_ENDED = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)
ENDS = (
    nn.Softmax,
    nn.LogSoftmax,
    nn.Sigmoid,
    nn.LogSigmoid,
    nn.Tanh,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.GELU,
    nn.SiLU,
    nn.ELU,
    nn.Softplus,
    nn.Hardtanh,
    nn.Hardsigmoid,
    nn.Softsign,
)


@experiment("swapped_output", faults=("output.wrong_activation",), remedy="remedy.causes_open_output")
def swapped_output(case: Case) -> Iterator[Change]:
    loss = case.bench.program.loss_fn
    suspicion = case.suspected("output.wrong_activation")
    last = end_of(case.bench.program.model)
    if type(loss) in RAW:
        fits = last is not None and isinstance(last[1], nn.LogSoftmax if isinstance(loss, nn.NLLLoss) else nn.Sigmoid)
        likely = max(0.02 if fits else 0.5, suspicion)
        yield Change("the loss of raw outputs", likely, mend=_raw)
    elif last is not None:
        wants_raw = isinstance(loss, nn.CrossEntropyLoss | nn.BCEWithLogitsLoss) or case.bench.kind in NUMBERS
        yield Change("no activation at the end", max(0.4 if wants_raw else 0.1, suspicion), mend=_opened)


def end_of(model: nn.Module) -> tuple[str, nn.Module] | None:
    """Name and module of the activation that stands last; None where something else does."""
    leaves = [(name, one) for name, one in model.named_modules() if name and not list(one.children())]
    leaves = [(name, one) for name, one in leaves if not isinstance(one, nn.Identity | nn.Flatten | nn.Unflatten)]
    return leaves[-1] if leaves and isinstance(leaves[-1][1], ENDS) else None


def _opened(bench: Bench, twin: Twin) -> bool:
    """Takes away every activation behind the last layer with weights."""
    found = False
    while (last := end_of(twin.model)) is not None:
        parent, _, leaf = last[0].rpartition(".")
        setattr(twin.model.get_submodule(parent), leaf, nn.Identity())
        found = True
    return found


def _raw(bench: Bench, twin: Twin) -> bool:
    kind = RAW.get(type(twin.loss_fn))
    if kind is None:
        return False
    twin.loss_fn = kind()
    _opened(bench, twin)
    return True
