"""nonlinearity: ReLU between layers that follow each other with nothing between.

Does      puts a ReLU before the second of two linear layers in a `Sequential`.
Mends     a deep net that can only say what one linear layer can.
Limits    layers that are called in a forward of the program's own stay.
Source    vocabulary of model.missing_nonlinearity.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from torch import nn

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.first_signals import redrawn
from tunesmith.doctor.repair.surgery.catalogue import surgery

BETWEEN = (nn.Dropout, nn.Identity, nn.modules.batchnorm._BatchNorm, nn.LayerNorm)
LINEAR = (nn.Linear, nn.modules.conv._ConvNd)


@surgery(
    "nonlinearity",
    faults=("model.missing_nonlinearity", "model.too_small"),
    lines=lambda before, after, values: ["model = …  # nn.ReLU() between linear layers that follow each other"],
)
def nonlinearity(case: Any) -> Iterator[Change]:
    if list(_bare(case.bench.program.model)):
        yield Change("ReLU between the layers", max(0.3, case.suspected("model.missing_nonlinearity")), mend=_mend)


def _bare(model: nn.Module) -> Iterator[tuple[nn.Sequential, str]]:
    """The chain and the name in it of each linear layer that follows another with nothing between that bends."""
    for chain in (one for one in model.modules() if isinstance(one, nn.Sequential)):
        telling = [(name, one) for name, one in chain.named_children() if not isinstance(one, BETWEEN)]
        for (_, first), (name, second) in pairwise(telling):
            if isinstance(first, LINEAR) and isinstance(second, LINEAR):
                yield chain, name


def _mend(bench: Bench, twin: Twin) -> bool:
    found = list(_bare(twin.model))
    for chain, name in found:
        setattr(chain, name, nn.Sequential(nn.ReLU(), getattr(chain, name)))
    return bool(found) and redrawn(twin, bench.batch(256, "signals"))
