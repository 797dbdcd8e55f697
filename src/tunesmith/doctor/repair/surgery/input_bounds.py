"""input_bounds: inputs far from all others are pulled in, inside the model.

Does      bounds each column at ten robust deviations from its median, in training and in judging alike.
Mends     a few extreme cells that rule losses and gradients.
Limits    tables of numbers.
Source    vocabulary of data.outliers (winsorising).
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rows import FAR, MOST, extreme
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.repair.surgery.catalogue import surgery


@surgery(
    "input_bounds",
    faults=("data.outliers", "loss.spike", "data.unscaled_inputs", "data.missing"),
    lines=lambda before, after, values: [
        "middle = X_train.median(0).values; far = 10 * 1.4826 * (X_train - middle).abs().median(0).values",
        "model.register_forward_pre_hook(lambda module, given: (given[0].clamp(middle - far, middle + far),))",
    ],
)
def input_bounds(case: Any) -> Iterator[Change]:
    bench = case.bench
    inputs = bench.batch(8, "input_bounds").inputs
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point() or inputs.dim() != 2:
        return
    if bench.kept("causes.extreme", lambda: extreme(bench)) > 0:
        yield Change("extreme inputs pulled in", max(0.2, case.suspected("data.outliers")), mend=_mend)


class Bounded:
    """A hook before the forward pass."""

    def __init__(self, low: Tensor, high: Tensor) -> None:
        self.low, self.high = low, high

    def __call__(self, module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (given[0].clamp(self.low.to(given[0]), self.high.to(given[0])), *given[1:])


def _mend(bench: Bench, twin: Twin) -> bool:
    inputs = bench.train.take(range(min(MOST, len(bench.train)))).inputs
    middle = inputs.nanmedian(0).values
    spread = 1.4826 * (inputs - middle).abs().nanmedian(0).values
    far = torch.where(spread > 0, FAR * spread, torch.inf)
    twin.model.register_forward_pre_hook(Bounded(middle - far, middle + far))
    return True
