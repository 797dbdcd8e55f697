"""Precision, recall, density, coverage: closed forms, the package of its authors, ties and traps."""

import numpy as np
import pytest
import torch

from tunesmith.generative import distances, expected_coverage, prdc
from tunesmith.records import DataError, RecipeError


def normal(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def test_density_is_one_and_coverage_as_expected_where_both_are_of_one_law() -> None:
    found = [prdc(normal(400, 3, seed), normal(300, 3, 100 + seed)) for seed in range(20)]

    density, coverage = (np.array([getattr(one, name) for one in found]) for name in ("density", "coverage"))
    assert abs(density.mean() - 1) < 4 * density.std() / 20**0.5
    assert abs(coverage.mean() - found[0].expected_coverage) < 4 * coverage.std() / 20**0.5
    assert found[0].expected_coverage == expected_coverage(400, 300, 5)


def test_the_expected_coverage_of_equal_numbers_is_the_formula_of_the_paper() -> None:
    n, k = 50, 3
    paper = 1 - np.prod([n - one for one in range(1, k + 1)]) / np.prod([2 * n - one for one in range(1, k + 1)])

    assert expected_coverage(n, n, k) == pytest.approx(paper, rel=1e-12)
    assert expected_coverage(10**9, 10**9, 5) == pytest.approx(1 - 2**-5, rel=1e-6)


def test_more_than_one_is_a_density() -> None:
    lonely = np.array([[0.0, 9.0], [0.0, -9.0], [9.0, 0.0], [-9.0, 0.0]])  # large balls, that reach the middle
    found = prdc(np.concatenate([0.1 * normal(6, 2, 0), lonely]), 0.01 * normal(40, 2, 1))

    assert found.density > 1.2
    assert found.precision == 1


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 3, 200])
def test_a_copy_of_the_data_has_density_one_whatever_the_tiles(
    kind: type, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "TILE_BYTES", 5000)
    real = (3 + normal(150, columns, 2)).astype(kind)

    found = prdc(real, real.copy(), k=4)

    assert (found.precision, found.recall, found.density, found.coverage) == (1.0, 1.0, 1.0, 1.0)


def test_a_mode_that_is_lacking_shows_in_coverage_and_recall_alone() -> None:
    real = np.concatenate([normal(100, 2, 0), normal(100, 2, 1) + 50])

    found = prdc(real, normal(200, 2, 2))

    assert found.precision > 0.9
    assert 0.4 < found.coverage <= 0.5
    assert found.recall < 0.55


def test_repeated_samples_have_empty_balls() -> None:
    found = prdc(np.repeat(normal(20, 2, 0), 4, axis=0), normal(80, 2, 1), k=3)

    assert found.precision == found.coverage == found.density == 0


def test_tensors_and_single_precision_give_the_same() -> None:
    real, made = normal(300, 100, 0), normal(300, 100, 1)

    double, single = prdc(real, made), prdc(torch.from_numpy(real).float(), torch.from_numpy(made).float())

    assert single.density == pytest.approx(double.density, abs=2e-3)
    assert single.coverage == pytest.approx(double.coverage, abs=1e-2)


@pytest.mark.parametrize("k", [3, 5])
def test_the_package_of_its_authors_agrees(k: int) -> None:
    theirs = pytest.importorskip("prdc", reason="needs the package prdc")
    real, made = normal(700, 20, 0), 1.1 * normal(500, 20, 1)

    found, expected = prdc(real, made, k=k), theirs.compute_prdc(real, made, nearest_k=k)

    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected, rel=1e-12)


def test_wrong_use_is_said() -> None:
    with pytest.raises(RecipeError, match="k = 0: a whole number"):
        prdc(normal(9, 2, 0), normal(9, 2, 1), k=0)
    with pytest.raises(DataError, match="real came with 5 rows; this measure takes 6 or more"):
        prdc(normal(5, 2, 0), normal(9, 2, 1))
