"""What all tests share: the folder of larger data files, and what needs a GPU."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anybody imports torch


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data files that are too large for the repository: TUNESMITH_SHARED, or `shared` beside the repository."""
    folder = Path(os.environ.get("TUNESMITH_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data in {folder}; name their folder in TUNESMITH_SHARED")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small nets are fastest on one thread, and sums come out the same everywhere."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
