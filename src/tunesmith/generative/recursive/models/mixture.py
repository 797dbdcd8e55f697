"""A mixture of normal laws (scikit-learn) of eight modes on a ring, or of rows of your own: data that the autoencoder shares."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.generative.measures.modes import mixture as points_of
from tunesmith.generative.measures.modes import modes, ring
from tunesmith.generative.recursive.asking import numbers, whole
from tunesmith.generative.recursive.measuring import measures_against
from tunesmith.generative.recursive.models import MODELS
from tunesmith.generative.recursive.subject import Array, Subject
from tunesmith.records import DataError, RecipeError

MODES, SIGMA = 8, 0.15  # modes on a circle of radius 1, near enough for a small net; assumption
JUDGED = 1000  # real rows that samples are measured against; assumption
FEWEST = 100  # rows of one's own: a fifth is judged; assumption
HELD_OUT = 7919  # seed of those rows; any number does


@dataclass(frozen=True, slots=True)
class Components:
    """A fitted mixture."""

    fitted: Any

    def sample(self, n: int, seed: int) -> Array:
        """(n, D), in random order."""
        self.fitted.random_state = seed
        drawn: Array = self.fitted.sample(n)[0]
        return np.random.default_rng(seed).permutation(drawn)


@MODELS.add("mixture")
def mixture(components: int = MODES, data: Any = None) -> Subject:
    """A mixture of `components` normal laws, fitted by expectation-maximisation to eight modes on a ring, or to `data` (N, D).

    Measures `log_variance`, `tail` and `support` against held-out real rows, `test_error` (their mean negative log likelihood) and, on
    the ring, `modes` (those with a fifth of their due).
    """
    whole(components=components)
    real, reference = source(data)
    common = measures_against(reference)

    def fit(rows: Array, seed: int) -> Components:
        from sklearn.mixture import GaussianMixture

        if len(rows) < max(2, components):
            raise RecipeError(f"n = {len(rows)}: a mixture of {components} takes as many rows or more in a generation")
        return Components(GaussianMixture(components, random_state=seed, reg_covar=1e-6).fit(rows))

    def measure(model: Components, seed: int) -> Mapping[str, float | Array]:
        error = {"test_error": -float(model.fitted.score(reference))}
        return {**common(model, seed), **error, **held(model, seed, data)}

    return Subject(
        name="mixture",
        fit=fit,
        real=real,
        measure=measure,
        settings={"components": components, "data": told(data)},
    )


def source(data: Any) -> tuple[Callable[[int, int], Array], Array]:
    """Draws of real rows, and held-out rows to judge by; of rows of your own a fifth, up to a thousand."""
    if data is None:
        centres = ring(MODES)
        return (
            lambda n, seed: np.asarray(points_of(centres, SIGMA, n, seed=seed)),
            np.asarray(points_of(centres, SIGMA, JUDGED, seed=HELD_OUT)),
        )
    expected = f"(N, D) numbers, {FEWEST} rows or more"
    rows = numbers(data, "data", expected, 2)
    if len(rows) < FEWEST:
        raise DataError(f"data came with shape {rows.shape}; expected {expected}")
    order = np.random.default_rng(HELD_OUT).permutation(len(rows))
    kept = min(JUDGED, len(rows) // 5)
    drawn, judged = rows[order[kept:]], rows[order[:kept]]

    def real(n: int, seed: int) -> Array:
        if n > len(drawn):
            raise DataError(f"n = {n}: the data have {len(drawn)} rows beside the {kept} to judge by; ask for fewer")
        return drawn[np.random.default_rng(seed).choice(len(drawn), n, replace=False)]

    return real, judged


def told(data: Any) -> str:
    """The data, for the record."""
    return (
        "ring" if data is None else f"{len(data)} rows, {zlib.crc32(numbers(data, 'data', 'numbers', 2).tobytes()):08x}"
    )


def held(model: Any, seed: int, data: Any) -> Mapping[str, float]:
    """How many modes of the ring have a fifth of their due; of rows of your own nothing is known."""
    if data is not None:
        return {}
    return {"modes": float(modes(model.sample(JUDGED, seed), ring(MODES), SIGMA).held)}
