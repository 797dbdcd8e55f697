"""residual: a way around layers that keep their width.

Does      adds the input of each hidden linear layer or convolution of equal shape to what it gives.
Mends     deep stacks whose first layers receive no gradient.
Limits    four such layers at least; their shapes must be kept.
Source    He et al., arXiv:1512.03385, eq. 1.
"""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.repair.exchanging import leaves
from tunesmith.doctor.repair.surgery.catalogue import surgery

FEWEST = 4  # layers; assumption: shallower nets do without


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        given: Tensor = self.inner(x)
        return x + given


@surgery(
    "residual",
    faults=("act.unsuitable", "grad.vanishing", "init.bad_scale"),
    lines=lambda before, after, values: ["x = x + layer(x)  # around each hidden layer that keeps its width"],
)
def residual(case: Any) -> Iterator[Change]:
    if len(list(_square(case.bench.program.model))) >= FEWEST:
        suspicion = case.suspected("act.unsuitable", "grad.vanishing", "init.bad_scale")
        yield Change("residual links", max(0.2, 0.8 * suspicion), mend=_mend)


def _square(model: nn.Module) -> Iterator[str]:
    """Names of layers whose outputs have the shape of their inputs."""
    yield from (name for name, one in leaves(model) if _kept(one))


def _kept(one: nn.Module) -> bool:
    if type(one) is nn.Linear:
        return one.in_features == one.out_features
    return isinstance(one, nn.Conv1d | nn.Conv2d) and one.in_channels == one.out_channels and _padded(one)


def _padded(one: nn.Conv1d | nn.Conv2d) -> bool:
    """Whether a convolution keeps the size."""
    if set(one.stride) != {1} or isinstance(one.padding, str):
        return set(one.stride) == {1} and one.padding == "same"
    return all(2 * pad == size - 1 for pad, size in zip(one.padding, one.kernel_size, strict=True))


def _mend(bench: Bench, twin: Twin) -> bool:
    found = list(_square(twin.model))
    for name in found:
        parent, _, leaf = name.rpartition(".")
        owner = twin.model.get_submodule(parent)
        setattr(owner, leaf, Residual(getattr(owner, leaf)))
    return bool(found)
