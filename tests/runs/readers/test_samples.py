"""Every sample is read, without a mapping, as a person would read it."""

from pathlib import Path

import numpy as np
import pytest

from tests.runs.readers.samples import SAMPLES, Sample
from tunesmith.runs import readers
from tunesmith.runs.history import History, Series
from tunesmith.runs.readers.roles import parse_role

ROUNDED = 0.02  # logs print few digits


def written(folder: Path, sample: Sample) -> Path:
    path = folder / sample.file
    path.write_text(sample.text, encoding="utf-8", newline="")
    return path


def curve(history: History, name: str) -> Series:
    """By `part quantity`, `… @ place` or `… @@ span`."""
    what, _, span = name.partition(" @@ ")
    what, _, place = what.partition(" @ ")
    words = what.split()
    part, quantity = (words[0], "_".join(words[1:])) if words[0] in ("train", "val", "test") else ("", "_".join(words))
    found = history.get(quantity, part, place, span or None)  # type: ignore[arg-type]
    assert found is not None, f"{name} is not among {[(c.part, c.name, c.where, c.per) for c in history]}"
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_a_log_is_read_as_a_person_would(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]

    found = readers.read_log(written(tmp_path, sample))

    assert len(found) == sample.runs
    for history in found:
        assert history.axis == sample.axis
        for which, values in sample.curves.items():
            np.testing.assert_allclose(curve(history, which).values, values, rtol=ROUNDED, atol=0.006, err_msg=which)
        for which, steps in sample.steps.items():
            np.testing.assert_allclose(curve(history, which).steps, steps, err_msg=which)
        assert sample.facts.items() <= dict(history.facts).items()


@pytest.mark.parametrize("name", SAMPLES)
def test_what_was_taken_for_what_is_shown_in_words_that_may_be_said_back(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    history = readers.read_log(written(tmp_path, sample))[0]

    said = {
        column: role
        for column, role in history.roles.items()
        if role not in ("setting", "not known", "empty") and ", " not in role
    }

    assert said
    for role in said.values():
        parse_role(role)
