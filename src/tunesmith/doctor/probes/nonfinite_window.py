"""The batch of our own loop in which loss or gradient stopped being finite, gone through again.

The loop stops before the update, so the weights are those that the batch met. Random numbers (dropout) are others than at first: where
nothing breaks with them, nothing is told.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from tunesmith.doctor.probes.nonfinite import Origin, looked_into
from tunesmith.doctor.probes.nonfinite_replay import Replay, call_of
from tunesmith.doctor.probes.nonfinite_trace import finite
from tunesmith.doctor.probes.nonfinite_update import of_update, turned_by_decay
from tunesmith.doctor.probes.nonfinite_watch import sizes
from tunesmith.training.batch import Window, seen_by
from tunesmith.training.update import Update


def origin_of_window(update: Update, window: Window, *, step: int, start: Mapping[str, float]) -> Origin | None:
    """Where in the micro-batches of update `step` (from 1) the first number that is not finite is born; None where that cannot be told.

    `start` is the root mean square of each weight at the start of the run (`sizes`). Weights that are not finite already are of the
    update before. Model, gradients and random numbers are left as they were.
    """
    named = dict(update.model.named_parameters())
    values = {name: one.detach() for name, one in named.items()}
    broken = [name for name, one in values.items() if not finite(one)]
    if broken:
        return of_update(step - 1, broken, named, values, [update.optimizer], start, noticed=step)
    now = sizes(update.model)
    grown = {name: now[name] / was for name, was in start.items() if was > 0 and math.isfinite(now.get(name, math.nan))}

    def loss_of(result: Any, target: tuple[Tensor, Tensor | None]) -> Tensor:
        total, weight = update.loss(seen_by(update.loss, result), *target)
        return total if update.loss.additive else total / weight

    device, half = update.precision.device, update.precision.half
    for batch in window:
        call = call_of(update.model, (batch.inputs,), {})
        if half is not None:
            call.autocast = (device.type, half)
        replay = Replay(model=update.model, call=call, loss_fn=loss_of, target=(batch.target, batch.weight))
        found = looked_into(replay, step=step, grown=grown)
        if found is not None:
            return _turned(replace(found, batch=None), update)
    return None


def _turned(found: Origin, update: Update) -> Origin:
    """Weights that explode because each update turns them over."""
    turned = turned_by_decay([update.optimizer]) if found.why == "exploding" else None
    if turned is None:
        return found
    numbers = {**found.numbers, "decay_times_rate": turned}
    return replace(found, why="decay_explodes", fault="reg.too_strong", numbers=numbers)
