"""What counts as mended, as worse and as left alone, and the page that says so."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture
def repair(benchmark: Load) -> ModuleType:
    return benchmark("repair")


def told(faulty: float, mended: float, healthy: float = 0.9, **about: Any) -> dict[str, Any]:
    spread = (-0.01, 0.0, 0.01)
    scores = {"healthy": healthy, "faulty": faulty, "mended": mended}
    plain = {name: [value + apart for apart in spread] for name, value in scores.items()}
    return plain | {"part": "open", "changes": ["rate × 0.1"], "trained": 2.0, "seconds": 9.0} | about


def row(measured: dict[str, Any], sabotage: str = "rate_too_high", mode: str = "repair") -> dict[str, Any]:
    kind = "planted" if sabotage else "sound"
    case = {"version": "v", "mode": mode, "kind": kind, "program": "digits_mlp", "seed": 0, "sabotage": sabotage}
    return {"case": case | {"strength": 3}, "measured": measured, "pair": 0}


def test_mended_is_nine_tenths_of_what_was_lost(repair: ModuleType) -> None:
    assert repair.given_back(told(0.1, 0.9)) == pytest.approx(1.0)
    assert repair.is_mended(told(0.1, 0.83))
    assert not repair.is_mended(told(0.1, 0.8))
    assert repair.given_back(told(0.9, 0.9)) is None
    assert not repair.is_mended(told(0.9, 0.9))


def test_worse_is_beyond_the_noise_of_pairs(repair: ModuleType) -> None:
    assert repair.is_worse(told(0.5, 0.4))
    assert not repair.is_worse(told(0.5, 0.5))
    noisy = told(0.5, 0.5) | {"faulty": [0.5, 0.6, 0.4], "mended": [0.4, 0.7, 0.35]}
    assert not repair.is_worse(noisy)


def test_faults_of_the_rows_themselves_are_shown_apart(repair: ModuleType) -> None:
    assert repair.repairable(row(told(0.1, 0.9)))
    assert not repair.repairable(row(told(0.1, 0.9), sabotage="nan_targets"))


def test_the_page_has_each_way_of_mending_and_each_fault(repair: ModuleType) -> None:
    rows = [
        row(told(0.1, 0.9, in_all=4.0)),
        row(told(0.1, 0.5), mode="blind"),
        row(told(0.1, 0.1, changes=[]), sabotage="nan_targets"),
        row(told(0.9, 0.9, changes=[]), sabotage=""),
    ]

    page = repair.table(rows)

    assert "| open | repair | 1/1 = 100 %" in page
    assert "| open | blind | 0/1 = 0 %" in page
    assert "| open, rows | repair | 0/1 = 0 %" in page
    assert "Sound programs left alone: 1/1 = 100 %" in page
    assert "`rate_too_high`" in page
    assert repair.table([]) == "Nothing has been measured yet."


def test_open_plantings_come_once_each_before_any_comes_twice(repair: ModuleType) -> None:
    names = [one["sabotage"] for one in repair.cases("v", "open", ("repair",), ("planted",))]

    first = names[: len(set(names))]
    assert len(set(first)) == len(first)
    assert all(one["mode"] == "repair" for one in repair.cases("v", "open", kinds=("sound",)))
