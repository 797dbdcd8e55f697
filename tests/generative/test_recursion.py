"""The closed forms of recursive training against small simulations, and wrong use."""

import numpy as np
import pytest

from tunesmith.generative import recursion
from tunesmith.records import RecipeError


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_a_simulated_gaussian_has_the_expected_log_variance_and_mean(estimator: recursion.Estimator) -> None:
    rng, runs, m, n = np.random.default_rng(0), 4000, 8, 5
    mean, variance = np.zeros(runs), np.ones(runs)
    for _ in range(n):
        drawn = mean + np.sqrt(variance) * rng.normal(size=(m, runs))
        mean, variance = drawn.mean(0), drawn.var(0, ddof=1 if estimator == "unbiased" else 0)

    expected = recursion.gaussian_replaced(n, m, estimator=estimator)

    for value, wanted in (
        (np.log(variance), expected.log_variance),
        (np.sqrt(variance), expected.deviation),
        (mean**2, expected.mean_square),
        (mean**2 + (np.sqrt(variance) - 1) ** 2, expected.risk),
    ):
        assert abs(value.mean() - wanted) < 4 * value.std() / runs**0.5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: recursion.gaussian_replaced(0, 10),
        lambda: recursion.gaussian_replaced(1, 1),
        lambda: recursion.gaussian_replaced(1, 5, 0.0),
        lambda: recursion.gaussian_accumulated(1, 0),
        lambda: recursion.regression_replaced(1, 10, 11),
        lambda: recursion.regression_overparametrised(1, 10, 11),
        lambda: recursion.heterozygosity(0.5, 1, 0),
        lambda: recursion.expected_seen([0.5, 0.4], 3),
    ],
)
def test_settings_out_of_range_are_said(wrong) -> None:
    with pytest.raises(RecipeError, match="expected"):
        wrong()
