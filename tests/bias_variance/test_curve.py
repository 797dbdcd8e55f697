import json

import numpy as np
import pytest

from tunesmith import learning_curve
from tunesmith.doctor.bias_variance.curve import curve_of, fitted, sizes_of
from tunesmith.records import DataError

SIZES = np.array([25, 50, 100, 200, 400])


def lines(X, y):
    weights = np.linalg.lstsq(X, y, rcond=None)[0]
    return lambda rows: rows @ weights


@pytest.mark.parametrize(("floor", "scale", "power"), [(0.0, 3.0, 0.5), (1.0, 2.0, 1.0), (0.2, 0.5, 0.25)])
def test_a_law_is_found_again(floor, scale, power):
    errors = floor + scale * (SIZES / 400.0) ** -power

    found = [float(one[0]) for one in fitted(SIZES, errors[None], np.ones(5))]

    assert found == pytest.approx([floor, scale, power], rel=0.06, abs=0.05)


def test_neither_floor_nor_scale_is_below_nothing():
    falling = np.array([[5.0, 3.0, 1.5, 0.5, 0.0]])
    rising = np.array([[0.5, 1.0, 2.0, 3.0, 4.0]])

    for errors in (falling, rising):
        floor, scale, _ = fitted(SIZES, errors, np.ones(5))
        assert floor[0] >= 0
        assert scale[0] >= 0


def test_the_outlook_holds_the_error_of_least_squares():
    held, repeats, columns = np.zeros(4), 40, 10

    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(200, columns))
        curve = learning_curve(lines, (X, X.sum(axis=1) + rng.normal(size=200)), seed=seed)
        expected = {rows: 1 + columns / (rows - columns - 1) for rows in (140, 280, 560)}  # exact for a normal design
        for place, one in enumerate(curve.outlook):
            held[2 * place] += one.error.low <= expected[one.rows] <= one.error.high
            gain = expected[140] - expected[one.rows]
            held[2 * place + 1] += one.gain.low <= gain <= one.gain.high

    assert (held / repeats > 0.85).all()  # of 95 %


def test_where_more_rows_help_it_says_so_and_where_not_too():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 60))
    y = X.sum(axis=1) + rng.normal(size=3000)

    hungry = learning_curve(lines, (X[:300], y[:300]), seed=1)
    full = learning_curve(lambda X, y: lambda rows: np.full(len(rows), y.mean()), (X, y), seed=1)

    assert hungry.notices()[-1].startswith("more rows would help: 420 instead of 210")
    assert full.notices()[-1].startswith("more rows would hardly help")


def test_a_curve_that_follows_no_law_is_told():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 60))  # least squares peaks at 60 rows
    y = X.sum(axis=1) + rng.normal(size=400)

    peaked = learning_curve(lines, (X, y), sizes=[20, 30, 40, 50, 60, 120, 240], seed=1)
    falling = learning_curve(lines, (X, y), sizes=[100, 120, 150, 180, 220, 280], seed=1)

    assert peaked.notices()[0].startswith("the errors do not follow the law")
    assert len(falling.notices()) == 1


def test_a_constant_model_has_a_flat_curve():
    y = np.tile([0, 1], 100)

    curve = learning_curve(lambda X, y: lambda rows: np.zeros(len(rows), int), (np.arange(200.0)[:, None], y))

    assert curve.loss == "zero_one"
    assert np.ptp(curve.errors) == 0
    assert curve.outlook[0].gain.value == pytest.approx(0.0, abs=1e-6)


def test_the_same_seed_gives_the_same_curve():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(100, 3)), rng.normal(size=100)

    one, again, other = (learning_curve(lines, data, seed=seed).as_dict() for seed in (3, 3, 4))

    assert json.dumps(one) == json.dumps(again) != json.dumps(other)


def test_few_sizes_have_no_law():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))

    curve = learning_curve(lines, (X, X.sum(axis=1)), sizes=[10, 20])

    assert curve.power is None
    assert curve.outlook == ()
    assert "no law is fitted to 2 sizes of 5 fits each" in str(curve)


def test_what_is_too_far_or_not_there_is_refused():
    X, y = np.zeros((100, 1)), np.arange(100.0)

    with pytest.raises(DataError, match="expected multiples of the rows at hand above 1 and up to 10"):
        curve_of([np.zeros((3, 4))], [10], np.zeros(4), loss="squared", ahead=(20.0,))
    with pytest.raises(DataError, match="expected numbers of rows from 1 to 70"):
        learning_curve(lines, (X, y), sizes=[10, 90])


def test_sizes_rise_to_all_rows():
    assert sizes_of(800)[-1] == 800
    assert sizes_of(20) == [10, 14, 20]
    assert sizes_of(4) == [4]
