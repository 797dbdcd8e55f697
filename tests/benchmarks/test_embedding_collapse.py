"""Learning without labels: every method of the benchmark trains in its harness, and the table tells mean, deviation and what was told."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

Load = Callable[[str], ModuleType]


@pytest.mark.parametrize("method", ["SimSiam, no stop-gradient", "BYOL", "InfoNCE", "untrained", "pixels"])
def test_every_method_trains(benchmark: Load, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    module = benchmark("embedding_collapse")
    monkeypatch.setattr(module, "EVERY", 1)
    pictures, labels = torch.rand(200, 1, 28, 28), torch.arange(200) % 3
    told = pictures, labels
    monkeypatch.setattr(module, "data", lambda seed: (pictures, pictures, told, told))

    measured = module.measure({"seed": 0, "method": method, "steps": 2})

    assert method in module.METHODS
    assert 0 < measured["accuracy_few"] <= 1
    if method not in ("untrained", "pixels"):
        assert [look[0] for look in measured["looks"]] == [1, 2]
        assert measured["told"] == []
        assert 0 < measured["looking"] < 1


def test_a_line_tells_mean_deviation_and_what_was_told(benchmark: Load) -> None:
    found = {"raw": 1.0, "rank": 3.0, "rank_at_start": 40.0, "seconds": 60.0, "looking": 0.1, "accuracy_few": 0.5}
    rows = [
        {"measured": found | {"accuracy": accuracy, "spread": 0.3, "told": told}}
        for accuracy, told in ((0.7, [[50, "embedding.few"]]), (0.8, []))
    ]

    cells = benchmark("embedding_collapse").line("SimSiam", rows)

    assert cells[:5] == ["SimSiam", "2", "75.0 ± 7.1", "50.0 ± 0.0", "few dimensions at 50; nothing"]
    assert cells[-1] == "10 %"
