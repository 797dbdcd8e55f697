"""Scalers of all columns together: the features are uncorrelated and have variance 1 in the training part.

With mean μ, deviations X - μ = U S Vᵀ of N rows (singular value decomposition) and standard deviations s = S / √N:

    pca   z = (x - μ) V / s         features by falling variance of their direction
    zca   z = (x - μ) V / s Vᵀ      symmetric: of all such features the nearest to x - μ

Kessy, Lewin & Strimmer, Optimal Whitening and Decorrelation, arXiv:1512.00809, sections 2 and 3. Directions in which the
training part does not vary give 0 (pca: as the last features). With ε each s² is first raised by ε times the largest s²,
which keeps noise in the small directions of pictures down; then variances are below 1. Uncorrelated is not independent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.data.scalers import SCALERS
from tunesmith.data.spec import Array
from tunesmith.records import DataError

ROWS = 8192  # rows of a block, so that no second copy of the data is held


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Features (x - center) @ forward, of the type of x; `backward` takes them back."""

    center: Array  # float64 (columns,)
    forward: Array  # float64 (columns, columns)
    backward: Array  # float64 (columns, columns)
    rank: int  # directions that vary in the training part

    @property
    def widths(self) -> tuple[int, ...]:
        return (1,) * len(self.center)

    def transform(self, values: Array) -> Array:
        kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
        features = np.empty((len(values), len(self.center)), kind)
        for start in range(0, len(values), ROWS):
            block = slice(start, start + ROWS)
            features[block] = (np.asarray(values[block], np.float64) - self.center) @ self.forward
        return features

    def inverse(self, features: Array) -> Array:
        return np.asarray(features, np.float64) @ self.backward + self.center

    def to_json(self) -> dict[str, Any]:
        parts = {"center": self.center, "forward": self.forward, "backward": self.backward}
        return {name: part.tolist() for name, part in parts.items()} | {"rank": self.rank}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        columns = len(plain["center"])
        parts = {
            name: np.asarray(plain[name], np.float64).reshape(columns, columns) for name in ("forward", "backward")
        }
        return cls(np.asarray(plain["center"], np.float64), **parts, rank=plain["rank"])


def directions(values: Array) -> tuple[Array, Array, Array]:
    """Mean, standard deviations s by falling size and directions V (columns, rank) in which the rows vary.

    The decomposition is that of the triangle R of X - μ = Q R, a block of rows at a time: small directions keep the digits
    that the squares of a covariance matrix would lose.
    """
    columns = values.shape[1]
    mean = values.mean(axis=0, dtype=np.float64)
    triangle: Array = np.empty((0, columns))
    for start in range(0, len(values), ROWS):
        block = np.asarray(values[start : start + ROWS], np.float64) - mean
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, block]), mode="r"))
    triangle[:, np.asarray(values.min(axis=0) == values.max(axis=0))] = 0.0  # exactly, whatever the mean was rounded to
    _, lengths, turned = np.linalg.svd(triangle, full_matrices=False)
    most = lengths.max(initial=0.0)
    kept = lengths > most * max(values.shape) * np.finfo(np.float64).eps  # the rank as numpy counts it
    axes = turned[kept].T
    axes *= np.where(axes.sum(axis=0) < 0, -1.0, 1.0)  # a sign that does not depend on the library
    return mean, lengths[kept] / np.sqrt(len(values)), axes


def _raised(spread: Array, eps: float) -> Array:
    if not 0 <= eps < 1:
        raise DataError(f"whitening with eps {eps}: expected a share of the largest variance, at least 0 and below 1")
    return np.asarray(np.sqrt(spread**2 + eps * spread.max(initial=0.0) ** 2))


def _refuse_empty(values: Array) -> None:
    if values.ndim != 2 or not len(values):
        raise DataError(f"whitening needs rows of numbers (N, columns), got an array of shape {values.shape}")


@SCALERS.add("pca")
class PCA(Whitening):
    """z = (x - μ) V / s: uncorrelated features of variance 1, those of the widest direction first.

    Use: correlated columns for a linear model or an MLP; with `eps` where small directions are noise.

    >>> scaler = PCA.fit(np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    >>> scaler.transform(np.array([[2.0, 1.0]])).round(6).tolist()
    [[1.414214, 1.414214]]
    """

    __slots__ = ()
    name: ClassVar[str] = "pca"

    @classmethod
    def fit(cls, values: Array, *, eps: float = 0.0) -> Self:
        """Fitted on rows (N, columns); `eps` is a share of the largest variance."""
        _refuse_empty(values)
        mean, spread, axes = directions(values)
        raised, columns = _raised(spread, eps), values.shape[1]
        forward, backward = np.zeros((columns, columns)), np.zeros((columns, columns))
        forward[:, : len(spread)] = axes / raised
        backward[: len(spread)] = axes.T * raised[:, None]
        return cls(mean, forward, backward, len(spread))

    def names(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """A feature is a mixture of all columns."""
        return tuple(f"direction {place}" for place in range(len(columns)))


@SCALERS.add("zca")
class ZCA(Whitening):
    """z = (x - μ) V / s Vᵀ: of all uncorrelated features of variance 1 the nearest to the columns.

    Use: as pca, where feature j must stay near column j: pictures and signals as arrays.

    >>> scaler = ZCA.fit(np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    >>> scaler.transform(np.array([[2.0, 1.0]])).round(6).tolist()
    [[1.414214, 1.414214]]
    """

    __slots__ = ()
    name: ClassVar[str] = "zca"

    @classmethod
    def fit(cls, values: Array, *, eps: float = 0.0) -> Self:
        """Fitted on rows (N, columns); `eps` is a share of the largest variance."""
        _refuse_empty(values)
        mean, spread, axes = directions(values)
        raised = _raised(spread, eps)
        return cls(mean, (axes / raised) @ axes.T, (axes * raised) @ axes.T, len(spread))

    def names(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Feature j is what is left of column j."""
        return tuple(f"{name} (whitened)" for name in columns)
