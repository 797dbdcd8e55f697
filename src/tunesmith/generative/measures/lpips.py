"""Mean perceptual distance of random pairs of pictures. Zhang et al., LPIPS, arXiv:1801.03924, by the package `lpips`."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tunesmith.generative.distances import slices
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import points, tensor
from tunesmith.records import DataError, MissingExtra, RecipeError

Distance = Callable[[Tensor, Tensor], Tensor]  # two batches (B, 3, H, W) from -1 to 1 to B numbers
Net = Literal["alex", "vgg", "squeeze"]
PAIRS = 100  # Zhu et al., arXiv:1711.11586, give as many samples a picture a pair each
BATCH = 25  # pairs that go through the net at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Perceptual:
    """The mean over the pairs and its standard error."""

    value: float
    error: float
    pairs: int


@MEASURES.add("lpips")
def perceptual_distance(
    pictures: Any,
    *,
    pairs: int = PAIRS,
    low: float = 0.0,
    high: float = 1.0,
    net: Net = "alex",
    distance: Distance | None = None,
    seed: int = 0,
) -> Perceptual:
    """E d(x_i, x_j) over random pairs of different pictures, d the distance of `lpips`.

    Shape: `pictures` (N, 3, H, W) or (N, 1, H, W), whose values go from `low` to `high`. Each pair is drawn anew, two
    different pictures of the N. `distance` is another function of two batches, scaled to -1 … 1, such as `lpips_distance("vgg")`
    made once and kept. See it beside the same of real pictures; of one class at a time, where there are classes.

    Raises `MissingExtra` without the package or its weights, `DataError` for what are no such pictures, `RecipeError` for
    settings out of range.
    Use: collapse within a class, where pictures differ in pixels and look the same.
    Source: Zhang et al., arXiv:1801.03924; over pairs of samples, Zhu et al., arXiv:1711.11586.

    >>> apart = lambda one, other: (one - other).abs().flatten(1).mean(1)
    >>> perceptual_distance(np.stack([np.zeros((1, 8, 8)), np.ones((1, 8, 8))]), pairs=3, distance=apart).value
    2.0
    """
    if isinstance(pairs, bool) or not isinstance(pairs, int) or pairs < 2 or not low < high:
        raise RecipeError(
            f"pairs = {pairs!r}, low = {low!r}, high = {high!r}: 2 pairs or more and low < high were expected"
        )
    given = _pictures(pictures, low, high)
    if distance is None:
        measure, given = lpips_distance(net), given.cpu()
    else:
        measure = distance
    rng = np.random.default_rng(seed)
    first = rng.integers(0, len(given), pairs)
    second = (first + rng.integers(1, len(given), pairs)) % len(given)  # any other picture
    with torch.no_grad():
        found = torch.cat(
            [measure(given[first[some]], given[second[some]]).reshape(-1) for some in slices(pairs, BATCH)]
        )
    if len(found) != pairs:
        raise DataError(f"the distance gave {len(found)} numbers for {pairs} pairs; one a pair was expected")
    return Perceptual(value=float(found.double().mean()), error=float(found.double().std() / pairs**0.5), pairs=pairs)


def lpips_distance(net: Net = "alex") -> Distance:
    """The distance of the package, on the CPU, with the weights of its authors.

    The package brings its linear layers; those of the net below come through torchvision, which downloads them once.

    Raises `MissingExtra` without package or weights, `RecipeError` for a net that it does not have.
    """
    if net not in ("alex", "vgg", "squeeze"):
        raise RecipeError(f"net = {net!r}: alex, vgg or squeeze was expected")
    try:
        import lpips
    except ImportError:
        raise MissingExtra(
            "the perceptual distance needs lpips, which is not here; pip install 'tunesmith[lpips]'"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks torchvision for weights by a word of older versions
            made: Distance = lpips.LPIPS(net=net, verbose=False)
    except OSError as error:
        raise MissingExtra(
            f"the weights of {net} are not here and could not be downloaded ({error}); put torchvision's file into "
            f"{torch.hub.get_dir()}/checkpoints"
        ) from error
    return made


def _pictures(given: Any, low: float, high: float) -> Tensor:
    found = tensor(given, "pictures")
    if found.ndim != 4 or found.shape[1] not in (1, 3) or len(found) < 2:
        raise DataError(
            f"pictures came with shape {tuple(found.shape)}; expected two or more, (N, 3, H, W) or (N, 1, H, W)"
        )
    points(found, "pictures")
    least, most = float(found.min()), float(found.max())
    if least < low or most > high:
        raise DataError(
            f"pictures hold values from {least:.4g} to {most:.4g}; give low and high that hold them, not {low} and {high}"
        )
    scaled = ((found.float() - low) * (2 / (high - low)) - 1).clamp(-1, 1)
    return scaled.expand(-1, 3, -1, -1)
