"""Precision, recall, density and coverage, from balls around samples. Naeem et al., arXiv:2002.09797."""

from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.generative.distances import across, clouds, neighbours
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import both
from tunesmith.records import RecipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Prdc:
    """The four shares, and of what they were measured.

    `expected_coverage` is that of a perfect generator with samples as many: it is not 1.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    k: int
    real: int
    generated: int

    @property
    def expected_coverage(self) -> float:
        return expected_coverage(self.real, self.generated, self.k)


@MEASURES.add("prdc")
def prdc(real: Any, generated: Any, *, k: int = 5) -> Prdc:
    """Shares of samples within the balls of the others; a ball reaches to the k-th nearest sample of its own kind.

    Shapes: `real` (N, D), `generated` (M, D), features of any network or plain numbers. With balls open (a sample at the
    radius is outside):

    precision  of the generated, how many lie in the ball of some real sample
    recall     of the real, how many lie in the ball of some generated sample
    density    in how many real balls a generated sample lies, on average, over k; 1 is expected of equal laws, more is possible
    coverage   of the real balls, how many hold a generated sample

    One far real sample has a large ball, so that precision calls good what is merely near it, and recall is raised by one far
    generated sample: density and coverage are less moved. A repeated sample whose k-th neighbour is its own copy has an empty
    ball. In high dimension or with few samples coverage of a perfect generator is `expected_coverage`, for k = 5 about .97.

    Raises `DataError` for rows that do not fit or are not more than k, `RecipeError` for a k below 1.
    Use: do samples look right (precision, density), is all of the data there (coverage)? Tell them together, at one k.
    Source: Naeem et al., arXiv:2002.09797; precision and recall: Kynkäänniemi et al., arXiv:1904.06991.

    >>> found = prdc([[0.0], [1.0], [2.0], [9.0]], [[0.1], [0.2], [0.3], [0.4]], k=1)
    >>> found.precision, found.recall, found.density, found.coverage
    (1.0, 0.0, 2.0, 0.5)
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise RecipeError(f"k = {k!r}: a whole number of neighbours, 1 or more, was expected; the paper takes 5")
    there, here = clouds(*both(real, generated, least=k + 1))
    ball, theirs = neighbours(there, k), neighbours(here, k)
    good = torch.zeros(here.rows, dtype=torch.bool, device=ball.device)
    found, held = (torch.zeros(there.rows, dtype=torch.bool, device=ball.device) for _ in range(2))
    times = 0
    for rows, columns, tile in across(
        there.outward(), here.outward()
    ):  # equal to the radius, or so by rounding: outside
        inside = tile < ball[rows, None]
        times += int(inside.sum())
        good[columns] |= inside.any(dim=0)
        held[rows] |= inside.any(dim=1)
        found[rows] |= (tile < theirs[columns]).any(dim=1)
    return Prdc(
        precision=_share(good),
        recall=_share(found),
        density=times / (k * here.rows),
        coverage=_share(held),
        k=k,
        real=there.rows,
        generated=here.rows,
    )


def expected_coverage(real: int, generated: int, k: int) -> float:
    """1 - Π_{i=1..k} (N - i) / (N + M - i): coverage where both samples are of one law, N real and M generated.

    A ball stays empty where the k nearest of all others are real. For N = M it goes to 1 - 2^-k.

    >>> round(expected_coverage(10_000, 10_000, 5), 4)
    0.9688
    """
    empty = 1.0
    for one in range(1, k + 1):
        empty *= (real - one) / (real + generated - one)
    return 1 - empty


def _share(mask: torch.Tensor) -> float:
    return int(mask.sum()) / len(mask)
