import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from tests.benchmarks.test_accumulation import row

Load = Callable[[str], ModuleType]


def test_bits_are_compared(benchmark: Load) -> None:
    same = benchmark("resume").same

    assert same({"a": [torch.ones(2), np.array([np.nan])]}, {"a": [torch.ones(2), np.array([np.nan])]})
    assert not same(torch.ones(2), torch.tensor([1.0, 1.0 + 2e-7]))
    assert not same({"a": 1}, {"a": 1, "b": 2})
    assert not same(np.zeros(2), np.zeros(2, np.float32))
    assert not same([1, 2], [1])


@pytest.mark.slow
def test_a_run_killed_and_resumed_is_the_run_that_was_not(benchmark: Load, tmp_path: Path) -> None:
    resume = benchmark("resume")
    _, seconds, _ = resume.child("ours", tmp_path / "straight", "new")

    found = resume.killed_and_resumed(
        tmp_path / "run", resume.left_by(tmp_path / "straight"), random.Random(0), seconds
    )

    assert found["tensors"]
    assert found["signals"]
    assert found["scores"]


def test_a_training_says_what_it_is_at(benchmark: Load, tmp_path: Path) -> None:
    resume = benchmark("resume")

    code, seconds, phase = resume.child("ours", tmp_path / "run", "new")

    assert code == 0
    assert seconds > 0
    assert phase in resume.PHASES.values()
    assert resume.left_by(tmp_path / "run")["signals"]


def test_the_table_counts_kills_by_where_they_fell(benchmark: Load) -> None:
    kills = [
        {"in": "epoch", "from step": 7, "tensors": True, "signals": True, "scores": True},
        {"in": "epoch", "from step": 14, "tensors": True, "signals": False, "scores": True},
        {"in": "evaluation", "from step": 9, "tensors": True, "signals": True, "scores": True},
    ]
    peer = {"stopped": "inside an epoch", "same seed repeats": True, "tensors": False, "difference": 0.054}

    page = benchmark("tables").render(
        benchmark("resume"), [row({"row": "tunesmith", "seed": 0}, {"kills": kills}), row({"row": "other"}, peer)]
    )

    assert "| epoch | 2 | 2 of 2 | 1 of 2 | 2 of 2 |" in page
    assert "| all | 3 | 3 of 3 | 2 of 3 | 3 of 3 |" in page
    assert "| other | inside an epoch | yes | no | 0.054 |" in page
