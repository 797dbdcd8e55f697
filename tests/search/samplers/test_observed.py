import math

import numpy as np
import pytest

from tunesmith.records import Trial
from tunesmith.search import Choice, Distributed, Exhausted, Int, Ordinal, Real, Space
from tunesmith.search.history import History
from tunesmith.search.samplers.observed import Tried, decode, drawn, encode, observe

SPACE = Space(
    {
        "lr": Real(1e-5, 1e-1, log=True),
        "step": Real(0, 1, step=0.1),
        "depth": Int(1, 6, log=True),
        "width": Ordinal([16, 32]),
        "name": Choice(["a", 1, True, (8, 8)]),
        "noise": Distributed("norm", (0.0, 1.0), step=0.5),
        "child": Real(0, 1, when=("name", "a")),
        "fixed": 3,
    }
)


def trial(id, scores, state="done"):
    change = SPACE.sample(np.random.default_rng(id))
    return Trial(id=id, change=change, records=tuple({"score": score} for score in scores), state=state)


def test_many_are_placed_as_one_by_one():
    configs = [SPACE.sample(np.random.default_rng(seed)) for seed in range(50)]
    names = tuple(SPACE.searched)

    units = encode(SPACE, configs, names)

    for row, config in zip(units, configs, strict=True):
        alone = [SPACE[name].to_unit(config[name]) if name in config else math.nan for name in names]
        assert row == pytest.approx(alone, nan_ok=True)
        again = decode(SPACE, names, row)
        assert again.keys() == config.keys()
        assert SPACE.to_units(again) == pytest.approx(SPACE.to_units(config))


@pytest.mark.parametrize(("enough", "budget", "values"), [(1, 9, [0.5]), (2, 3, [2.0, 1.0]), (3, 1, [3.0, 2.0, 4.0])])
def test_trials_are_compared_at_the_largest_budget_that_enough_have_reached(enough, budget, values):
    trials = History([trial(0, [3, 2, 2]), trial(1, [2, 1, 1, 1, 1, 1, 1, 1, 0.5]), trial(2, [4.0], "paused")])

    seen = observe(SPACE, trials, enough)

    assert seen.budget == budget
    assert seen.values.tolist() == values


def test_failed_ones_are_last_and_stopped_ones_after_those_that_came_through():
    curves = [([math.nan], "failed"), ([0.1], "stopped"), ([3, 2.0], "done"), ([], "running"), ([5, 1.0], "done")]
    trials = History([trial(id, scores, state) for id, (scores, state) in enumerate(curves)])

    seen = observe(SPACE, trials, 2)

    assert [int(place) for place in seen.order] == [3, 2, 1, 0]
    assert seen.values[0] == math.inf
    assert len(seen.running) == 1


def test_values_that_python_holds_equal_are_different_configurations():
    tried = Tried(SPACE, [Trial(id=0, change={"name": 1, "width": 16})])

    assert {"name": 1, "width": 16} in tried
    assert {"name": True, "width": 16} not in tried
    assert {"name": 1} not in tried


def test_a_large_finite_space_is_not_listed():
    space = Space({f"x{n}": Int(1, 100) for n in range(10)})

    assert space.holds(drawn(space, [], np.random.default_rng(0)))


def test_the_last_configuration_is_found_and_then_it_ends():
    space = Space({"a": Int(1, 50), "b": Int(1, 50)}, ["a == 7", "b < 3"])

    one = drawn(space, [Trial(id=0, change={"a": 7, "b": 1})], np.random.default_rng(0))
    with pytest.raises(Exhausted, match="2500 without constraints"):
        drawn(space, [Trial(id=n, change={"a": 7, "b": n + 1}) for n in range(2)], np.random.default_rng(0))

    assert one == {"a": 7, "b": 2}
