"""Other rows for a copy of the program: a tool of the experiments."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.scoring import NUMBERS
from tunesmith.records import Program

FAR = 10.0  # robust deviations; half of where the fault list calls a value an outlier: what lies beyond is pulled in to here
MOST = 20_000  # rows that a twin with other rows is trained on; assumption


def taken(bench: Bench, program: Program, places: Sequence[int] | Tensor) -> Program:
    """The program on some of its rows, shuffled as arrays are."""
    batch = bench.train.take(torch.as_tensor(places, dtype=torch.long))
    return replace(program, train=(batch.inputs, batch.target), shuffle=True)


def extreme(bench: Bench) -> float:
    """The share of rows with a number beyond twice `FAR` robust deviations in inputs or targets; 0 where there are no numbers."""
    inputs, target = _numbers(bench)
    parts = [each for each in (inputs, target) if each is not None]
    if not parts:
        return 0.0
    return float(np.mean(np.logical_or.reduce([(_distance(each) > 2 * FAR).any(1) for each in parts])))


def pulled_in(bench: Bench, program: Program) -> Program:
    """The program on rows whose numbers lie within `FAR` robust deviations of their median."""
    batch = bench.train.take(range(min(MOST, len(bench.train))))
    inputs, target = batch.inputs, batch.target
    if isinstance(inputs, Tensor) and inputs.is_floating_point() and inputs.dim() == 2:
        inputs = _bounded(inputs)
    if bench.kind in NUMBERS and target.is_floating_point():
        target = _bounded(target.reshape(len(target), -1)).reshape(target.shape)
    return replace(program, train=(inputs, target), shuffle=True)


def _numbers(bench: Bench) -> tuple[Any, Any]:
    batch = bench.train.take(range(min(MOST, len(bench.train))))
    inputs = batch.inputs
    wide = isinstance(inputs, Tensor) and inputs.is_floating_point() and inputs.dim() == 2
    numbers = bench.kind in NUMBERS and batch.target.is_floating_point()
    return (
        inputs.detach().cpu().double().numpy() if wide else None,
        batch.target.detach().cpu().double().reshape(batch.size, -1).numpy() if numbers else None,
    )


def _distance(values: Any) -> Any:
    """Distance from the median in robust deviations, by column; 0 in a column whose middle half is one value."""
    middle = np.nanmedian(values, 0)
    spread = 1.4826 * np.nanmedian(np.abs(values - middle), 0)
    flat = spread <= 0
    return np.where(flat, 0.0, np.abs(values - middle) / np.where(flat, 1.0, spread))


def _bounded(values: Tensor) -> Tensor:
    middle = values.nanmedian(0).values
    spread = 1.4826 * (values - middle).abs().nanmedian(0).values
    far = torch.where(spread > 0, FAR * spread, torch.inf)
    return torch.maximum(torch.minimum(values, middle + far), middle - far)
