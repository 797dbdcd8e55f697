import numpy as np
import pytest

from tunesmith.records import DataError, Trial
from tunesmith.search import Choice, Int, Ordinal, Real, Space
from tunesmith.search.history import History
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.evolution import moved, mutated

SPACE = Space(
    {
        "x": Real(0, 1),
        "n": Int(1, 9),
        "o": Ordinal([1, 2]),
        "c": Choice(["a", "b", "d"]),
        "y": Real(0, 1, when=("c", "b")),
    }
)


def history(values, places=None):
    trials = History()
    for id, value in enumerate(values):
        config = {"x": id / len(values) if places is None else places[id], "n": 5, "o": 1, "c": "a"}
        trials.put(Trial(id=id, change=config, records=({"score": value},), state="done"))
    return trials


def test_a_child_differs_in_one_parameter_and_what_comes_in_force_with_it():
    parent = {"x": 0.5, "n": 5, "o": 1, "c": "a"}
    changed = set()

    for seed in range(200):
        child = mutated(SPACE, parent, np.random.default_rng(seed))
        assert SPACE.holds(child)
        differing = {name for name in parent if child[name] != parent[name]}
        assert len(differing) == 1
        changed |= differing
        assert ("y" in child) == (child["c"] == "b")
    assert changed == set(parent)


@pytest.mark.parametrize(
    "domain", [Real(0, 1), Int(1, 2), Int(1, 1000), Ordinal([1, 2, 3]), Choice([1, 2]), Real(0, 1, step=0.5)]
)
def test_a_move_is_to_another_value(domain):
    rng = np.random.default_rng(0)

    for unit in (0.0, 0.3, 0.5, 1.0):
        place = domain.to_unit(domain.from_unit(unit))
        for reach in (0.001, 0.2, 3.0):
            there = moved(domain, place, rng, reach)
            assert 0 <= there <= 1
            assert domain.from_unit(there) != domain.from_unit(place)


def test_the_parent_is_the_best_of_the_young_and_the_old_die():
    """The best of all is the oldest; with a tournament of all the young, their best is the parent of all children."""
    values = [0.0] + [9.0] * 9 + [5.0] + [8.0] * 9
    trials = history(values)

    children = [
        SAMPLERS["evolution"](SPACE, trials, np.random.default_rng(seed), population=12, tournament=12)
        for seed in range(60)
    ]

    same = [child["x"] for child in children if child["x"] in [trial.change["x"] for trial in trials]]
    assert set(same) == {10 / 20}


def test_until_there_is_a_population_it_is_drawn_evenly():
    found = [SAMPLERS["evolution"](SPACE, history([1.0] * 19), np.random.default_rng(seed))["x"] for seed in range(100)]

    assert np.std(found) == pytest.approx(1 / np.sqrt(12), abs=0.04)


@pytest.mark.parametrize("options", [{"tournament": 0}, {"tournament": 30}, {"population": 2}])
def test_a_tournament_is_of_the_population(options):
    with pytest.raises(DataError, match="tournament <= population"):
        SAMPLERS["evolution"](SPACE, (), np.random.default_rng(0), **options)
