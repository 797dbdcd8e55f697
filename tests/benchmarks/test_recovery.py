"""The benchmarks of recovery and of classic cases measure what they say, on the smallest of their cases."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]
NAMES = (
    "stuck at 0.693, tiny weights",
    "stuck at 0.693, saturated",
    "one label, rate",
    "one label, rare tags",
    "spike, wild rows",
    "spike, late",
    "head of 2, labels of 4",
)


def test_memory_runs_out_where_it_is_said_to(benchmark: Load, monkeypatch: Any) -> None:
    recovery_memory = benchmark("recovery_memory")
    monkeypatch.setattr(recovery_memory, "LIMITS", (5,))
    monkeypatch.setattr(recovery_memory, "PLACES", ("backward", "optimizer step", "evaluation"))

    found = recovery_memory.measure({"row": "tunesmith", "model": "mlp", "precision": "fp64"})

    for place in recovery_memory.PLACES:
        assert (found[place]["met"], found[place]["ended"]) == (1, 1), place
        assert found[place]["weights"] < 1e-12, place
    assert found["evaluation"]["bits"] == 1


def test_an_event_is_got_over_and_harms_without(benchmark: Load, monkeypatch: Any) -> None:
    recovery_events = benchmark("recovery_events")
    monkeypatch.setattr(recovery_events, "SEEDS", (0,))

    found = recovery_events.measure({"task": "mlp", "event": "loss not divided"})

    assert (
        recovery_events.shares(found, "recovery")[0] > recovery_events.ENOUGH > recovery_events.shares(found, "off")[0]
    )
    assert found["recovery"]["windows"] == 1


@pytest.mark.parametrize(
    ("cured", "verdict"),
    [
        ([0.9, 0.9, 0.91], "cures"),
        ([0.6, 0.62, 0.61], "helps"),
        ([0.5, 0.49, 0.51], "does nothing"),
        ([0.3, 0.31, 0.3], "harms"),
    ],
)
def test_a_cure_is_judged_by_what_it_wins_back(cured: list[float], verdict: str, benchmark: Load) -> None:
    assert benchmark("classics").judged([0.5, 0.5, 0.5], [0.9, 0.9, 0.9], cured)[2] == verdict


@pytest.mark.parametrize("name", NAMES)
def test_each_case_is_a_program_and_so_is_each_cure(name: str, benchmark: Load) -> None:
    cases = benchmark("classics").CASES
    build, cures = cases[name]
    assert tuple(cases) == NAMES

    brought, sound = build(0, None), build(0, "sound")

    assert brought.epochs >= 1
    assert type(sound.model) is type(brought.model) or sound.model is not brought.model
    for cure in cures:
        build(0, cure)
