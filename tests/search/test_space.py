import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.records import DataError
from tunesmith.search import Choice, Fixed, Int, Ordinal, Real, Space, as_space

SPACE = Space(
    {
        "momentum": Real(0, 0.99, when=("name", "sgd")),
        "name": Choice(["sgd", "adam", "lion"]),
        "nesterov": Choice([True, False], when=("momentum_on", True)),
        "momentum_on": Choice([True, False], when=("name", "sgd")),
        "beta": Real(0.9, 0.999, when=("name", ("adam", "lion"))),
        "depth": Int(1, 6),
        "width": Ordinal([16, 32, 64]),
        "task": Fixed("digits"),
    },
    ["depth * width <= 200"],
)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_what_is_drawn_lies_in_the_space_and_comes_back_from_its_places(seed):
    config = SPACE.sample(np.random.default_rng(seed))

    assert SPACE.holds(config)
    assert SPACE.checked(config) == config
    assert list(config) == [name for name in SPACE if name in config]
    places = dict.fromkeys(SPACE, 0.5) | SPACE.to_units(config)
    again = SPACE.from_units(places)
    assert {name: again[name] for name in config} == pytest.approx(config) or again.keys() == config.keys()


def test_parents_come_before_their_children_and_conditions_chain():
    order = list(SPACE)

    assert order.index("name") < order.index("momentum_on") < order.index("nesterov")
    assert SPACE.names_in_force({"name": "lion"}) == ["name", "depth", "width", "task", "beta"]
    assert SPACE.active({"name": "adam", "momentum": 0.5, "beta": 0.95}) == {
        "name": "adam",
        "beta": 0.95,
        "task": "digits",
    }


def test_its_size_counts_branches():
    space = Space({"a": Choice([1, 2]), "b": Int(1, 3, when=("a", 1)), "c": Choice([1, 2, 3, 4], when=("b", (1, 2)))})

    assert space.size == 1 + (4 + 4 + 1)
    assert math.isinf(SPACE.size)


def test_a_file_gives_it_back():
    assert Space.from_json(json.loads(json.dumps(SPACE.to_json()))) == SPACE


def test_a_choice_that_is_a_tuple_can_be_a_parent():
    space = Space({"layers": Choice([(8, 8), (16,)]), "skip": Choice([True, False], when=("layers", (8, 8)))})

    assert space.names_in_force({"layers": (8, 8)}) == ["layers", "skip"]
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space


def test_a_function_as_constraint_holds_but_cannot_be_written_down():
    space = Space({"a": Int(1, 9), "b": Int(1, 9)}, [lambda config: config["a"] < config["b"]])

    assert all(space.sample(np.random.default_rng(seed))["a"] < 9 for seed in range(50))
    with pytest.raises(DataError, match="in quotes"):
        space.to_json()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Space({}), "no parameters"),
        (lambda: Space({"a": Real(0, 1, when=("bb", 1)), "b": Choice([1])}), "did you mean 'b'"),
        (lambda: Space({"a": Real(0, 1, when=("b", 3)), "b": Choice([1])}), "never is"),
        (lambda: Space({"a": Choice([1], when=("b", 1)), "b": Choice([1], when=("a", 1))}), "in a circle"),
        (lambda: as_space(3), "came as int"),
        (lambda: Space({"a": Int(1, 3)}, ["a > 5"]).sample(np.random.default_rng(0)), "widen the space"),
        (lambda: SPACE.checked({"name": "sgdd"}), "name is 'sgdd'"),
        (lambda: SPACE.checked({"nam": "sgd"}), "did you mean 'name'"),
        (lambda: SPACE.checked({"name": "adam", "beta": 0.95, "depth": 1}), "no 'width'"),
        (lambda: SPACE.checked({"name": "adam", "beta": 0.95, "depth": 6, "width": 64}), "does not meet"),
    ],
)
def test_what_cannot_be_gets_a_sentence(make, says):
    with pytest.raises(DataError, match=says):
        make()


def test_plain_forms_and_bare_values_are_read():
    space = Space(
        {
            "lr": {"type": "float", "low": 1e-4, "high": 1, "log": True, "if": ("name", ["a", "b"])},
            "name": {"type": "cat", "choices": ["a", "b", "c"]},
            "n": {"type": "int", "low": 2, "high": 10, "step": 4},
            "size": {"type": "ord", "choices": [1, 2]},
            "k": 7,
        }
    )

    assert space["lr"] == Real(1e-4, 1, log=True, when=("name", ("a", "b")))
    assert space["n"] == Int(2, 10, step=4)
    assert space["k"] == Fixed(7)
    assert space.searched == ["name", "lr", "n", "size"] or set(space.searched) == {"name", "lr", "n", "size"}
