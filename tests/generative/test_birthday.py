"""The birthday test: supports that are known, copies and near copies, the pairs to look at."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from tunesmith.generative import birthday, closest_pairs, distances, nearest_distances
from tunesmith.records import DataError, RecipeError


@pytest.mark.parametrize("tolerance", [0.0, 0.05])
def test_a_known_support_is_found(tolerance: float) -> None:
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(2000, 6))

    found = [birthday(kinds[rng.integers(0, 2000, 400)], tolerance=tolerance) for _ in range(40)]

    pairs = np.array([one.pairs for one in found])
    expected = 400 * 399 / 2 / 2000
    assert abs(pairs.mean() - expected) < 4 * pairs.std() / 40**0.5
    assert sum(one.low <= 2000 <= one.high for one in found) >= 35  # 95 % of 40, less chance


def test_without_a_pair_there_is_a_least_support() -> None:
    found = birthday(np.random.default_rng(0).normal(size=(100, 5)), tolerance=0)

    assert found.pairs == 0
    assert found.support is None
    assert found.high is None
    assert found.low == pytest.approx(100 * 99 / 2 / 3.689, rel=1e-3)  # -ln .025: no event, one-sided 97.5 %


def test_unequal_chances_give_the_effective_support() -> None:
    chances = np.array([0.5, 0.25, 0.25])
    drawn = np.random.default_rng(1).choice(3, size=3000, p=chances)

    assert birthday(drawn[:, None], tolerance=0).support == pytest.approx(1 / (chances**2).sum(), rel=0.05)


def test_near_pairs_are_counted_exactly_in_tiles_and_far_from_the_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "TILE_BYTES", 30**2 * 8)
    rng = np.random.default_rng(2)
    near = np.repeat(rng.normal(size=(40, 3)), 5, axis=0) + 1e-4 * rng.normal(size=(200, 3))
    samples = (near + 1e3).astype(np.float32)  # rounding of the values themselves is 6e-5

    found = birthday(samples, tolerance=3e-4)

    assert found.pairs == int((pdist(samples.astype(np.float64)) <= 3e-4).sum())
    assert 0 < found.pairs < 400


def test_a_pair_at_the_tolerance_itself_counts() -> None:
    grid = np.arange(6.0)[:, None] * 0.25

    assert birthday(grid, tolerance=0.25).pairs == 5
    assert birthday(grid, tolerance=0.2499999).pairs == 0


def test_the_closest_pairs_are_those_of_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "TILE_BYTES", 16**2 * 8)
    samples = np.random.default_rng(3).normal(size=(70, 4))
    whole = squareform(pdist(samples))
    whole[np.tril_indices(70)] = np.inf
    order = np.argsort(whole, axis=None)[:9]

    pairs, away = closest_pairs(samples, count=9)

    assert pairs.tolist() == np.stack(np.unravel_index(order, whole.shape), 1).tolist()
    np.testing.assert_allclose(away, whole.flatten()[order], rtol=1e-9)
    assert len(closest_pairs(samples[:3], count=20)[0]) == 3


def test_the_nearest_distance_of_each() -> None:
    samples = np.random.default_rng(4).normal(size=(50, 3))
    whole = squareform(pdist(samples))
    np.fill_diagonal(whole, np.inf)

    np.testing.assert_allclose(nearest_distances(samples), whole.min(0), rtol=1e-9)


def test_wrong_use_is_said() -> None:
    with pytest.raises(RecipeError, match="tolerance = -1"):
        birthday([[0.0], [1.0]], tolerance=-1)
    with pytest.raises(RecipeError, match="count = 0"):
        closest_pairs([[0.0], [1.0]], count=0)
    with pytest.raises(DataError, match="1 rows"):
        birthday([[0.0]], tolerance=0)
