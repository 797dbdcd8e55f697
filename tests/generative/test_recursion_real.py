"""Closed forms of recursive training where some of the data stay real."""

import numpy as np
import pytest

from tunesmith.generative import recursion
from tunesmith.generative.recursion_real import (
    REGIMES,
    gaussian_path,
    heterozygosity_path,
    known_regime,
    real_rows,
    regression_kept,
)
from tunesmith.records import RecipeError, UnknownName


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_replaced_and_accumulated_paths_are_the_known_forms(estimator: recursion.Estimator) -> None:
    path, squares = gaussian_path("replace", 30, 10, 2.0, estimator=estimator)
    grown, _ = gaussian_path("accumulate", 30, 10, 2.0, estimator="mle")

    known = [recursion.gaussian_replaced(i, 10, 2.0, estimator=estimator) for i in range(1, 31)]
    np.testing.assert_allclose(path, [one.variance for one in known], rtol=1e-12)
    np.testing.assert_allclose(squares, [one.mean_square for one in known], rtol=1e-12)
    np.testing.assert_allclose(grown, [recursion.gaussian_accumulated(i, 10, 2.0) for i in range(1, 31)], rtol=1e-12)


def test_a_mixture_ends_where_its_recursion_stands_still() -> None:
    share, m = 0.3, 20
    path, squares = gaussian_path("mix", 400, m, estimator="mle", share=share)

    made = 1 - share  # v = (1 - 1/m) (share + made v) + share made s,  s = made² s + (share + made v) / m
    equations = np.array([[1 - (1 - 1 / m) * made, -share * made], [-made / m, 1 - made**2]])
    np.testing.assert_allclose(
        [path[-1], squares[-1]], np.linalg.solve(equations, [(1 - 1 / m) * share, share / m]), rtol=1e-12
    )


def test_all_real_rows_keep_the_law_and_none_replace_it() -> None:
    whole, nothing = (gaussian_path("mix", 50, 10, estimator="mle", share=share)[0] for share in (1.0, 0.0))

    np.testing.assert_allclose(whole, 0.9)
    np.testing.assert_allclose(nothing, gaussian_path("replace", 50, 10, estimator="mle")[0])
    np.testing.assert_allclose(
        heterozygosity_path("mix", 50, 0.9, 40, share=0.0), heterozygosity_path("replace", 50, 0.9, 40)
    )


def test_only_replacing_collapses() -> None:
    ends = {regime: float(gaussian_path(regime, 2000, 20, estimator="mle")[0][-1]) for regime in REGIMES}
    classes = {regime: float(heterozygosity_path(regime, 2000, 0.9, 20)[-1]) for regime in REGIMES}

    assert ends.pop("replace") < 1e-40
    assert classes.pop("replace") < 1e-40
    assert min(ends.values()) > 0.85
    assert min(classes.values()) > 0.7
    assert regression_kept(100, 0.3)[-1] == pytest.approx(0.4)


@pytest.mark.parametrize("share", [-0.1, 1.1, True, "half"])
def test_a_share_is_a_share(share: object) -> None:
    with pytest.raises(RecipeError, match="from 0 to 1"):
        real_rows(10, share)  # type: ignore[arg-type]


def test_what_cannot_be() -> None:
    with pytest.raises(UnknownName, match="did you mean 'accumulate'"):
        known_regime("acumulate")
    with pytest.raises(RecipeError, match="2 draws or more"):
        gaussian_path("mix", 3, 1)
