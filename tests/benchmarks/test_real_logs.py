"""When a log counts as met."""

from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.mark.parametrize(
    ("tag", "findings", "silent", "met"),
    [
        ("healthy", [["note", "loss.spike"]], [], True),
        ("healthy", [["warning", "loss.spike"]], [], False),
        ("overfit", [["note", "loss.spike"], ["note", "fit.overfit"]], [], True),
        ("overfit", [["error", "loss.spike"]], [], False),
        ("no_validation", [], ["cannot_no_held"], True),
        ("too_short", [], [], False),
        ("not_a_training_curve", [], ["unreadable"], True),
    ],
)
def test_a_log_is_met_where_what_the_person_saw_is_named(
    benchmark: Load, tag: str, findings: list[list[str]], silent: list[str], met: bool
) -> None:
    assert benchmark("real_logs").met(tag, findings, silent) is met


def test_every_tag_is_sound_or_has_what_is_expected(benchmark: Load) -> None:
    real = benchmark("real_logs")
    tags = {case["tag"] for case in real.cases()}

    assert tags <= {*real.SOUND, *real.EXPECTED}


def test_a_page_names_what_is_not_met(benchmark: Load) -> None:
    measured = {"met": False, "findings": [], "silent": [], "seconds": 0.1}

    page = benchmark("real_logs").table([{"case": {"file": "a.csv", "tag": "spikes"}, "measured": measured}])

    assert "0 of 1 logs are met" in page
    assert "## Not met" in page
