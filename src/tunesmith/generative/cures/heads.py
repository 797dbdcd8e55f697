"""The two small nets behind an encoder: a projector, whose outputs the loss sees, and a predictor, which makes both views unlike."""

from itertools import pairwise
from typing import Literal

from torch import nn

from tunesmith.generative.cures import CURES
from tunesmith.records import ModelError

Norm = Literal["hidden", "all", "none"]
NORMS = ("hidden", "all", "none")


@CURES.add("projector")
def projector(
    inputs: int, outputs: int, *, hidden: int | None = None, layers: int = 3, norm: Norm = "hidden"
) -> nn.Sequential:
    """Linear, batch norm, ReLU, … , linear: `layers` of them, as wide as `hidden` inside (as the outputs, where nothing is said).

    `norm` puts batch norm behind the hidden layers (VICReg, Barlow Twins, BYOL), behind all (SimSiam; no scale and shift behind
    the last), or nowhere. What is used later is the encoder; the projector takes what the loss does to its inputs.

    Raises `ModelError` for a width below 1 or another norm.
    Use: between the encoder and any loss of two views.
    Source: Chen et al., SimCLR, arXiv:2002.05709, section 4.2; Chen & He, arXiv:2011.10566, section 3.

    >>> [type(layer).__name__ for layer in projector(8, 4, layers=2)]
    ['Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    wide = outputs if hidden is None else hidden
    _check({"inputs": inputs, "outputs": outputs, "hidden": wide, "layers": layers}, norm)
    sizes = [inputs, *[wide] * (layers - 1), outputs]
    found: list[nn.Module] = []
    for place, (one, two) in enumerate(pairwise(sizes)):
        last = place == layers - 1
        normed = norm == "all" or (norm == "hidden" and not last)
        found.append(nn.Linear(one, two, bias=not normed))
        found += [nn.BatchNorm1d(two, affine=not last)] if normed else []
        found += [] if last else [nn.ReLU()]
    return nn.Sequential(*found)


@CURES.add("predictor")
def predictor(width: int, *, hidden: int | None = None, norm: bool = True) -> nn.Sequential:
    """Linear, batch norm, ReLU, linear, back to `width`; `hidden` is a quarter of it where nothing is said.

    Raises `ModelError` for a width below 1.
    Use: with `simsiam` and `byol`; without it they collapse.
    Source: Chen & He, arXiv:2011.10566, section 3: a bottleneck of a quarter; Grill et al., arXiv:2006.07733, section 3.3.

    >>> [tuple(layer.weight.shape) for layer in predictor(8, norm=False) if hasattr(layer, "weight")]
    [(2, 8), (8, 2)]
    """
    inside = max(1, width // 4) if hidden is None else hidden
    _check({"width": width, "hidden": inside}, "hidden")
    normed: list[nn.Module] = [nn.BatchNorm1d(inside)] if norm else []
    return nn.Sequential(nn.Linear(width, inside, bias=not norm), *normed, nn.ReLU(), nn.Linear(inside, width))


def _check(sizes: dict[str, int], norm: str) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ModelError(f"{name} = {size!r}: a whole number of 1 or more was expected")
    if norm not in NORMS:
        raise ModelError(f"norm = {norm!r}: one of {', '.join(NORMS)} was expected")
