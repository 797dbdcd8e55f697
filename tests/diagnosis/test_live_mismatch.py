"""What a watched run shows of a loss that does not fit."""

import pytest

from tests.diagnosis.lived import answers, flat, gravity, lived
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
    "one label for all, handed over though nobody wants it": lived(
        answers=answers(deaf=True, target_low=0.0, target_high=0.0, labels=1)
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


@pytest.mark.parametrize(
    ("facts", "mismatch", "constant"),
    [
        ({"deaf": True}, "error", ""),
        ({"root_spread": 0.2}, "", ""),
        ({"deaf": False, "root_spread": 1e-6}, "", "error"),
        ({"deaf": False, "root_spread": 0.2, "from_graph": False}, "", "error"),
    ],
)
def test_one_target_for_all_in_a_graph_may_be_the_losss_own(facts, mismatch, constant):
    one = {"target_low": 0.0, "target_high": 0.0, "labels": 1, "from_graph": True}
    history = lived(flat(), answers=answers("numbers", **(one | facts)))

    assert gravity("loss.mismatch", history) == mismatch
    assert gravity("data.constant", history) == constant
