"""act.saturated: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, lived, said

FAULT = "act.saturated"

SPEAKS = {
    "pinned by its start": lived(
        flat(), answers=answers(), gains={"0.weight": 20.0}, layers={"saturated_fraction": {"1": [0.9] * 10}}
    ),
}

SILENT = {
    "in the middle": lived(flat(), answers=answers(), layers={"saturated_fraction": {"1": [0.1] * 10}}),
    "pinned, and it learns": lived(falling(), answers=answers(), layers={"saturated_fraction": {"1": [0.7] * 10}}),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")


def test_the_cause_is_named_where_the_start_weights_show_it():
    history = lived(
        flat(), answers=answers(), gains={"0.weight": 20.0}, layers={"saturated_fraction": {"1": [0.9] * 10}}
    )

    (finding,) = said(FAULT, history)

    assert finding.caused_by == "init.bad_scale"
