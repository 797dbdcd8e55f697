"""What counts as an answer, a hit and a false alarm, which changes count as cures, and the page that says so."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tunesmith.records import Finding, Findings, Program
from tunesmith.runs.history import History

Load = Callable[[str], ModuleType]
MACHINE = {"cpu": "a cpu", "cores": 2, "system": "Linux", "python": "3.11", "torch": "2", "threads": "1"}


def case(kind: str, program: str, sabotage: str = "", strength: int = 0, mode: str = "watch") -> dict[str, Any]:
    about = {"program": program, "seed": 0, "sabotage": sabotage, "strength": strength}
    return {"version": "v", "mode": mode, "kind": kind} | about


def row(
    about: dict[str, Any], *findings: tuple[str, str, float], part: str = "open", lr: float = 0.01
) -> dict[str, Any]:
    told = [[fault, severity, confidence, "suspected", None] for fault, severity, confidence in findings]
    measured = {"part": part, "findings": told, "seconds": 1.0, "trained": 2.0, "settings": {"lr": lr, "epochs": 12}}
    measured |= {"cannot_tell": [], "unreached": [], "failed": {}}
    return {"case": about, "measured": measured, "pair": 0, "machine": MACHINE, "date": "2026-01-01", "commit": "abc"}


@pytest.fixture
def diagnosis(benchmark: Load, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, with one cure known: a lower rate cures noisy labels in digits_mlp."""
    cures = {("noisy_labels", 3, "digits_mlp"): ("lr.too_high",)}
    monkeypatch.setattr(benchmark("diagnosis_cures"), "cured", lambda: cures)
    return benchmark("diagnosis")


def test_an_answer_is_a_cause_or_mechanism_above_a_note_and_counts_once(diagnosis: ModuleType) -> None:
    told = [
        ["loss.spike", "error", 0.9, "suspected", None],
        ["lr.too_high", "warning", 0.6, "suspected", None],
        ["lr.too_high", "warning", 0.4, "suspected", None],
        ["reg.too_strong", "warning", 0.5, "refuted", None],
        ["data.outliers", "note", 0.3, "suspected", None],
        ["act.dead_relu", "warning", 0.2, "suspected", "lr.too_high"],
    ]

    assert diagnosis.answers(told) == [("lr.too_high", 0.6), ("act.dead_relu", 0.2)]


def test_what_is_planted_is_right_and_what_cures_it_and_no_symptom(diagnosis: ModuleType) -> None:
    assert diagnosis.accepted(case("planted", "digits_mlp", "noisy_labels", 3)) == ("data.label_noise", "lr.too_high")
    assert diagnosis.accepted(case("planted", "digits_mlp", "noisy_labels", 2)) == ("data.label_noise",)
    assert "run.crash" not in diagnosis.accepted(case("planted", "digits_mlp", "class_beyond_width", 3))
    assert diagnosis.accepted(case("failing", "wine_as_measured")) == ("data.unscaled_inputs", "lr.too_high")


def test_ranks_of_causes_and_of_families(diagnosis: ModuleType) -> None:
    about = case("planted", "digits_mlp", "noisy_labels", 2)
    one = row(
        about, ("data.outliers", "error", 0.9), ("lr.too_low", "error", 0.8), ("data.label_noise", "warning", 0.7)
    )

    assert diagnosis.place(one) == 3
    assert diagnosis.family_place(one) == 1
    assert diagnosis.place(row(about)) is None


def test_the_three_ways_give_the_verb_what_it_takes(diagnosis: ModuleType) -> None:
    seen: list[Any] = []

    def look(subject: Any, **options: Any) -> Findings:
        seen.append(subject)
        return Findings(
            found=[Finding(fault="lr.too_low", severity="warning", message="loss is {value}", confidence=0.5)]
        )

    rows = [diagnosis.measure(case("sound", "wine_lbfgs", mode=mode), look) for mode in ("program", "watch", "log")]

    assert [type(each) for each in seen] == [Program, History, History]
    assert rows[0]["findings"] == [["lr.too_low", "warning", 0.5, "suspected", None]]
    assert rows[0]["settings"] == {"lr": 0.5, "epochs": 8}
    assert seen[2].get("loss", "val") is not None


def test_a_program_that_logs_nothing_is_one_that_cannot_be_told(diagnosis: ModuleType) -> None:
    measured = diagnosis.measure(case("planted", "digits_mlp", "class_below_zero", 3, mode="log"))

    assert diagnosis.answers(measured["findings"]) == []
    assert measured["cannot_tell"]


def test_a_failing_program_can_be_measured_in_each_way(diagnosis: ModuleType) -> None:
    seen: list[Any] = []

    def look(subject: Any, **options: Any) -> Findings:
        seen.append(subject)
        return Findings()

    for mode in ("program", "watch", "log"):
        diagnosis.measure(case("failing", "wine_as_measured", mode=mode), look)

    assert len(seen) == 3
    assert seen[0].test is None


