import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tunesmith.doctor.bias_variance.squared import (
    squared_bias_and_noise,
    squared_error,
    squared_noise,
    squared_variance,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "scalars.json").read_text(encoding="utf-8"))[
    "bias_variance_mse"
]
numbers = st.floats(-100, 100)


def test_the_reference_values():
    f, y = np.array(GOLDEN["pred"]), np.array(GOLDEN["y"])
    inflated = squared_variance(f).mean() / len(f)  # the reference has divisor R and no correction

    assert squared_error(f, y).mean() == pytest.approx(GOLDEN["loss"], rel=1e-9)
    assert squared_bias_and_noise(f, y).mean() + inflated == pytest.approx(GOLDEN["bias2_plus_noise"], rel=1e-9)
    assert squared_variance(f).mean() - inflated == pytest.approx(GOLDEN["variance"], rel=1e-9)


@given(arrays(float, (4, 3), elements=numbers), arrays(float, 3, elements=numbers))
def test_the_parts_of_each_row_add_up_to_its_error(f, y):
    parts = squared_bias_and_noise(f, y) + squared_variance(f)

    assert parts == pytest.approx(squared_error(f, y), rel=1e-9, abs=1e-9)


@given(arrays(float, (4, 3), elements=numbers), arrays(float, 3, elements=numbers), st.permutations(range(4)))
def test_the_order_of_the_refits_does_not_matter(f, y, order):
    assert squared_bias_and_noise(f[list(order)], y) == pytest.approx(squared_bias_and_noise(f, y), rel=1e-9, abs=1e-9)


def test_several_outputs_count_alike():
    f, y = np.random.default_rng(0).normal(size=(5, 4, 2)), np.zeros((4, 2))

    whole = squared_bias_and_noise(f, y)

    assert whole == pytest.approx(
        (squared_bias_and_noise(f[..., 0], y[:, 0]) + squared_bias_and_noise(f[..., 1], y[:, 1])) / 2
    )


def refits_of(design, truth, fit, refits, sigma=1.0):
    """Predictions (R, N) at the rows of a fixed design, each of a fit to new noise."""
    rng = np.random.default_rng(7)
    return np.stack([fit(design, truth + sigma * rng.normal(size=len(truth))) for _ in range(refits)])


def within(found, true, errors, refits):
    """Means of refits vary by about 1 / sqrt(R) of themselves."""
    return abs(found - true) < errors * true * np.sqrt(2 / refits)


def test_least_squares_on_a_fixed_design_has_variance_p_over_n():
    rng = np.random.default_rng(0)
    rows, columns, refits = 40, 8, 2000
    X = rng.normal(size=(rows, columns))
    truth = X @ rng.normal(size=columns)

    f = refits_of(X, truth, lambda A, y: A @ np.linalg.lstsq(A, y, rcond=None)[0], refits)

    assert within(squared_variance(f).mean(), columns / rows, 4, refits)
    assert abs(squared_bias_and_noise(f, truth).mean()) < 1e-3  # no bias, and the truth has no noise


@pytest.mark.parametrize("strength", [0.5, 5.0, 50.0])
def test_ridge_has_the_bias_and_the_variance_of_its_singular_values(strength):
    rng = np.random.default_rng(1)
    rows, columns, refits = 40, 6, 2000
    X, weights = rng.normal(size=(rows, columns)), rng.normal(size=columns)
    u, s, vt = np.linalg.svd(X, full_matrices=False)
    shrunk = s**2 / (s**2 + strength)
    bias2 = (((1 - shrunk) * s * (vt @ weights)) ** 2).sum() / rows
    variance = (shrunk**2).sum() / rows
    hat = u @ np.diag(shrunk) @ u.T

    f = refits_of(X, X @ weights, lambda A, y: hat @ y, refits)

    assert within(squared_variance(f).mean(), variance, 4, refits)
    assert squared_bias_and_noise(f, X @ weights).mean() == pytest.approx(bias2, rel=0.05, abs=2e-3)


@pytest.mark.parametrize("neighbours", [1, 4, 16])
def test_nearest_neighbours_on_noise_have_variance_one_over_k(neighbours):
    from sklearn.neighbors import KNeighborsRegressor

    X, truth = np.linspace(0, 1, 64)[:, None], np.zeros(64)

    f = refits_of(X, truth, lambda A, y: KNeighborsRegressor(neighbours).fit(A, y).predict(A), 400)

    assert squared_variance(f).mean() == pytest.approx(1 / neighbours, rel=0.1)


def test_few_refits_do_not_inflate_the_bias():
    rng = np.random.default_rng(2)
    f, truth = rng.normal(3.0, 2.0, (2, 200_000)), np.zeros(200_000)  # bias² 9, variance 4, two refits

    assert squared_bias_and_noise(f, truth).mean() == pytest.approx(9.0, rel=0.02)
    assert squared_variance(f).mean() == pytest.approx(4.0, rel=0.02)


def test_the_variance_of_least_squares_peaks_where_parameters_are_as_many_as_rows():
    rng = np.random.default_rng(3)
    weights, test = rng.normal(size=80) / 9, rng.normal(size=(50, 80))

    def variance(columns):
        f = []
        for _ in range(30):
            X = rng.normal(size=(40, 80))
            y = X @ weights + 0.3 * rng.normal(size=40)
            f.append(test[:, :columns] @ np.linalg.lstsq(X[:, :columns], y, rcond=None)[0])
        return squared_variance(np.stack(f)).mean()

    few, as_many, more = variance(10), variance(40), variance(80)

    assert as_many > 10 * few
    assert as_many > 10 * more


def test_noise_of_equal_rows_is_their_variance():
    assert squared_noise(np.array([1.0, 3.0])) == 2.0
    assert squared_noise(np.array([[1.0, 0.0], [3.0, 0.0]])) == 1.0
