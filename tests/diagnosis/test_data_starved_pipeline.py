"""data.starved_pipeline: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, lived

FAULT = "data.starved_pipeline"

SPEAKS = {
    "waits most of the time": lived(layers={"data_wait": {"": [0.8] * 12}, "seconds_per_step": {"": [0.2] * 12}}),
}

SILENT = {
    "hardly waits": lived(layers={"data_wait": {"": [0.1] * 12}, "seconds_per_step": {"": [0.2] * 12}}),
    "a net of a millisecond": lived(layers={"data_wait": {"": [0.8] * 12}, "seconds_per_step": {"": [0.001] * 12}}),
    "seen too seldom": lived(layers={"data_wait": {"": [0.8] * 3}, "seconds_per_step": {"": [0.2] * 3}}),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
