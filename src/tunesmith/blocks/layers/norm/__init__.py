"""Normalisation layers, one a file.

A member is a factory `member(features, *, dims) -> nn.Module` for inputs (N, C, *spatial) with C = `features` and
`dims` spatial dimensions. With dims=0 the features are the last dimension; `layer`, `rms` and `none` then take any
leading ones, such as (N, L, C). Legend of the formulas: x input, y output, γ `weight` and β `bias` of length C, ε a
small constant, μ and σ² mean and biased variance over the entries named.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from tunesmith.records import Catalog, ModelError

if TYPE_CHECKING:
    from torch import nn

Dims = Literal[0, 1, 2]

NORMS: Catalog[Callable[..., "nn.Module"]] = Catalog("norm")
NORMS.load(__path__, __name__)


def norm(name: str, features: int, *, dims: Dims = 0) -> "nn.Module":
    """The layer `name` for inputs (N, features, *spatial) with `dims` spatial dimensions; it keeps the shape."""
    if dims not in (0, 1, 2):
        raise ModelError(
            f"norm {name!r} over {dims} spatial dimensions: expected 0 (vectors), 1 (sequences) or 2 (pictures)"
        )
    return NORMS[name](features, dims=dims)
