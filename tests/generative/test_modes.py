"""Modes covered and good samples: the ceiling, the two histograms apart, centres that stand twice."""

import numpy as np
import pytest
from scipy.stats import chi2

from tunesmith.generative import grid, mixture, modes, quality_ceiling, ring
from tunesmith.records import DataError, RecipeError


@pytest.mark.parametrize("dimensions", [1, 2, 7])
def test_the_ceiling_is_the_law_of_the_distance(dimensions: int) -> None:
    assert quality_ceiling(dimensions, 2.5) == pytest.approx(chi2.cdf(2.5**2, dimensions), rel=1e-12)
    assert quality_ceiling(2) == pytest.approx(1 - np.exp(-4.5), rel=1e-12)


@pytest.mark.parametrize(("centres", "sigma"), [(ring(), 0.01), (grid(), 0.05)])
def test_the_mixture_itself_reaches_the_ceiling_and_all_modes(centres: np.ndarray, sigma: float) -> None:
    found = modes(mixture(centres, sigma, 20_000, seed=3), centres, sigma)

    assert found.captured == found.held == len(centres)
    assert found.missing == ()
    assert abs(found.beyond) < 3
    assert found.divergence < 0.01


def test_modes_that_are_too_narrow_lie_beyond_the_ceiling() -> None:
    found = modes(mixture(ring(), 0.005, 5000), ring(), 0.01)

    assert found.quality > found.ceiling
    assert found.beyond > 5


def test_samples_and_quality_are_judged_apart() -> None:
    blurred = mixture(ring(), 0.1, 4000, seed=1)  # all modes, hardly a good sample

    found = modes(blurred, ring(), 0.01)

    assert found.held == 8
    assert found.divergence < 0.02
    assert found.quality < 0.1
    assert modes(blurred, ring(), 0.1).quality > 0.95


def test_one_lucky_hit_captures_and_does_not_hold() -> None:
    samples = np.concatenate([np.repeat(ring()[:1], 999, axis=0), ring()[4:5]])

    found = modes(samples, ring(), 0.01, names="abcdefgh")

    assert (found.captured, found.held) == (2, 1)
    assert found.missing == ("b", "c", "d", "f", "g", "h")


def test_the_radius_and_the_wanted_shares_are_obeyed() -> None:
    centres = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
    samples = np.array([[0.0, 0.0, 1.9], [0.0, 2.1, 0.0], [10.0, 0.0, 0.0], [9.0, 0.0, 0.0]])

    found = modes(samples, centres, 1.0, n_std=2.0, shares=[3, 1])

    assert found.counts.tolist() == [2, 2]
    assert found.good.tolist() == [1, 2]
    assert found.divergence == pytest.approx(0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25))
    assert found.variation == pytest.approx(0.25)


def test_without_a_good_sample_what_is_of_them_is_undefined() -> None:
    found = modes(ring() * 2, ring(), 0.01)

    assert (found.captured, found.quality) == (0, 0.0)
    assert found.divergence_good is None
    assert found.jensen_shannon_good is None
    assert found.divergence == 0


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_ring_with_its_end_point_is_refused(kind: type) -> None:
    angle = np.linspace(0, 2 * np.pi, 8).astype(kind)
    closed = np.stack([np.cos(angle), np.sin(angle)], axis=1)

    with pytest.raises(DataError, match=r"of 8 centres two stand in one place.*without its end point"):
        modes(ring(), closed, 0.01)


def test_a_single_mode_and_many_samples_pass() -> None:
    found = modes(np.zeros((9000, 2)), [[0.0, 0.0]], 1.0)

    assert found.counts.tolist() == [9000]
    assert found.divergence == 0


def test_wrong_use_is_said() -> None:
    with pytest.raises(RecipeError, match=r"sigma = 0, n_std = 3\.0"):
        modes(ring(), ring(), 0)
    with pytest.raises(DataError, match="7 names for 8 centres"):
        modes(ring(), ring(), 0.1, names="abcdefg")
    with pytest.raises(DataError, match="expected 8 numbers of 0 or more"):
        modes(ring(), ring(), 0.1, shares=[1, 2])
    with pytest.raises(DataError, match="centres has 3 numbers a row"):
        modes(ring(), np.ones((2, 3)), 0.1)