def test_the_cases_are_more_than_300_sound_runs_in_each_way_and_all_faults(diagnosis: ModuleType) -> None:
    from tunesmith.testing.programs import FAILING
    from tunesmith.testing.sabotage import SABOTAGES

    cases = diagnosis.cases("v")

    for mode in ("program", "watch", "log"):
        some = [each for each in cases if each["mode"] == mode]
        assert sum(each["kind"] == "sound" for each in some) >= 300
        assert sum(each["kind"] == "failing" for each in some) == len(FAILING)
        planted = {(each["sabotage"], each["strength"]) for each in some if each["kind"] == "planted"}
        assert planted == {(name, strength) for name in SABOTAGES for strength in (1, 2, 3)}
    assert len({json.dumps(each, sort_keys=True) for each in cases}) == len(cases)


def test_a_third_of_the_logs_hold_single_batches(diagnosis: ModuleType) -> None:
    cases = diagnosis.cases("v", modes=("log",))

    share = sum(diagnosis.every_of(each) is not None for each in cases) / len(cases)

    assert 0.28 < share < 0.38


def test_the_constant_answer_is_the_best_of_its_kind(diagnosis: ModuleType) -> None:
    rows = [
        row(case("planted", "digits_mlp", "noisy_labels", 2)),
        row(case("planted", "digits_mlp", "noisy_labels", 1)),
        row(case("planted", "digits_mlp", "rate_too_high", 3)),
    ]

    assert diagnosis.constant(rows, 3) == ["data.label_noise", "lr.too_high"]


def test_settings_are_judged_by_three_thresholds(diagnosis: ModuleType) -> None:
    about = case("planted", "digits_mlp", "rate_too_high", 3)

    assert diagnosis.by_settings(row(about, lr=100.0)) == ["lr.too_high"]
    assert diagnosis.by_settings(row(about, lr=1e-6)) == ["lr.too_low"]
    assert diagnosis.by_settings(row(about)) == []


def test_the_page_tells_hits_alarms_and_calibration(
    diagnosis: ModuleType, monkeypatch: pytest.MonkeyPatch, benchmark: Load
) -> None:
    harm = {("noisy_labels", 3, "digits_mlp"): True, ("rate_too_low", 1, "digits_mlp"): False}
    monkeypatch.setattr(benchmark("sabotage_harm"), "harms", lambda: harm)
    rows = [
        row(case("planted", "digits_mlp", "noisy_labels", 3), ("data.label_noise", "error", 0.9)),
        row(case("planted", "digits_mlp", "nan_cells", 1), ("lr.too_high", "error", 0.9)),
        row(case("planted", "digits_mlp", "rate_too_low", 1), ("lr.too_low", "warning", 0.9)),
        row(case("sound", "digits_mlp"), ("loss.spike", "error", 0.9)),
        row(case("sound", "iris_mlp"), part="held"),
        row(case("planted", "digits_mlp", "noisy_labels", 3, mode="log"), ("data.outliers", "warning", 0.9)),
        row(case("planted", "digits_mlp", "nan_cells", 1, mode="log")),
    ]

    page = diagnosis.table(rows)

    watch, log = page.split("## `log`")
    assert "2 faults in 1 programs, 2 sound runs" in watch
    assert "| open, planted | 1/2 = 50 % [9, 91] | 1/2 = 50 %" in watch
    assert "| open | 1/1 = 100 %" in watch  # a symptom on a sound run is a false alarm
    assert "Brier score 0.410 over 2 first answers" in watch  # (0.1² + 0.9²) / 2
    assert "Plantings that did no measured harm: 1" in watch
    assert "| open, planted | 1/1 = 100 %" in log  # the family, of the one run of which something was said
    assert "1/2 = 50 % [9, 91], 0 with a symptom" in log


def test_what_came_back_is_a_share_of_what_was_lost(benchmark: Load) -> None:
    cures = benchmark("diagnosis_cures")

    assert cures.recovered([1.0, 0.9], [0.5, 0.4], [1.0, 0.9]) == pytest.approx(1.0)
    assert cures.recovered([1.0], [0.5], [0.75]) == pytest.approx(0.5)
    assert cures.recovered([0.5], [0.5], [0.9]) == 0.0  # nothing was lost


def test_undoing_what_was_planted_cures_and_something_else_does_not(benchmark: Load) -> None:
    cures = benchmark("diagnosis_cures")
    about = {"sabotage": "rate_too_low", "strength": 2, "program": "wine_batch_norm_first"}

    lower, higher = (cures.measure(about | {"fix": name}) for name in ("rate_tenth", "rate_hundredfold"))

    assert lower["recovered"] < 0.5
    assert higher["recovered"] > 0.9
    assert cures.measure(about | {"fix": "bare_head"}) == {"fault": "output.wrong_activation", "recovered": None}


def test_every_change_would_undo_a_known_fault(benchmark: Load, diagnosis: ModuleType) -> None:
    faults = {fault for fault, _ in benchmark("diagnosis_cures").FIXES.values()}

    assert all(fault in diagnosis._kinds() and not diagnosis.is_symptom(fault) for fault in faults)
