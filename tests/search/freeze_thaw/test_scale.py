import numpy as np
import pytest

from tunesmith.search.freeze_thaw.scale import WORST, best_so_far, rungs, time_left, warp


def test_best_and_median_are_0_and_1_whatever_the_unit():
    scores = np.array([0.02, 0.5, 0.8])

    assert warp(scores)(scores) == pytest.approx(warp(10 * scores)(10 * scores))
    assert warp(scores)(scores)[:2] == pytest.approx([0, 1])


def test_scores_below_0_are_taken_as_they_are():
    scores = np.array([-0.9, -0.5, 0.0])

    assert warp(scores)(np.array([-0.7])) == pytest.approx([0.5])


def test_what_failed_is_worst_and_what_diverged_no_worse():
    scaled = warp(np.array([0.1, 0.5, np.inf]))

    assert scaled(np.array([np.inf, 1e30])).tolist() == [WORST, WORST]


def test_the_order_is_kept():
    scores = np.sort(np.random.default_rng(0).lognormal(size=50))

    assert (np.diff(warp(scores)(scores)) >= 0).all()


@pytest.mark.parametrize("lasts", [[np.inf], [0.3], [0.3, 0.3], [0.0, 0.0, 1.0]])
def test_few_or_equal_scores_are_no_trouble(lasts):
    assert np.isfinite(warp(np.array(lasts))(np.array(lasts))).all()


def test_time_runs_in_logarithms_and_stands_still_where_there_is_one_unit():
    assert time_left(np.array([1.0, 10.0, 100.0]), 100) == pytest.approx([1, 0.5, 0])
    assert time_left(np.array([1.0]), 1).tolist() == [0]


@pytest.mark.parametrize("end", [1, 2, 3, 10, 27, 52, 1000])
def test_rungs_rise_to_the_end(end):
    found = rungs(end)

    assert found[-1] == end
    assert found[0] >= 1
    assert found == sorted(set(found))


def test_the_best_so_far_never_rises_and_passes_over_what_is_no_number():
    assert best_so_far(np.array([np.nan, 0.5, 0.7, np.inf, 0.2])).tolist() == [np.inf, 0.5, 0.5, 0.5, 0.2]
