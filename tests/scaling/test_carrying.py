"""Whether a rate carries over, told from losses by rate and width."""

import math

import pytest

from tunesmith.scaling.carrying import carry, smallest
from tunesmith.scaling.rungs import Climbed, Rung

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)


def ladder(slope, widths=(32, 64, 128, 256), seeds=3):
    """Losses that are smallest at the factor (width / 32)^slope, a little aside by seed."""
    found = []
    for width in widths:
        for seed in range(seeds):
            best = slope * math.log2(width / 32) + 0.1 * (seed - 1)
            for factor in FACTORS:
                loss = 1 + 0.1 * (math.log2(factor) - best) ** 2
                rung = Rung(width, 1.0, factor, seed)
                about = {"parameters": width**2, "rows": 100, "rate": factor, "epoch": 1, "epochs": 1, "seconds": 0.0}
                found.append(Climbed(rung=rung, loss=loss, value=loss, **about))
    return found


def test_a_rate_that_stays_carries_over_and_one_that_falls_with_the_width_does_not():
    stays, falls = carry(ladder(0.0)), carry(ladder(-0.4))

    assert stays.carries is True
    assert stays.slope.low < 0 < stays.slope.high
    assert falls.carries is False
    assert falls.slope.value == pytest.approx(-0.4, abs=0.05)


def test_an_edge_leaves_it_open():
    found = carry(ladder(-1.0))  # at 256 the best would be 1 / 8, which was not tried

    assert found.best[-1].edge == "smallest"
    assert found.carries is None


def test_one_width_or_two_rates_say_nothing():
    assert carry(ladder(0.0, widths=(32,))) is None
    assert carry([one for one in ladder(0.0) if one.rung.factor in (0.5, 1.0)]) is None


def test_trainings_that_broke_are_no_minimum():
    assert smallest([0.5, 1.0, 2.0], [2.0, 1.0, math.inf]) == (1.0, "")
