"""robust_loss: a loss that grows no faster than the error far from the rows.

Does      Huber's loss, its bend at 1.345 robust deviations of the targets.
Mends     a regression that a few extreme targets rule.
Limits    where the extreme rows are what is to be learnt it learns them less.
Source    Huber, Robust Estimation of a Location Parameter (1964); 1.345: 95 % efficiency under normal errors.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rows import extreme
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.scoring import NUMBERS
from tunesmith.doctor.repair.surgery.catalogue import surgery

BEND = 1.345  # Huber (1964)


@surgery(
    "robust_loss",
    faults=("data.outliers", "loss.spike"),
    lines=lambda before, after, values: [f"loss_fn = nn.HuberLoss(delta={values['delta']:.3g})"],
)
def robust_loss(case: Any) -> Iterator[Change]:
    bench = case.bench
    if bench.kind not in NUMBERS or not isinstance(bench.program.loss_fn, nn.MSELoss):
        return
    if bench.kept("causes.extreme", lambda: extreme(bench)) > 0:
        likely = max(0.3, case.suspected("data.outliers"))
        yield Change("Huber's loss", likely, mend=_mend, values={"delta": _bend(bench)})


def _bend(bench: Bench) -> float:
    target = torch.as_tensor(bench.target).double().reshape(len(bench.target), -1)
    spread = 1.4826 * (target - target.median(0).values).abs().median(0).values
    return BEND * max(float(spread.median()), 1e-6)


def _mend(bench: Bench, twin: Twin) -> bool:
    twin.loss_fn = nn.HuberLoss(delta=_bend(bench))
    return True
