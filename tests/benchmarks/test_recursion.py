"""Recursive training: small cases, a page with its picture, and what is too far is said."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture
def module(benchmark: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, with a text of its own and its picture elsewhere."""
    found = benchmark("recursion")
    text = tmp_path / "data" / "text" / "tinyshakespeare.txt.gz"
    text.parent.mkdir(parents=True)
    text.write_bytes(gzip.compress(b"the sea and the night and the bell of a ship\n" * 200))
    monkeypatch.setenv("TUNESMITH_SHARED", str(tmp_path))
    monkeypatch.setattr(found, "PICTURE", tmp_path / "recursion.svg")
    monkeypatch.setattr(found, "GENERATIONS", 2)
    return found


def rows(module: ModuleType) -> list[dict[str, Any]]:
    """Each kind of case once, made small."""
    smaller = {"gaussian": (10, 40), "regression": (30, 40), "categorical": (20, 40), "letters": (200, 1)}
    found = []
    for case in module.cases():
        n, replicates = smaller[case["model"]]
        if case["model"] == "letters" and case["seed"] > 1:
            continue
        case = {**case, "n": n, "replicates": replicates, "generations": 2}
        if case["model"] == "letters":
            case["settings"] = {"updates": 3, "width": 8}
        found.append({"case": case, "measured": json.loads(json.dumps(module.measure(case)))})
    return found


def test_the_page_has_theory_picture_and_language(module: ModuleType) -> None:
    told = rows(module)

    page = module.table(told)

    assert page.count("| gaussian |") == 14
    assert page.count("| regression |") == 4
    assert page.count("| categorical |") == 8
    assert "test_error" not in page
    assert "Language model, 2 seeds" in page
    drawn = module.PICTURE.read_text()
    for title in ("gaussian: log variance", "regression: excess error", "letters: perplexity"):
        assert title in drawn
    assert "accumulate, shared designs, dashed: closed form" in drawn


def test_what_lies_too_far_from_theory_is_marked(module: ModuleType) -> None:
    told = [row for row in rows(module) if row["case"]["model"] == "gaussian"]
    assert "too far" not in module.table(told)

    told[0]["measured"]["log_variance"]["apart"] = 5.1

    assert module.table(told).count("**too far**") == 1


def test_the_committed_numbers_are_within_the_bound(module: ModuleType) -> None:
    file = Path(__file__).parents[2] / "benchmarks" / "results" / "recursion.jsonl"
    apart = [
        one["apart"]
        for line in file.read_text().splitlines()
        for one in json.loads(line)["measured"].values()
        if one["apart"] is not None
    ]

    assert len(apart) > 20
    assert max(apart) < module.BOUND
