import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.benchmarks.test_accumulation import row

Load = Callable[[str], ModuleType]


@pytest.fixture
def overhead(benchmark: Load, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark on few rows and epochs."""
    module = benchmark("loop_overhead")
    rows = torch.rand(200, 64, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(module, "_HELD", {"mlp": (rows, (rows[:, 0] * 10).long())})
    monkeypatch.setattr(module, "EPOCHS", {"mlp": 6})
    return module


@pytest.mark.parametrize("name", ["base", "bare", "bare, sliced", "ours, DataLoader", "ours, in memory"])
def test_every_loop_makes_the_same_number_of_steps(overhead: Any, name: str) -> None:
    measured = overhead.timed(overhead.ROWS[name], "mlp")

    assert measured["steps"] == 6 * 7
    assert measured["cpu"] > 0
    assert measured["accuracy"] > 0.12


def test_a_pair_gives_the_ratio_of_row_to_base(overhead: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = itertools.chain(
        [9.0], [2.0, 3.0], [3.0, 2.0], [2.0, 3.0]
    )  # one to warm up; then base and row, in turn first

    def timed(trainer: Any, task: str) -> dict[str, float]:
        cpu = next(taken)
        return {"cpu": cpu, "wall": cpu, "steps": 42, "accuracy": 1.0}

    monkeypatch.setattr(overhead, "timed", timed)

    measured = overhead.measure({"task": "mlp", "row": "bare", "against": "base", "pairs": 3})

    assert (measured["ratio"], measured["lowest"], measured["highest"]) == (1.5, 1.5, 1.5)
    assert (measured["row us"], measured["base us"]) == (3.0, 2.0)


def test_the_table_holds_ratios_against_the_bars(benchmark: Load) -> None:
    numbers = {
        "lowest": 0.5,
        "highest": 0.9,
        "wall ratio": 0.7,
        "row us": 300,
        "base us": 500,
        "accuracy": 0.9,
        "base accuracy": 0.9,
    }
    case = {"task": "mlp", "against": "base", "pairs": 7}
    rows = [
        row(case | {"row": "ours, in memory"}, numbers | {"ratio": 0.6}),
        row(case | {"row": "ours, DataLoader"}, numbers | {"ratio": 1.2}),
    ]

    page = benchmark("tables").render(benchmark("loop_overhead"), rows)

    assert "| 0.60 (0.50 to 0.90) | 0.75 held |" in page
    assert "| 1.20 (0.50 to 0.90) | 1.05 missed |" in page
