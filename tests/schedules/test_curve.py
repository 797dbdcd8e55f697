import numpy as np
import pytest

from tunesmith.blocks.schedules import Curve, rates
from tunesmith.blocks.schedules.curve import MANY, ONE
from tunesmith.records import RecipeError


def test_a_curve_takes_an_int_or_an_array():
    square = Curve(lambda t, m: t * t / 4)

    assert (square(3), type(square(3))) == (2.25, float)
    assert square(np.array([[1, 2], [3, 4]])).tolist() == [[0.25, 1.0], [2.25, 4.0]]
    assert square(np.uint8(200)) == 10_000
    assert square(np.array([200], dtype=np.uint8)).tolist() == [10_000.0]  # does not wrap


def test_a_constant_formula_fills_the_array_it_is_asked_for():
    flat = Curve(lambda t, m: 1.0)(np.zeros((2, 3), dtype=int))
    flat[0, 0] = 5.0  # its own memory

    assert flat.tolist() == [[5.0, 1.0, 1.0], [1.0, 1.0, 1.0]]


def test_an_array_that_lies_crosswise_in_memory():
    steps = np.arange(12).reshape(3, 4).T

    assert Curve(lambda t, m: m.sqrt(t))(steps).tolist() == np.sqrt(steps).tolist()


def test_both_kinds_of_mathematics_are_one():
    marks, table = [2, 5, 5], [10.0, 20.0, 30.0, 40.0]
    steps = np.arange(8)

    for name in ("reached", "passed"):
        many = getattr(MANY, name)(marks, steps)
        assert many.tolist() == [getattr(ONE, name)(marks, t) for t in steps.tolist()]
        assert MANY.pick(table, many).tolist() == [table[k] for k in many]
    assert ONE.reached(marks, 5) == 3
    assert ONE.passed(marks, 5) == 1
    assert ONE.either(True, lambda: 1, lambda: 1 / 0) == 1  # the other way is not gone
    assert MANY.either(steps < 2, lambda: steps, lambda: -steps).tolist() == [0, 1, -2, -3, -4, -5, -6, -7]


def test_rates_of_a_function_that_knows_one_step_only():
    asked = []

    def plain(step):
        asked.append(step)
        return 1 if step == 0 else 1 / step

    assert rates(plain, 3).tolist() == [1.0, 1.0, 0.5]
    assert rates(plain, (n for n in (4, 2))).tolist() == [0.25, 0.5]
    assert rates(plain, np.array([[4], [2]])).tolist() == [[0.25], [0.5]]
    assert rates(plain, []).tolist() == []
    assert {type(one) for one in asked} == {int}


def test_fractions_of_updates_are_refused():
    with pytest.raises(RecipeError, match="an array of float64"):
        rates(Curve(lambda t, m: 1.0), [0.5, 1.0])
