"""batch.coupled_loss: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, gravity, lived

FAULT = "batch.coupled_loss"

SPEAKS = {
    "norms of parts": lived(
        backwards=1600,
        norms={
            "1": {"momentum": 0.1, "updates": 200, "keeps": True, "per_channel": 4, "gap_mean": 0.3, "gap_spread": 0.3}
        },
    ),
    "a contrast of parts": lived(
        backwards=1600, answers=answers(form=None, halves=1.3, halves_low=1.25, halves_high=1.4)
    ),
}

SILENT = {
    "whole batches": lived(
        norms={
            "1": {"momentum": 0.1, "updates": 200, "keeps": True, "per_channel": 4, "gap_mean": 0.3, "gap_spread": 0.3}
        },
        answers=answers(halves=1.3, halves_low=1.25, halves_high=1.4),
    ),
    "large parts": lived(
        backwards=1600,
        norms={
            "1": {"momentum": 0.1, "updates": 200, "keeps": True, "per_channel": 64, "gap_mean": 0.3, "gap_spread": 0.3}
        },
        answers=answers(),
    ),
    "class weights, now more, now less": lived(
        backwards=1600, answers=answers(halves=1.02, halves_low=0.93, halves_high=1.1)
    ),
    "a sum": lived(backwards=1600, answers=answers(halves=2.0, halves_low=1.99, halves_high=2.01)),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
