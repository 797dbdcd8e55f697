"""The largest eigenvalue of the Hessian, now and then, on a batch of the run.

Needs a loss that was given, and a model that takes one input. Weights, gradients, modes, buffers and generators stay as they were.
"""

import time
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.probes.hessian import hessian_ends
from tunesmith.records import TunesmithError

ITERATIONS = 8  # Lanczos' top value is within some per cent by then on usual nets; assumption
WEIGHTS = 4_000_000  # of larger models the vectors are too long for a look beside; assumption
ROWS = 128


class Curvature:
    """`note` says what the last look cost, or why there is none."""

    def __init__(self, loss_fn: Any) -> None:
        self.loss_fn = loss_fn
        self.note = "" if callable(loss_fn) else "no loss_fn was given"

    @property
    def able(self) -> bool:
        return not self.note.startswith("no ")

    def look(self, model: nn.Module, inputs: Any, target: Any) -> tuple[float, float] | None:
        """Eigenvalue and seconds; None where it cannot be."""
        if not self.able or not isinstance(inputs, Tensor) or not isinstance(target, Tensor):
            return None
        weights = sum(one.numel() for one in model.parameters() if one.requires_grad)
        if weights > WEIGHTS:
            self.note = f"no look: {weights} weights are more than {WEIGHTS}"
            return None
        began = time.perf_counter()
        try:
            with torch.autocast(inputs.device.type, enabled=False):
                found = hessian_ends(model, self.loss_fn, (inputs[:ROWS], target[:ROWS]), iterations=ITERATIONS, seed=0)
        except (TunesmithError, RuntimeError, ValueError, TypeError, IndexError) as error:
            self.note = f"no second derivative: {type(error).__name__}: {error}"[:200]
            return None
        seconds = time.perf_counter() - began
        self.note = f"{found.passes} passes over {min(ROWS, len(inputs))} rows in {seconds:.3f} s"
        return found.top.value, seconds
