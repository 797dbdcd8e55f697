import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.search import Choice, Int, Ordinal, Real, Space
from tunesmith.search.freeze_thaw.encoding import Encoding

SPACE = Space(
    {
        "lr": Real(1e-5, 1e1, log=True),
        "width": Int(8, 8192, log=True),
        "depth": Int(1, 5),
        "batch": Ordinal([16, 32, 64]),
        "optimizer": Choice(["sgd", "adam", "lion"]),
        "momentum": Real(0, 0.99, when=("optimizer", "sgd")),
        "beta2": Real(0.9, 0.999, when=("optimizer", ("adam", "lion"))),
        "nesterov": Choice([True, False], when=("optimizer", "sgd")),
        "damping": Real(0, 1, when=("nesterov", False)),
        "seed": 7,
    }
)


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_snapped_rows_are_configurations_of_the_space_and_come_back(seed):
    encoding = Encoding(SPACE)

    rows = encoding.snapped(np.random.default_rng(seed).uniform(size=(5, len(encoding))))

    for row in rows:
        config = encoding.config(row)
        assert SPACE.holds(config)
        assert np.allclose(encoding.units(config), row, equal_nan=True, atol=1e-9)
    assert np.allclose(encoding.snapped(rows), rows, equal_nan=True)


def test_what_is_not_in_force_is_left_out_down_to_children_of_children():
    encoding = Encoding(SPACE)

    units = encoding.units({"optimizer": "adam", "beta2": 0.99})

    missing = [name for name, unit in zip(encoding.names, units, strict=True) if math.isnan(unit)]
    assert {"momentum", "nesterov", "damping"} <= set(missing)
    assert "beta2" not in missing
    assert "seed" not in encoding.names


def test_two_values_of_a_choice_are_one_apart_and_those_of_a_range_as_far_as_their_places():
    encoding = Encoding(Space({"kind": Choice(["a", "d", "e"]), "x": Real(0, 4)}))

    rows = np.array([encoding.units({"kind": kind, "x": x}) for kind, x in (("a", 0), ("e", 0), ("e", 1))])
    features = encoding.features(rows)

    assert np.linalg.norm(features[0] - features[1]) == pytest.approx(1)
    assert np.linalg.norm(features[1] - features[2]) == pytest.approx(0.25)


def test_a_child_of_a_fixed_parent_is_in_force_if_its_value_is_the_one():
    met = Encoding(Space({"kind": "a", "x": Real(0, 1, when=("kind", "a"))}))

    assert not np.isnan(met.snapped(np.array([[0.3]]))).any()


def test_rows_that_the_constraints_forbid_are_told():
    encoding = Encoding(Space({"a": Int(1, 4), "b": Int(1, 4)}, constraints=["a * b <= 4"]))
    rows = np.array([encoding.units({"a": 2, "b": 2}), encoding.units({"a": 3, "b": 2})])

    assert encoding.allowed(rows).tolist() == [True, False]
