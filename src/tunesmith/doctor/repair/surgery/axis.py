"""axis: rows are rows.

Does      recurrent layers and attention are told that the batch comes first; a softmax or log-softmax over the rows goes over the classes.
Mends     rows of a batch that influence each other.
Limits    a permute or view inside a forward stays.
Source    vocabulary of model.batch_leak.
"""

from collections.abc import Iterator
from typing import Any

from torch import nn

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.repair.surgery.catalogue import surgery

SEQUENTIAL = (nn.RNNBase, nn.MultiheadAttention)
OVER = (nn.Softmax, nn.LogSoftmax, nn.Softmin)


@surgery(
    "axis",
    faults=("model.batch_leak", "output.wrong_activation", "model.train_eval_mode"),
    lines=lambda before, after, values: [
        "model = …  # batch_first=True in recurrent layers and attention, dim=-1 in softmax"
    ],
    invariant=True,
)
def axis(case: Any) -> Iterator[Change]:
    suspicion = case.suspected("model.batch_leak")
    if _odd(case.bench.program.model) and suspicion:
        yield Change("the batch as the first axis", suspicion, mend=_mend)


def _odd(model: nn.Module) -> list[nn.Module]:
    late = [one for one in model.modules() if isinstance(one, SEQUENTIAL) and not one.batch_first]
    return [*late, *(one for one in model.modules() if isinstance(one, OVER) and one.dim == 0)]


def _mend(bench: Bench, twin: Twin) -> bool:
    found = _odd(twin.model)
    for one in found:
        if isinstance(one, OVER):
            one.dim = -1
        else:
            one.batch_first = True  # type: ignore[assignment]
    return bool(found)
