"""The births of numbers that are not finite: a sample of the programs; all of them are in the benchmark."""

from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]

SAMPLE = (
    "root_of_zero",
    "empty_row_of_a_mask",
    "noise_of_zero",
    "exploding_rate",
    "clipping_by_hand",
    "preparation_of_the_held_part",
    "statistics_of_a_skipped_batch",
)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_birth_is_named_rightly_by_the_public_watch(benchmark: Load, name: str) -> None:
    births = benchmark("nan_births")
    (case,) = [one for one in births.cases() if one["program"] == name]

    measured = births.measure(case)

    assert measured["right"], (measured["truth"], measured["said"])
    assert measured["findings"][0] == measured["said"][0]["fault"]


@pytest.mark.parametrize("name", ["causal_mask", "scaled_loss"])
def test_infinities_that_are_meant_are_left_alone(benchmark: Load, name: str) -> None:
    births = benchmark("nan_births")
    (case,) = [one for one in births.cases() if one["program"] == name]

    assert births.measure(case)["right"]


def test_the_table_tells_what_was_right(benchmark: Load) -> None:
    births = benchmark("nan_births")
    cases = [one for one in births.cases() if one["program"] in ("bad_target", "causal_mask")]

    told = births.table([{"case": case, "measured": births.measure(case)} for case in cases])

    assert "Named rightly: 1 of 1" in told
    assert "target, input, step 9" in told
    assert "left alone: 1 of 1" in told
