"""data.outliers: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, flat, gravity, inputs, lived

FAULT = "data.outliers"

SPEAKS = {
    "amounts as they came, and little is learnt": lived(flat(1.2), answers=answers(), inputs=inputs(tail=4000.0)),
    "two rows in a hundred a thousand times too large": lived(
        inputs=inputs(row_outlier=900.0, row_wild=0.02, row_length_ratio=1000.0)
    ),
}

SILENT = {
    "amounts from which it learns": lived(answers=answers(), inputs=inputs(tail=4000.0)),
    "normal columns": lived(flat(1.2), answers=answers(), inputs=inputs(tail=4.0)),
    "a norm comes first": lived(flat(1.2), answers=answers(), inputs=inputs(tail=4000.0), begins="BatchNorm1d"),
    "as usual": lived(inputs=inputs()),
    "a heavy tail": lived(inputs=inputs(row_outlier=60.0, row_wild=0.15, row_length_ratio=40.0)),
    "far in deviations, near in size": lived(inputs=inputs(row_outlier=30.0, row_wild=0.01, row_length_ratio=1.5)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
