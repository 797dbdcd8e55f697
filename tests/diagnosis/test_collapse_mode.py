"""collapse.mode from a run: what its looks told, and silence on a sound game, whose losses do not fall."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunesmith.doctor.diagnosis import diagnosed
from tunesmith.records import Finding
from tunesmith.runs import MemoryWriter
from tunesmith.runs.readers.own import history_of

TOLD = Finding(fault="collapse.mode", severity="warning", message="few modes")
BACK = replace(TOLD, severity="note", status="refuted")


def run(*findings: Finding, kind: str = "gan", looks: bool = True) -> Any:
    """A game that goes up and down, with looks."""
    writer = MemoryWriter(info={"kind": kind})
    writer.begin_attempt()
    steps = np.arange(1, 1001)
    writer.add("loss", steps, 0.7 + 0.0005 * steps + 0.1 * np.sin(steps))
    writer.add("score", steps[99::100], np.linspace(0.1, 0.5, 10))
    if looks:  # of a watch; a training of ours has them in its evaluations
        writer.add("lost_mass", steps[99::100], np.full(10, 0.8))
    for finding in findings:
        writer.finding(finding, 500)
    writer.set_status("finished")
    return history_of(writer)


@pytest.mark.parametrize("looks", [True, False])
@pytest.mark.parametrize("findings", [(TOLD,), (TOLD, BACK, TOLD)])
def test_what_the_looks_told_is_told(findings: tuple[Finding, ...], looks: bool) -> None:
    assert [one.fault for one in diagnosed(run(*findings, looks=looks))] == ["collapse.mode"]


@pytest.mark.parametrize("findings", [(), (TOLD, BACK)])
def test_a_sound_game_is_not_called_sick_by_rules_for_losses_that_fall(findings: tuple[Finding, ...]) -> None:
    assert list(diagnosed(run(*findings))) == []


def test_the_same_curves_of_one_player_are_called_sick() -> None:
    assert list(diagnosed(run(kind="multiclass"))) != []
