"""collapse.representation from a run: what its looks told, and silence on a sound one, whose loss need not fall."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunesmith.doctor.diagnosis import diagnosed
from tunesmith.records import Finding
from tunesmith.runs import MemoryWriter
from tunesmith.runs.readers.own import history_of

TOLD = Finding(fault="collapse.representation", severity="warning", message="one direction")
BACK = replace(TOLD, severity="note", status="refuted")


def run(*findings: Finding, watched: bool = True) -> Any:
    """Agreement that is reached at once and then stands still."""
    writer = MemoryWriter(info={"kind": "embedding"})
    writer.begin_attempt()
    steps = np.arange(1, 1001)
    writer.add("loss", steps, 4.6 + 0.05 * np.sin(steps))
    if watched:
        writer.add("embedding_rank", steps[99::100], np.full(10, 3.0))
    else:
        writer.add("score", steps[99::100], np.linspace(-2, -1, 10))
    for finding in findings:
        writer.finding(finding, 500)
    writer.set_status("finished")
    return history_of(writer)


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize("findings", [(TOLD,), (TOLD, BACK, TOLD)])
def test_what_the_looks_told_is_told(findings: tuple[Finding, ...], watched: bool) -> None:
    assert [one.fault for one in diagnosed(run(*findings, watched=watched))] == ["collapse.representation"]


@pytest.mark.parametrize("findings", [(), (TOLD, BACK)])
def test_a_sound_training_is_not_called_sick_by_rules_for_losses_that_fall(findings: tuple[Finding, ...]) -> None:
    assert list(diagnosed(run(*findings))) == []
