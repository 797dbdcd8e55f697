"""Kernel distance: the sum written out, unbiased at any number, parts as the paper takes them."""

import numpy as np
import pytest

from tunesmith.generative import distances, kernel_distance
from tunesmith.records import DataError, RecipeError


def normal(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def by_hand(x: np.ndarray, y: np.ndarray, degree: int, offset: float) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + offset) ** degree)

    n, m = len(x), len(y)
    own = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return own + other - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


@pytest.mark.parametrize(("degree", "offset"), [(3, 1.0), (1, 0.0), (2, 0.5)])
def test_it_is_the_sum_over_pairs_in_tiles_of_any_size(
    degree: int, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = normal(23, 4, 0), normal(17, 4, 1) + 0.3
    monkeypatch.setattr(distances, "TILE_BYTES", 6**2 * 8)

    found = kernel_distance(x, y, degree=degree, offset=offset)

    assert found.value == pytest.approx(by_hand(x, y, degree, offset), rel=1e-10)
    assert (found.real, found.generated, found.deviation) == (23, 17, None)


def test_it_is_unbiased_at_small_and_unequal_numbers_and_may_be_negative() -> None:
    found = np.array([kernel_distance(normal(12, 3, s), normal(30, 3, 999 + s)).value for s in range(400)])

    assert abs(found.mean()) < 4 * found.std() / 400**0.5
    assert (found < 0).any()


def test_parts_give_a_mean_and_its_deviation() -> None:
    x, y = normal(300, 3, 0), normal(300, 3, 1) + 1

    found, again = (kernel_distance(x, y, parts=30, size=60, seed=4) for _ in range(2))

    assert found == again
    assert found.parts == 30
    assert found.value == pytest.approx(kernel_distance(x, y).value, abs=4 * found.deviation / 30**0.5)
    assert kernel_distance(x, y, parts=1, size=60).deviation is None


def test_single_precision_is_added_up_in_double() -> None:
    x, y = normal(3000, 80, 0), normal(3000, 80, 1)

    single, double = (kernel_distance(x.astype(kind), y.astype(kind)).value for kind in (np.float32, np.float64))

    assert single == pytest.approx(double, abs=2e-7)


def test_wrong_use_is_said() -> None:
    with pytest.raises(DataError, match="a part of 1000 samples is more than there are: 9 real and 8"):
        kernel_distance(normal(9, 2, 0), normal(8, 2, 1), parts=2)
    for wrong in ({"degree": 0}, {"parts": -1}, {"size": 1}, {"offset": np.nan}, {"degree": 1.5}):
        with pytest.raises(RecipeError, match="a degree of 1 or more"):
            kernel_distance(normal(9, 2, 0), normal(8, 2, 1), **wrong)
