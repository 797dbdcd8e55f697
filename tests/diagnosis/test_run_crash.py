"""run.crash: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, lived
from tunesmith.doctor.diagnosis import diagnosed

FAULT = "run.crash"

SPEAKS = {
    "an exception": lived(crash={"kind": "RuntimeError", "message": "expected scalar type Long but found Float"}),
}

SILENT = {
    "no exception": lived(),
    "stopped by hand": lived(crash={"kind": "KeyboardInterrupt", "message": ""}),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")


@pytest.mark.parametrize(
    ("kind", "message", "causes"),
    [
        ("RuntimeError", 'Error(s) in loading state_dict for Net: Missing key(s) in state_dict: "fc.1.weight".', False),
        ("FileNotFoundError", "no such file: 'train.csv'", False),
        ("KeyError", "'label'", False),
        ("RuntimeError", "CUDA error: device-side assert triggered", True),
    ],
)
def test_an_exception_with_words_of_its_own_is_no_sign_of_labels_or_widths(kind, message, causes):
    found = diagnosed(lived([1.0], crash={"kind": kind, "message": message}))

    assert any(one.fault == "data.label_out_of_range" for one in found) == causes
    assert any(one.fault == "run.crash" for one in found)
