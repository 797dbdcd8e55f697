"""Resumed runs."""

import numpy as np

from tests.diagnosis.curves import falling, found, history

LINE = np.linspace(0.1, 0.02, 100)


def test_a_rate_off_its_line():
    rate = LINE.copy()
    rate[60:] = LINE[:40]

    (one,) = found("optim.lost_state", history("step", updates=falling(100), lr=rate, resumed=(60.0,)))

    assert one.message == "curves.rate_off_line"


def test_a_loss_that_leaps_at_the_resume():
    loss = falling(100)
    loss[60:70] += 1.0

    (one,) = found("optim.lost_state", history("step", updates=loss, lr=LINE, resumed=(60.0,)))

    assert one.message == "curves.leap_at_resume"


def test_moments_that_begin_anew():
    surprise = np.full(100, 1.0)
    surprise[60] = 8.0

    (one,) = found("optim.lost_state", history("step", updates=falling(100), adam_surprise=surprise, resumed=(60.0,)))

    assert one.message == "curves.moments_anew"


def test_a_resume_that_goes_on_as_before_is_quiet():
    assert not found("optim.lost_state", history("step", updates=falling(100), lr=LINE, resumed=(60.0,)))


def test_a_leap_without_a_resume_is_another_matter():
    loss = falling(100)
    loss[60:70] += 1.0

    assert not found("optim.lost_state", history("step", updates=loss, lr=LINE))
