from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

Load = Callable[[str], ModuleType]


@pytest.fixture
def batched(benchmark: Load, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark on few rows."""
    module = benchmark("batched")
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(100, 64, generator=generator)
    held = {"mlp": rows, "cnn": rows.view(-1, 1, 8, 8)}
    monkeypatch.setattr(module, "digits", lambda task: (held[task], (rows[:, 0] * 10).long()))
    return module


@pytest.mark.parametrize(("task", "optimizer"), [("mlp", "adamw"), ("mlp", "sgd"), ("cnn", "adamw")])
def test_both_ways_train_the_same_trials(batched: Any, task: str, optimizer: str) -> None:
    case = batched.trained(task, 3, optimizer) | {"pairs": 2}

    measured = batched.measure(case)

    assert measured["steps"] == 3 * 4
    assert measured["off"] < 1e-5
    assert measured["lowest"] <= measured["ratio"] <= measured["highest"]


def test_a_machine_without_a_gpu_says_so_and_has_no_case_for_it(
    batched: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    without = batched.cases()
    said = capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    added = [case for case in batched.cases() if case not in without]

    assert "no GPU" in said
    assert all(case.get("device") != "cuda" for case in without)
    assert [(case["task"], case["trials"]) for case in added] == [
        (task, trials) for task in ("mlp", "cnn") for trials in (8, 32, 128)
    ]


def test_the_table_has_the_verdict_beside_the_ratio(batched: Any) -> None:
    measured = {"ratio": 6.0, "lowest": 5.5, "highest": 7.0, "stacked us": 500.0, "sequential us": 3000.0}
    measured |= {"said": 5.8, "pays": True, "off": 2e-7, "steps": 570, "gpu": ""}
    machine = {"cpu": "A", "cores": 1}
    rows = [
        {"case": batched.trained("mlp", 8), "measured": measured, "machine": machine},
        {
            "case": {"row": "convolution", "side": 4},
            "measured": {"grouped us": 10.0, "trial after trial us": 20.0},
            "machine": machine,
        },
    ]

    text = batched.table(rows)

    assert "| mlp | adamw | 8 | CPU | 6.0 | 5.5 to 7.0 | 5 | 5.8, pays | 500 | 3,000 | 2e-07 |" in text
    assert "| 4 | 10 | 20 |" in text
