"""How the predictions for one fixed batch move over the first updates: a tool, for pages and for people.

A healthy net's predictions wander off from where they started and settle towards the targets; they tremble where the rate is
too high and stand where it is too low. Karpathy, "A Recipe for Training Neural Networks" (2019), "visualize prediction dynamics".
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.courses import feeding

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Dynamics:
    """The predictions for a fixed batch, before the first update and after some of the updates."""

    steps: Array  # (T,) updates made when the batch was looked at; the first is 0
    values: Array  # (T, N, K): probabilities of the classes, or the outputs
    losses: Array  # (T,) loss of the batch, in evaluation mode
    target: Array  # (N, ...)
    probabilities: bool
    stopped: str = ""  # why it ended early; "" where it did not


def dynamics(bench: Bench, steps: int, *, rows: int = 16, points: int = 60) -> Dynamics:
    """Trains a copy for some updates as the program feeds and steps, and looks at one batch at about `points` places on the way."""
    batch = bench.batch(rows, "dynamics")
    twin = bench.twin()
    wanted = {0, *np.unique(np.linspace(0, steps, min(points, steps + 1)).round().astype(int)).tolist()}
    at, values, losses, stopped = [], [], [], ""
    feed = feeding(bench)
    for step in range(steps + 1):
        if step in wanted:
            loss, outputs = twin.judged(batch)
            at.append(step)
            values.append(outputs.float().cpu().reshape(batch.size, -1).numpy())
            losses.append(loss)
        if step == steps:
            break
        if bench.clock.spent_up:
            stopped = "the time was spent"
            break
        twin.step(next(feed))
    shown, chances = _as_probabilities(np.stack(values), bench)
    return Dynamics(np.array(at), shown, np.array(losses), batch.target.cpu().numpy(), chances, stopped)


def _as_probabilities(values: Array, bench: Bench) -> tuple[Array, bool]:
    """Logits of classes as probabilities; what already lies in 0 … 1, or is no class, as it is."""
    if bench.kind not in ("binary", "multiclass", "multilabel"):
        return values, False
    if np.isfinite(values).all() and values.min() >= 0.0 and values.max() <= 1.0:
        return values, True
    logits = torch.from_numpy(values)
    if bench.kind == "multilabel" or values.shape[-1] == 1:
        return torch.sigmoid(logits).numpy(), True
    return torch.softmax(logits, -1).numpy(), True
