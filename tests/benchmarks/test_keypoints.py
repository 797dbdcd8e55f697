import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def keypoints(benchmark: Load) -> Any:
    return benchmark("keypoints")


def test_there_is_a_case_for_each_rung_and_seed_at_each_budget(keypoints: Any) -> None:
    cases = keypoints.cases()

    assert len({json.dumps(case) for case in cases}) == len(cases) == (9 + 1) + (2 + (7 + 1) * 3)
    short = [case for case in cases if '"minutes": 2,' in json.dumps(case)]
    assert [case["rung"] for case in short] == [
        "mean",
        "hidden",
        "convolutional",
        "flips",
        "ramps",
        "dropout",
        "wide",
        "specialists",
        "tune",
        "ensemble",
    ]
    assert len([case for case in cases if case["rung"] == "wide" and case["minutes"] == 20]) == 3


def test_without_the_faces_it_says_what_to_set(keypoints: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNESMITH_SHARED", raising=False)

    with pytest.raises(SystemExit, match="set TUNESMITH_SHARED to the folder that holds data/keypoints"):
        keypoints.measure(keypoints.cases()[0])


def row(rung: str, minutes: int, squared: float) -> dict[str, Any]:
    sums = {"sums": [squared, squared], "counts": [1, 1]}
    measured = {"parameters": 5, "epochs": 2, "seconds": 1.0, "val": sums, "test": sums}
    return {"case": {"minutes": minutes, "size": 48, "rung": rung, "seed": 0}, "measured": measured}


def test_each_budget_has_a_table_with_gains_of_its_own(keypoints: Any) -> None:
    rows = [row("hidden", 2, 16.0), row("flips", 2, 9.0), row("flips", 20, 4.0)]

    text = keypoints.table(rows)

    short, full = text.split("20 minutes a rung, 1 seed:")
    assert short.startswith("2 minutes a rung, 1 seed:")
    assert "+1.000 (+1.000 to +1.000)" in short
    assert (
        "| 3 half of the faces mirrored | 2.000 (2.000 to 2.000) | 2.000 (2.000 to 2.000) |  | 5 | 2 | 1 | 1 |" in full
    )


def test_the_page_of_the_case_has_the_table_of_the_rows_that_are_committed(keypoints: Any) -> None:
    page = keypoints.README.read_text("utf-8")

    assert keypoints.written(page, keypoints.read_rows(ROOT / "benchmarks" / "results" / "keypoints.jsonl")) == page
    assert page.count(keypoints.BEGIN) == page.count(keypoints.END) == 1
