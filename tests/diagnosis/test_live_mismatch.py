"""What a watched run shows of a loss that does not fit."""

import pytest

from tests.diagnosis.lived import answers, flat, lived
from tunesmith.doctor.diagnosis.live_mismatch import seen_inside

SPEAKS = {
    "sign_flipped": lived(answers=answers(scale=-1.0)),
    "target_ignored": lived(answers=answers(form=None, pairing=None, blind=True, deaf=True)),
    "classes_as_amounts": lived(answers=answers("numbers", whole=True, target_high=9.0), classes=10),
}
SILENT = {
    "as usual": lived(answers=answers()),
    "a contrast, which has no use for labels": lived(
        answers=answers(form=None, pairing=None, blind=True, deaf=True, width=16, labels=10)
    ),
    "amounts that are whole": lived(answers=answers("numbers", whole=True, target_high=9.0)),
    "two classes by squares": lived(answers=answers("numbers", whole=True, target_high=1.0), classes=2),
    "soon after the start": lived(flat(), answers=answers(scale=-1.0, batches=1)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    (finding,) = seen_inside(SPEAKS[name])

    assert finding.message == f"live.{name}"
    assert finding.severity == "error"
    assert finding.text("en") != finding.text("zh")


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert list(seen_inside(SILENT[name])) == []
