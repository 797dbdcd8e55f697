"""The worst loss near the weights. Foret et al., arXiv:2010.01412, eq. 1; adaptive: Kwon et al., arXiv:2102.11600."""

from typing import Any

import torch
from torch import nn

from tunesmith.doctor.probes.sharpness import Sharpness, direction
from tunesmith.records import RecipeError
from tunesmith.training.fixed import fixed_loss

HALVINGS = 6  # assumption: a step of 1/64 that does not climb says that there is nothing left to climb


def epsilon_sharpness(
    model: nn.Module,
    loss: Any,
    batches: Any,
    *,
    radius: float = 0.05,
    adaptive: bool = False,
    steps: int = 20,
    seed: int = 0,
) -> Sharpness:
    """max f(w + e) - f(w) over ‖e‖ <= `radius`; adaptive: over ‖e / |w|‖ <= `radius`, e of the sign and size of w.

    Ascent by conditional gradients: each step goes to the far end of the ball along the gradient, and is halved until it
    climbs. The first step alone is that of SAM (`steps=1`). The value is a lower bound, `error` what the last step added.
    The adaptive ball does not change when a whole layer and its successor are rescaled, so it is spared the example of
    the caveat; weights of 0 do not move in it. Cost: 2 passes a look, one or a few looks a step; memory: a few vectors
    as long as the weights.
    Raises `RecipeError` for settings out of range.
    Use: `adaptive=True` to compare nets whose weights differ in size; a radius of 0.05 plain, 0.5 adaptive.
    Source: arXiv:2010.01412, eq. 1 and 2; arXiv:2102.11600, section 3.
    """
    if not radius > 0 or steps < 1:
        raise RecipeError(f"radius = {radius} and steps = {steps}: both were expected above 0; SAM has 0.05")
    with fixed_loss(model, loss, batches) as fixed:
        origin = fixed.weights()
        size = origin.abs() if adaptive else torch.ones_like(origin)
        start, gradient = fixed.gradient()
        place, highest, gain = fixed.zeros(), start, 0.0
        for _ in range(steps):
            along = size * gradient
            length = along.norm()
            far = radius * (along / length if length > 0 else direction(fixed.size, seed, like=along))
            for halving in range(HALVINGS + 1):
                tried = place + (far - place) / 2**halving
                value, slope = fixed.gradient(origin + size * tried)
                if value > highest:
                    break
            else:
                break
            place, gradient, gain, highest = tried, slope, value - highest, value
        return Sharpness(value=highest - start, error=gain, passes=fixed.passes)
