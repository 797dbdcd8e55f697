import numpy as np
import pytest
from sklearn.model_selection import ParameterGrid

from tunesmith.records import DataError, Trial
from tunesmith.search import Choice, Exhausted, Int, Ordinal, Real, Space
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.grid import points


def walked(space, **options):
    found = []
    while True:
        trials = [Trial(id=id, change=config) for id, config in enumerate(found)]
        try:
            found.append(SAMPLERS["grid"](space, trials, np.random.default_rng(len(found)), **options))
        except Exhausted:
            return found


def test_it_is_the_product_the_last_changing_fastest():
    space = Space({"a": Ordinal([1, 2]), "b": Choice(["x", "y", "z"])})

    assert walked(space) == list(ParameterGrid({"a": [1, 2], "b": ["x", "y", "z"]}))


def test_ranges_have_their_ends_and_even_points_between():
    found = walked(Space({"lr": Real(1e-4, 1, log=True), "n": Int(1, 3)}), steps=3)

    assert [config["lr"] for config in found] == [1e-4] * 3 + [0.01] * 3 + [1.0] * 3
    assert [config["n"] for config in found] == [1, 2, 3] * 3


def test_children_only_where_they_are_in_force_and_constraints_hold():
    space = Space({"a": Choice(["x", "y"]), "b": Int(1, 2, when=("a", "x")), "c": Int(1, 3)}, ["b + c < 5"])

    found = walked(space)

    assert len(found) == 2 * 3 - 1 + 3
    assert all(space.holds(config) for config in found)


def test_what_came_from_elsewhere_is_not_tried_again():
    space = Space({"a": Ordinal([1, 2, 3])})

    proposed = SAMPLERS["grid"](space, [Trial(id=0, change={"a": 2}), Trial(id=1, change={"a": 1})], None)

    assert proposed == {"a": 3}


@pytest.mark.parametrize(("steps", "expected"), [(1, (5,)), (2, (1, 10)), (99, tuple(range(1, 11)))])
def test_points_of_whole_numbers(steps, expected):
    assert len(points(Int(1, 10), steps)) == len(expected)
    assert set(points(Int(1, 10), steps)) <= set(range(1, 11))


def test_no_steps_are_refused():
    with pytest.raises(DataError, match="steps = 0"):
        SAMPLERS["grid"](Space({"a": Real(0, 1)}), (), None, steps=0)
