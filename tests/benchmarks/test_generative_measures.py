"""Measures beside their peers: ours on small features, what asks for too much memory, and the table's ratios."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

Load = Callable[[str], ModuleType]


def test_ours_measures_what_the_case_says(benchmark: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark("generative_measures")
    monkeypatch.setattr(module, "FEATURES", 24)
    monkeypatch.setattr(module, "HIDDEN", 4)
    monkeypatch.setattr(module, "PARTS", 3)
    monkeypatch.setattr(module, "SIZE", 50)
    monkeypatch.setattr(module.resource, "setrlimit", lambda *given: None)  # it would hold for this process

    measured = {name: module.measure({"measure": name, "by": "tunesmith", "rows": 200}) for name in module.WAYS}

    assert all(one["seconds"] > 0 and one["memory"] >= 0 for one in measured.values())
    assert 0 < measured["prdc"]["value"] <= 1
    assert measured["fid"]["value"] > 0


def test_features_are_rectified_and_the_generated_ones_shifted(benchmark: Load) -> None:
    real, made = (benchmark("generative_measures").features(50, seed) for seed in (0, 1))

    assert real.shape == made.shape == (50, 2048)
    assert real.dtype == np.float32
    assert real.min() == 0
    assert not np.array_equal(real, made)


def test_too_much_memory_is_told_and_other_errors_are_not_hidden(
    benchmark: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = benchmark("generative_measures")
    monkeypatch.setattr(module, "features", lambda rows, seed: np.zeros((2, 2), np.float32))
    monkeypatch.setattr(module.resource, "setrlimit", lambda *given: None)

    def failing(error: Exception) -> Callable[..., Callable[..., float]]:
        def run(real: np.ndarray, made: np.ndarray) -> float:
            raise error

        return lambda name, by: run

    case = {"measure": "prdc", "by": "prdc", "rows": 2}
    for error in (MemoryError(), RuntimeError("not enough memory: you tried to allocate 9 bytes")):
        monkeypatch.setattr(module, "way", failing(error))
        assert module.measure(case) == {"value": "more than 16 GiB"}
    monkeypatch.setattr(module, "way", failing(RuntimeError("shapes")))
    with pytest.raises(RuntimeError, match="shapes"):
        module.measure(case)


def test_ratios_are_to_ours_of_the_same_round(benchmark: Load) -> None:
    rows = [
        {
            "case": {"measure": "prdc", "by": by, "rows": 10, "env": "generative"},
            "pair": pair,
            "machine": {},
            "measured": {"seconds": seconds, "wall": seconds, "memory": 1.0, "value": 0.5}
            if seconds
            else {"value": "much"},
        }
        for by, both in (("tunesmith", (1.0, 2.0)), ("prdc", (3.0, 4.0)), ("torch-fidelity whole", (0, 0)))
        for pair, seconds in enumerate(both)
    ]

    lines = benchmark("generative_measures").table(rows).splitlines()

    assert lines[2:] == [
        "| prdc | tunesmith | 10 | 1.5 | 1.5 | 1 | 0.5 | 2 |",
        "| prdc | prdc | 10 | 3.5 (× 2.50) | 3.5 (× 2.50) | 1 (× 1.00) | 0.5 | 2 |",
        "| prdc | torch-fidelity whole | 10 |  |  |  | much | 2 |",
    ]
