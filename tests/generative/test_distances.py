"""Tiles of distances against SciPy's whole matrix; memory does not grow with the pairs."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from tunesmith.generative import distances
from tunesmith.generative.distances import across, clouds, neighbours, within


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "TILE_BYTES", 20**2 * 8)  # sets of 90 take several tiles, the last ones smaller


def some(rows: int, columns: int, seed: int, offset: float = 0.0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, columns)) + offset)


def test_tiles_between_two_clouds_make_the_whole_matrix() -> None:
    one, other = some(90, 3, 0), some(47, 3, 1)
    whole = np.full((90, 47), np.nan)

    for rows, columns, tile in across(*clouds(one, other)):
        whole[rows, columns] = tile.numpy()

    np.testing.assert_allclose(whole, cdist(one, other) ** 2, rtol=1e-12)


def test_tiles_within_a_cloud_hold_each_pair_once() -> None:
    (cloud,) = clouds(some(90, 3, 0))
    times = np.zeros((90, 90), int)

    for rows, columns, _ in within(cloud):
        times[rows, columns] += 1

    assert (times + times.T - np.diag(np.diag(times)) >= 1).all()
    assert (times[np.triu_indices(90)] == 1).all()


@pytest.mark.parametrize("k", [1, 5, 40])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_kth_neighbour_is_that_of_the_whole_matrix(k: int, kind: torch.dtype) -> None:
    given = some(90, 4, 2).to(kind)

    found = neighbours(clouds(given)[0], k).sqrt()

    np.testing.assert_allclose(found, np.sort(cdist(given, given), axis=1)[:, k], rtol=1e-6)


def test_far_from_the_origin_nothing_is_lost() -> None:
    near, far = some(90, 70, 3), some(90, 70, 3, offset=1e4)  # more than 64 columns, so that single precision stays

    found, moved = (neighbours(clouds(one.float())[0], 1) for one in (near, far))

    assert moved.dtype == torch.float32
    np.testing.assert_allclose(moved, found, rtol=1e-3)  # 1e4 itself is known to 1e-3 in single precision


@pytest.mark.parametrize("columns", [1, 7, 300])
def test_two_computations_of_a_distance_differ_by_less_than_is_allowed(columns: int) -> None:
    (cloud,) = clouds(some(90, columns, 4, offset=3.0))
    whole = distances.squared(cloud, cloud)

    for rows, parts, tile in across(cloud, cloud):
        allowed = distances.rounding(cloud.points) * (cloud.norms[rows, None] + cloud.norms[parts])
        assert (abs(tile - whole[rows, parts]) <= allowed).all()


def test_memory_does_not_grow_with_the_pairs() -> None:
    script = (
        "import resource, torch; from tunesmith.generative import prdc, kernel_distance, pairwise_distance\n"
        "x = torch.randn(6000, 8, generator=torch.Generator().manual_seed(0)); prdc(x[:200], x[200:400])\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak(); prdc(x, x + 1, k=3); kernel_distance(x, x + 1); pairwise_distance(x); print(peak() - before)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert int(done.stdout) < 100  # MiB; one whole matrix of 6,000 by 6,000 would be 275
