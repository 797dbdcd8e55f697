"""Mean distances against SciPy, and the ratio that shows collapse to one place."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from tunesmith.generative import distances, pairwise_distance, pairwise_ratio


@pytest.mark.parametrize("columns", [2, 100])
def test_it_is_the_mean_over_all_pairs(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "TILE_BYTES", 13**2 * 4)
    samples = np.random.default_rng(0).normal(size=(60, columns)).astype(np.float32)

    assert pairwise_distance(samples) == pytest.approx(pdist(samples).mean(), rel=1e-6)


def test_collapse_to_one_place_is_a_small_ratio_and_equal_real_samples_have_none() -> None:
    real = np.random.default_rng(0).normal(size=(50, 3))

    found = pairwise_ratio(real, 5 + 0.01 * real)

    assert found.ratio == pytest.approx(0.01, rel=1e-6)
    assert pairwise_ratio(np.ones((4, 2)), real[:, :2]).ratio is None
