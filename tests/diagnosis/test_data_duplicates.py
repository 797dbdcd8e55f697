"""data.duplicates: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, inputs, lived

FAULT = "data.duplicates"

SPEAKS = {
    "most rows are copies": lived(inputs=inputs(distinct=60, first_rows=900), steps_per_epoch=20, batch_size=32),
}

SILENT = {
    "each row once": lived(inputs=inputs(distinct=640, first_rows=1280), steps_per_epoch=20, batch_size=32),
    "drawn with replacement": lived(inputs=inputs(distinct=400, first_rows=1280), steps_per_epoch=20, batch_size=32),
    "short texts": lived(inputs=inputs(kind="indices", distinct=60, first_rows=900), steps_per_epoch=20, batch_size=32),
    "the epoch was not read to its end": lived(
        inputs=inputs(distinct=60, first_rows=900), steps_per_epoch=200, batch_size=32
    ),
    "epochs were not told": lived(inputs=inputs(distinct=60, first_rows=900)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
