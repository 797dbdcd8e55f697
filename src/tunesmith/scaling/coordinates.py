"""The coordinate check: how far the outputs of each layer move in the first updates, by the width of the net.

Nets of several widths make a few updates on the same batch. Of each layer with parameters, |h_t - h_0| is averaged over rows and units, and the
slope of its logarithm by that of the width is fitted over widths and seeds. Under µP every slope is near 0, or below it; where one is above,
a net that is wide enough diverges at the rate that suits a narrow one.

Source: Yang et al., Tensor Programs V, arXiv:2203.03466, section "Verifying µP implementation" (appendix D.1).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.records import DataError
from tunesmith.scaling.carrying import slope_of
from tunesmith.scaling.laws import Between

GROWS = 0.2  # slope: over a sixteenfold width the change grows by 1.7; assumption
STEPS = 4


@dataclass(frozen=True, slots=True)
class Stepper:
    """A net and its optimizer on one batch: `forward()` computes its outputs without a trace, `update()` makes one update."""

    model: nn.Module
    forward: Callable[[], Any]
    update: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Coordinates:
    """`moved[layer]` are (width, seed, change) after the last update, `slopes[layer]` how the change goes with the width."""

    widths: tuple[int, ...]
    steps: int
    moved: dict[str, list[tuple[int, int, float]]]
    slopes: dict[str, Between]

    @property
    def steepest(self) -> str:
        """The layer whose change grows most with the width."""
        return max(self.slopes, key=lambda name: self.slopes[name].value)

    @property
    def flat(self) -> bool:
        """Whether no layer's change grows with the width, beyond `GROWS` and the error of its slope."""
        return not any(one.value > GROWS and one.low > 0 for one in self.slopes.values())

    def line(self) -> str:
        """What it says, in a sentence."""
        slope = self.slopes[self.steepest]
        how = "no layer's change grows with the width" if self.flat else "the change grows with the width"
        return (
            f"{how}: over widths {self.widths[0]} to {self.widths[-1]}, after {self.steps} updates, that of {self.steepest} goes with "
            f"width^{slope.value:+.2f} [{slope.low:+.2f}, {slope.high:+.2f}], the steepest of {len(self.slopes)} layers"
        )


def coordinate_check(
    build: Callable[[int, int], Stepper], widths: Sequence[int], *, seeds: Sequence[int] = (0, 1, 2), steps: int = STEPS
) -> Coordinates:
    """The check over nets that `build(width, seed)` gives. Raises `DataError` for fewer than three widths, or layers that differ."""
    wide = sorted(set(widths))
    if len(wide) < 3:
        raise DataError(f"widths {wide}: three or more are needed, for example 32, 128, 512")
    moved: dict[str, list[tuple[int, int, float]]] = {}
    for width in wide:
        for seed in seeds:
            made = build(width, seed)
            before = outputs(made)
            for _ in range(steps):
                made.update()
            after = outputs(made)
            for name, value in before.items():
                change = float((after[name] - value).abs().mean())
                if math.isfinite(change) and change > 0:
                    moved.setdefault(name, []).append((width, seed, change))
    whole = len(wide) * len(seeds)
    slopes = {}
    for name, found in moved.items():
        if len(found) == whole:
            slope = slope_of([(math.log2(width), math.log2(change)) for width, _, change in found])
            assert slope is not None
            slopes[name] = slope
    if not slopes:
        raise DataError(
            "no layer's output moved in all of the nets, or none is in all of them; the nets may differ in their width alone"
        )
    return Coordinates(tuple(wide), steps, moved, slopes)


def outputs(made: Stepper) -> dict[str, Tensor]:
    """What each layer with parameters of its own gives, by name, in evaluation mode; dropout would move it too."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(layer: nn.Module, given: Any, gave: Any) -> None:
            if isinstance(gave, Tensor) and gave.is_floating_point():
                found[name] = gave.detach().clone()

        return hook

    hooks = [
        layer.register_forward_hook(keep(name))
        for name, layer in made.model.named_modules()
        if any(True for _ in layer.parameters(recurse=False))
    ]
    training = made.model.training
    made.model.eval()
    try:
        with torch.no_grad():
            made.forward()
    finally:
        made.model.train(training)
        for hook in hooks:
            hook.remove()
    return found
