import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.blocks.metrics import best_threshold, scores
from tunesmith.blocks.metrics.threshold import GOALS
from tunesmith.records import DataError, UnknownName


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(2, 40),
    ties=st.booleans(),
    weighted=st.booleans(),
    goal=st.sampled_from(GOALS),
)
@settings(max_examples=150, deadline=None)
def test_no_other_threshold_is_better_and_the_score_is_the_one_told(seed, rows, ties, weighted, goal):
    generator = np.random.default_rng(seed)
    yes, given_ = np.r_[1, 0, generator.integers(0, 2, rows - 2)], np.round(generator.random(rows), 1 if ties else 6)
    weight = generator.uniform(0.1, 2, rows) if weighted else None

    def score(threshold):
        return np.nan_to_num(scores("binary", yes, given_, names=[goal], weight=weight, threshold=threshold)[goal])

    threshold, value = best_threshold(goal, yes, given_, weight)

    assert 0 < threshold < 1
    assert score(threshold) == pytest.approx(value, rel=1e-12)
    others = np.r_[np.unique(given_), np.linspace(0, 1, 101), 1e-9, 1 - 1e-9]
    assert value >= max(score(other) for other in others if 0 < other < 1) - 1e-12


def test_it_lies_half_way_between_neighbours_and_near_one_half_where_nothing_decides():
    assert best_threshold("accuracy", np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.9])) == (0.25, 1.0)
    assert best_threshold("f1", np.array([0, 1]), np.array([0.5, 0.5]))[0] == 0.25
    assert best_threshold("balanced_accuracy", np.array([1, 0, 1, 0]), np.array([0.4, 0.4, 0.6, 0.6]))[0] == 0.5


def test_single_precision_neighbours_are_told_apart():
    low = np.float32(0.3)
    given_ = np.array([low, np.nextafter(low, np.float32(1))])
    both = np.stack([1 - given_, given_], axis=1)

    threshold, value = best_threshold("accuracy", np.array([0, 1]), given_)

    assert value == 1.0
    assert (given_ >= np.float32(threshold)).tolist() == [False, True]
    assert scores("binary", np.array([0, 1]), both, names=["accuracy"], threshold=threshold) == {"accuracy": 1.0}


def test_certain_probabilities_have_no_cut_beyond_them():
    threshold, value = best_threshold("f1", np.array([1, 1, 0]), np.array([0.0, 1.0, 1.0]))

    assert 0 < threshold < 1
    assert value == 0.5


@pytest.mark.parametrize("probabilities", [[], [0.5, np.nan]])
def test_what_is_no_probability_is_refused(probabilities):
    with pytest.raises(DataError, match="a threshold needs probabilities"):
        best_threshold("f1", np.zeros(len(probabilities)), np.array(probabilities))


def test_a_goal_that_does_not_exist_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        best_threshold("acuracy", np.array([0, 1]), np.array([0.2, 0.7]))
