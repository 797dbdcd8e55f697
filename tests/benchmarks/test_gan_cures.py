"""Cures of collapse: every method of the benchmark trains in its harness, and the table tells mean and deviation."""

from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.mark.parametrize("method", ["plain", "packing of 2", "spectral norm", "gradient penalty", "unrolled, 5 steps"])
def test_every_method_trains(benchmark: Load, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    cures = benchmark("gan_cures")
    monkeypatch.setattr(cures, "EVERY", 2)

    measured = cures.measure({"data": "grid", "seed": 0, "method": method, "steps": 2})

    assert method in cures.METHODS
    assert 1 <= measured["held"] <= 25
    assert len(measured["looks"]) == 1
    assert measured["seconds"] > 0


def test_a_line_tells_mean_deviation_and_what_was_told(benchmark: Load) -> None:
    found = {"captured": 1, "quality": 0.5, "kl": 2.0, "seconds": 3.0}
    look = {
        "samples": 1000,
        "cells_lost": 9,
        "cells": 13,
        "coverage": 0.0,
        "expected_coverage": 0.97,
        "precision": 0.0,
        "spread": 0.1,
    }
    rows = [
        {"measured": found | {"held": held, "looks": [look | {"step": 100 * n, "lost": lost} for n in range(1, 10)]}}
        for held, lost in ((1, 0.9), (3, 0.0))
    ]

    cells = benchmark("gan_cures").line("plain", rows)

    assert cells == ["plain", "2", "2.0 ± 1.4", "1.0 ± 0.0", "50.0 ± 0.0", "2.00 ± 0.00", "1 of 2", "600", "3 ± 0"]
