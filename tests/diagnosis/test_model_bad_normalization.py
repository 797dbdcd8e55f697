"""model.bad_normalization: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import gravity, lived

FAULT = "model.bad_normalization"

SPEAKS = {
    "statistics that never move": lived(
        norms={
            "1": {"momentum": 0.0, "updates": 200, "keeps": True, "per_channel": 32, "gap_mean": 1.5, "gap_spread": 2.0}
        }
    ),
    "the last batch alone": lived(
        norms={
            "1": {"momentum": 1.0, "updates": 200, "keeps": True, "per_channel": 6, "gap_mean": 0.6, "gap_spread": 0.6}
        }
    ),
    "two numbers behind a mean": lived(
        norms={
            "1": {"momentum": 0.1, "updates": 200, "keeps": True, "per_channel": 2, "gap_mean": 0.9, "gap_spread": 1.2}
        }
    ),
}

SILENT = {
    "as usual": lived(
        norms={
            "1": {"momentum": 0.1, "updates": 200, "keeps": True, "per_channel": 32, "gap_mean": 0.2, "gap_spread": 0.2}
        }
    ),
    "slow, but it has caught up": lived(
        norms={
            "1": {
                "momentum": 0.01,
                "updates": 2000,
                "keeps": True,
                "per_channel": 32,
                "gap_mean": 0.1,
                "gap_spread": 0.1,
            }
        }
    ),
    "a plain average": lived(
        norms={
            "1": {
                "momentum": None,
                "updates": 200,
                "keeps": True,
                "per_channel": 32,
                "gap_mean": 0.9,
                "gap_spread": 0.2,
            }
        }
    ),
    "asleep on purpose": lived(
        norms={
            "1": {"momentum": 0.0, "updates": 200, "keeps": True, "per_channel": 32, "gap_mean": 1.5, "gap_spread": 2.0}
        },
        training_passes=200,
        asleep_passes=200,
    ),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
