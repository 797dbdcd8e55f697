"""A loss that is no number."""

import numpy as np

from tests.diagnosis.curves import falling, found, history


def test_the_first_place_and_the_value_before_are_named():
    course = falling(40)
    course[25:] = np.nan

    (one,) = found("loss.nonfinite", history(train=course))

    assert (one.severity, one.subject["steps"]) == ("error", [25.0])
    assert one.values["before"] == course[24]


def test_from_the_first_value_on():
    (one,) = found("loss.nonfinite", history(train=np.full(5, np.inf)))

    assert one.message.endswith("at_once")


def test_a_skipped_batch_is_a_warning():
    course = falling(100)
    course[40] = np.nan

    (one,) = found("loss.nonfinite", history("step", updates=course))

    assert one.severity == "warning"


def test_an_evaluation_alone_is_told_as_such():
    (one,) = found("loss.nonfinite", history(train=falling(10), val=np.full(10, np.nan)))

    assert one.message.endswith("held")


def test_numbers_are_quiet():
    assert not found("loss.nonfinite", history(train=falling(40) * 1e30))
