"""The catalogue of initialisers, and what a weight's shape says.

Legend: n_in = in / groups x kernel positions, n_out = out x kernel positions. A weight stands as (out, in / groups,
*kernel), so that n_in counts the inputs of a group; n_out ignores groups, as in torch.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tunesmith.records import Catalog, ModelError

if TYPE_CHECKING:
    from torch import Tensor

Fan = Literal["fan_in", "fan_out", "fan_avg"]

INITS: Catalog[Callable[..., None]] = Catalog("init")
DEVIATIONS: Catalog[Callable[..., float]] = Catalog("init")  # the deviation that each one's law gives a weight
INITS.load([str(Path(__file__).parent)], "tunesmith.blocks.layers.init")
DEVIATIONS.load([str(Path(__file__).parent)], "tunesmith.blocks.layers.init")


def fans(weight: "Tensor") -> tuple[int, int]:
    """(n_in, n_out) of a weight (out, in / groups, *kernel); the second ignores groups, as torch's does.

    >>> import torch
    >>> fans(torch.empty(8, 3, 5, 5))
    (75, 200)
    """
    if weight.dim() < 2:
        raise ModelError(
            f"a weight of shape {tuple(weight.shape)} has no fan: expected (out, in, *kernel); leave vectors alone"
        )
    if not weight.numel():
        raise ModelError(f"a weight of shape {tuple(weight.shape)} has no entries to fill; expected at least one")
    kernel = math.prod(weight.shape[2:])
    return weight.shape[1] * kernel, weight.shape[0] * kernel


def fan(weight: "Tensor", mode: Fan) -> float:
    """The fan meant: n_in, n_out, or their mean."""
    n_in, n_out = fans(weight)
    known: dict[str, float] = {"fan_in": n_in, "fan_out": n_out, "fan_avg": (n_in + n_out) / 2}
    if mode not in known:
        raise ModelError(f"there is no fan {mode!r}; choose {', '.join(known)}")
    return known[mode]
