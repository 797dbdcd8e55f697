"""Power laws: what they predict holds as often as they say, and bad ladders are refused."""

import numpy as np
import pytest

from tunesmith.records import DataError
from tunesmith.scaling.laws import fit_law

SIZES = np.array([1e4, 2e4, 4e4, 8e4, 1.6e5])


def true(size, floor, cost, exponent):
    return floor + cost * (size / 4e4) ** -exponent


@pytest.mark.parametrize(
    ("floor", "cost", "exponent", "noise", "seeds"),
    [(1.5, 1.0, 0.3, 0.005, 2), (0.0, 3.0, 0.1, 0.01, 2), (1.2, 2.0, 0.5, 0.02, 3)],
)
def test_the_next_size_lies_in_its_interval_as_often_as_is_said(floor, cost, exponent, noise, seeds):
    rng = np.random.default_rng(0)
    runs, inside, sharper = 60, 0, 0
    for _ in range(runs):
        sizes = np.repeat(SIZES, seeds)
        losses = true(sizes, floor, cost, exponent) + rng.normal(0, noise, len(sizes))
        found = fit_law(sizes, losses).predict(3.2e5)
        inside += found.low < true(3.2e5, floor, cost, exponent) + rng.normal(0, noise) < found.high
        sharper += found.high - found.low < np.ptp(losses)

    assert inside / runs >= 0.95 - 3 * (0.95 * 0.05 / runs) ** 0.5
    assert sharper > 0.9 * runs  # an interval as wide as the ladder itself would say nothing


def test_without_noise_exponent_floor_and_size_for_a_loss_are_found():
    law = fit_law(SIZES, true(SIZES, 1.5, 1.0, 0.3))

    assert law.exponent().low < 0.3 < law.exponent().high
    assert law.floor().low < 1.5 < law.floor().high
    assert law.mean(3.2e5) == pytest.approx(true(3.2e5, 1.5, 1.0, 0.3), abs=0.01)
    size = law.size_for(true(3.2e5, 1.5, 1.0, 0.3))
    assert size.low < 3.2e5 < size.high
    assert law.size_for(0.1).value == np.inf


def test_a_law_of_parameters_and_rows_predicts_a_larger_pair():
    pairs = np.array([(size, rows) for size in (1e4, 1e5, 1e6) for rows in (1e3, 1e4, 1e5)])

    def loss(size, rows):
        return 1 + 0.5 * (size / 1e5) ** -0.3 + 0.7 * (rows / 1e4) ** -0.25

    law = fit_law(pairs, loss(pairs[:, 0], pairs[:, 1]) + np.random.default_rng(0).normal(0, 0.005, 9))
    found = law.predict(1e7, 1e6)

    assert found.low < loss(1e7, 1e6) < found.high
    assert law.exponent(0).low < 0.3 < law.exponent(0).high
    assert law.exponent(1).low < 0.25 < law.exponent(1).high
    with pytest.raises(DataError, match="many sizes for one loss"):
        law.size_for(1.2)


@pytest.mark.parametrize(
    ("sizes", "losses", "words"),
    [
        ([1e3, 2e3, 4e3], [3, 2, 1], "3 different sizes; a law of 1 term takes 4 or more"),
        ([1e3, 2e3, 4e3, 8e3], [3, 2, 1, float("nan")], "not finite"),
        ([1e3, 2e3, 4e3, 8e3], [1.0, 2.0, 3.0, 4.0], "do not fall with size"),
        ([1e3, 2e3, 4e3, -8e3], [4, 3, 2, 1], "not above 0"),
    ],
)
def test_a_ladder_that_shows_no_law_is_refused(sizes, losses, words):
    with pytest.raises(DataError, match=words):
        fit_law(sizes, losses)


def test_a_prediction_takes_as_many_sizes_as_the_law():
    law = fit_law(SIZES, true(SIZES, 1.5, 1.0, 0.3))

    with pytest.raises(DataError, match="fitted to 1 sizes"):
        law.predict(1e3, 1e4)
