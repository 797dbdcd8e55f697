"""data.bad_images: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, inputs, lived

FAULT = "data.bad_images"

SPEAKS = {
    "blank pictures": lived(inputs=inputs(kind="values", shape=[32, 1, 8, 8], blank=0.3)),
    "two ranges": lived(inputs=inputs(kind="values", shape=[32, 1, 8, 8], large=0.2, row_length_ratio=255.0)),
}

SILENT = {
    "pictures": lived(inputs=inputs(kind="values", shape=[32, 1, 8, 8])),
    "a table with empty rows": lived(inputs=inputs(blank=0.3)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
