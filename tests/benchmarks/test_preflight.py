"""What counts as a hit and as a false alarm, and the page that says so."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from tunesmith.records import Finding, Findings, Program

Load = Callable[[str], ModuleType]
MACHINE = {"cpu": "a cpu", "cores": 2, "system": "Linux", "python": "3.11", "torch": "2", "threads": "1"}


@dataclass
class Fake:
    """A look that says the same of everything, and remembers what it saw."""

    findings: list[Finding]
    seen: list[Any] = field(default_factory=list)

    def __call__(self, *subject: Any, seconds: float) -> Findings:
        self.seen.append(subject)
        return Findings(found=self.findings, unreached=["slow"], failed={"broken": "Traceback\nValueError: no"})


def finding(fault: str, severity: str) -> Finding:
    return Finding(fault=fault, severity=severity, message="loss is {value}", values={"value": 1.0})


def case(kind: str, program: str, sabotage: str = "", strength: int = 0) -> dict[str, Any]:
    return {"version": "v", "kind": kind, "program": program, "seed": 0, "sabotage": sabotage, "strength": strength}


def row(about: dict[str, Any], findings: list[list[Any]], rank: int | None, part: str = "open") -> dict[str, Any]:
    measured = {"part": part, "findings": findings, "rank": rank, "rank_with_notes": rank}
    measured |= {"seconds": 2.0, "unreached": [], "failed": {}}
    return {"case": about, "measured": measured, "pair": 0, "machine": MACHINE, "date": "2026-01-01", "commit": "abc"}


def test_the_rank_is_that_among_findings_above_a_note(benchmark: Load) -> None:
    preflight = benchmark("preflight")
    look = Fake(
        [
            finding("lr.too_high", "note"),
            finding("data.outliers", "warning"),
            finding("data.label_noise", "error"),
        ]
    )

    measured = preflight.measure(case("planted", "digits_mlp", "noisy_labels", 3), look)

    assert measured["rank"] == 2
    assert measured["rank_with_notes"] == 3
    assert measured["unreached"] == ["slow"]
    assert measured["failed"] == {"broken": "ValueError: no"}
    (program,) = look.seen[0]
    assert isinstance(program, Program)
    assert program.test is None


def test_a_fault_told_as_a_note_is_no_hit(benchmark: Load) -> None:
    measured = benchmark("preflight").measure(
        case("planted", "digits_mlp", "noisy_labels", 3), Fake([finding("data.label_noise", "note")])
    )

    assert measured["rank"] is None
    assert measured["rank_with_notes"] == 1


def test_a_task_comes_with_its_recipe(benchmark: Load) -> None:
    look = Fake([])

    measured = benchmark("preflight").measure(case("task", "iris_built_in"), look)

    assert len(look.seen[0]) == 2
    assert measured["findings"] == []


def test_the_cases_are_more_than_300_sound_runs_and_all_sabotages(benchmark: Load) -> None:
    from tunesmith.testing.sabotage import SABOTAGES

    preflight = benchmark("preflight")
    cases = preflight.cases("v")

    assert sum(each["kind"] != "planted" for each in cases) >= 300
    assert {(each["sabotage"], each["strength"]) for each in cases if each["kind"] == "planted"} == {
        (name, strength) for name in SABOTAGES if SABOTAGES[name].suite == "preflight" for strength in (1, 2, 3)
    }
    parts = [len(preflight.cases("v", part)) for part in ("open", "held")]
    assert sum(parts) == len(cases)
    assert min(parts) > 200


def test_only_what_can_be_seen_and_harms_or_is_an_invariant_counts(benchmark: Load) -> None:
    counts = benchmark("preflight").counts
    harm = {("noisy_labels", 3, "digits_mlp"): True, ("stopped_too_soon", 3, "digits_mlp"): True}

    assert counts(case("planted", "digits_mlp", "noisy_labels", 3), harm)
    assert not counts(case("planted", "digits_mlp", "noisy_labels", 1), harm)
    assert counts(case("planted", "digits_mlp", "nan_cells", 1), harm)
    assert not counts(case("planted", "digits_mlp", "stopped_too_soon", 3), harm)


def test_the_page_holds_shares_misses_and_alarms(benchmark: Load) -> None:
    rows = [
        row(case("planted", "digits_mlp", "nan_cells", 3), [["data.nonfinite", "error", 1.0]], 1),
        row(case("planted", "digits_mlp", "nan_cells", 1), [["lr.too_high", "warning", 0.5]], None),
        row(case("program", "digits_mlp"), [["data.outliers", "warning", 0.5]], None),
        row(case("program", "iris_mlp"), [["lr.too_low", "note", 0.5]], None, "held"),
    ]

    page = benchmark("preflight").table(rows)

    assert "| open | 1/2 = 50 % [9, 91] | 1/2 = 50 % [9, 91] |" in page
    assert "* warning `data.outliers` in 1 runs: digits_mlp (1)" in page
    assert "* open: `nan_cells` 1 in digits_mlp: data.nonfinite; said lr.too_high" in page
    assert "lr.too_low" not in page


def test_the_intervals_are_those_of_wilson(benchmark: Load) -> None:
    low, high = benchmark("preflight").wilson(0, 300)

    assert low == 0.0
    assert high == pytest.approx(1.96**2 / (300 + 1.96**2))  # closed form at no hits


def test_a_run_goes_on_where_it_was(benchmark: Load, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    preflight = benchmark("preflight")
    monkeypatch.setattr(preflight, "RESULTS", tmp_path / "preflight.jsonl")
    looked = []
    monkeypatch.setattr(
        preflight, "tried", lambda about, seconds: (looked.append(about), row(about, [], None))[1] | {"case": about}
    )

    for _ in range(2):
        preflight.main(["v", "--part", "all", "--only", "iris_mlp", "--kinds", "program"])

    lines = (tmp_path / "preflight.jsonl").read_text().splitlines()
    assert len(looked) == len(lines) == preflight.HEALTHY_SEEDS
    assert {json.loads(line)["case"]["program"] for line in lines} == {"iris_mlp"}
