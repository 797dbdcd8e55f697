"""Fréchet distance: closed forms, SciPy's root, the bias told and taken off."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from tunesmith.generative import frechet_at_infinity, frechet_distance, frechet_of_moments
from tunesmith.generative.measures import fid
from tunesmith.generative.measures.fid import expected_distance, moments
from tunesmith.records import DataError, RecipeError


def normal(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def test_diagonal_gaussians_have_a_closed_form() -> None:
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 0.0])

    means, spreads = frechet_of_moments([1.0, 0.0, 0.0], np.diag(a), [0.0, 0.0, 2.0], np.diag(b))

    assert means == 5.0
    assert spreads == pytest.approx(((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-9)


def test_scipys_root_gives_the_same() -> None:
    first, second = normal(200, 12, 0) @ normal(12, 12, 1), normal(200, 12, 2) @ normal(12, 12, 3) + 1
    c1, c2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    away = first.mean(0) - second.mean(0)

    found = frechet_distance(first, second)

    assert found.means == pytest.approx(away @ away, rel=1e-12)
    assert found.value == pytest.approx(away @ away + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real), rel=1e-9)


def test_fewer_samples_than_features_are_no_trouble_and_are_told() -> None:
    found = frechet_distance(normal(20, 50, 0), normal(20, 50, 1))

    assert found.value > 0
    assert found.expected is None


def test_moments_are_those_of_numpy_in_double_precision_also_of_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fid, "ROWS", 7)
    given = (normal(30, 4, 0) + 1e3).astype(np.float32)

    mean, covariance = moments(torch.from_numpy(given))

    np.testing.assert_allclose(mean, given.astype(np.float64).mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(given.astype(np.float64), rowvar=False), rtol=1e-9)


def test_the_bias_of_equal_laws_is_as_expected_and_goes_with_one_over_n() -> None:
    scale = np.array([1.0, 2.0, 0.5, 3.0])
    covariance = torch.from_numpy(np.diag(scale**2))

    means = {
        n: np.mean([frechet_distance(scale * normal(n, 4, s), scale * normal(n, 4, 999 + s)).value for s in range(60)])
        for n in (200, 800)
    }

    for n, found in means.items():
        assert found == pytest.approx(expected_distance(covariance, n), rel=0.15)
    assert means[200] / means[800] == pytest.approx(4, rel=0.25)


def test_the_line_to_infinity_takes_the_bias_off() -> None:
    found = [frechet_at_infinity(normal(300, 5, s), normal(300, 5, 99 + s) + 0.5, seed=s) for s in range(20)]

    values, whole = np.array([one for one, _ in found]), np.array([parts[-1].value for _, parts in found])
    true = 5 * 0.25
    assert abs(values.mean() - true) < 3 * values.std() / 20**0.5
    assert whole.mean() - true > 0.05  # what is taken off: about 15 / 300
    assert [one.rows for one in found[0][1]] == [90, 132, 174, 216, 258, 300]


def test_other_sizes_may_be_asked_for() -> None:
    _, parts = frechet_at_infinity(normal(50, 2, 0), normal(50, 2, 1), sizes=[20, 50])

    assert [one.rows for one in parts] == [20, 50]


def test_wrong_use_is_said() -> None:
    with pytest.raises(DataError, match=r"9 real and 8 generated rows, and the distance is biased.*draw 8 of both"):
        frechet_distance(normal(9, 2, 0), normal(8, 2, 1))
    with pytest.raises(RecipeError, match=r"sizes = \[5\]: two or more different sizes from 2 to 9"):
        frechet_at_infinity(normal(9, 2, 0), normal(9, 2, 1), sizes=[5])
    with pytest.raises(DataError, match=r"shapes \(2,\), \(2, 2\), \(2,\), \(3, 3\)"):
        frechet_of_moments(np.ones(2), np.eye(2), np.ones(2), np.eye(3))
    with pytest.raises(DataError, match="NaN"):
        frechet_of_moments(np.ones(2), np.eye(2) * np.nan, np.ones(2), np.eye(2))
